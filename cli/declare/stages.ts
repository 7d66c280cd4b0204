import { type Command, InvalidArgumentError, Option } from 'commander';
import type { SetOptions } from '../commands/stage.ts';
import { parseDuration } from '../duration.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

const duration = (text: string): number => {
  const seconds = parseDuration(text);
  if (seconds === null) throw new InvalidArgumentError('a number with s, m, h or d, such as 24h');
  return seconds;
};
const maxLag = () =>
  new Option('--max-lag-seconds <seconds>', 'maximum lag that passes, now and in the last hour')
    .argParser(positiveInteger)
    .default(30);
const verifiedWithin = () =>
  new Option('--verified-within <duration>', 'maximum age of a verification')
    .argParser(duration)
    .default(86_400, '24h');

/** Declares the commands about tenants: settings, gates and stages. */
export function declareStages(program: Command, run: Run): void {
  program
    .command('tenants')
    .description('manage the pinned configuration of tenants')
    .command('pin')
    .option('--dry-run', 'print what would be pinned, and write nothing')
    .addOption(json)
    .description('pin tenant settings from the legacy database, such as the country; they take effect after a rebuild')
    .action((options: { dryRun?: boolean; json?: boolean }) =>
      run('tenants pin', async (context) => (await import('../commands/tenants.ts')).pinTenants(context, options)),
    );
  const gate = program
    .command('gate')
    .enablePositionalOptions()
    .argument('<tenant>', 'id of a tenant, or all')
    .addOption(maxLag())
    .addOption(verifiedWithin())
    .addOption(json)
    .description(
      'decide go or no-go for a tenant from the current state, and store the decision with its evidence; exit code 1 on no-go',
    )
    .action((tenant: string, options: { maxLagSeconds: number; verifiedWithin: number; json?: boolean }) =>
      run('gate', async (context) => (await import('../commands/gate.ts')).gate(context, tenant, options)),
    );
  gate
    .command('confirm')
    .argument('<tenant>', 'id of a tenant, or all')
    .argument(
      '<what>',
      'backup: taken and test-restored; rollback: rehearsed; team: briefed and on call; monitoring: in place, and its alerts reach someone',
    )
    .requiredOption('--by <name>', 'who confirms it')
    .requiredOption(
      '--note <text>',
      'evidence: location of the backup, what was rehearsed, who was briefed, what is monitored',
    )
    .addOption(new Option('--valid-for <duration>', 'how long it is valid').argParser(duration).default(604_800, '7d'))
    .addOption(json)
    .description('confirm what a gate cannot check itself: backup, rollback, team, monitoring')
    .action((tenant: string, what: string, options: { by: string; note: string; validFor: number; json?: boolean }) =>
      run('gate confirm', async (context) =>
        (await import('../commands/gate.ts')).confirm(context, tenant, what, options),
      ),
    );
  const stage = program.command('stage').description('show or set how much of the new schema a tenant sees');
  stage
    .command('get')
    .argument('[tenant]', 'id of a tenant (default: all)')
    .option('--history', 'include every entry of the stage log')
    .addOption(json)
    .description('show the stage, since when, by whom and why')
    .action((tenant: string | undefined, options: { history?: boolean; json?: boolean }) =>
      run('stage get', async (context) => (await import('../commands/stage.ts')).get(context, tenant, options)),
    );
  stage
    .command('set')
    .argument('<tenant>', 'id of a tenant, or all')
    .argument('<stage>', '0 to 4')
    .requiredOption('--by <name>', 'who makes the change')
    .option('--reason <text>', 'reason; stored with the entry')
    .option('--force', 'raise the stage even if the gate does not pass; needs --reason')
    .option('--dry-run', 'report what would happen')
    .addOption(maxLag())
    .addOption(verifiedWithin())
    .addOption(json)
    .description('raise a stage after a passed gate, or lower it at once; exit code 1 if refused')
    .action((tenant: string, level: string, options: SetOptions) =>
      run('stage set', async (context) => (await import('../commands/stage.ts')).set(context, tenant, level, options)),
    );
}
