import { type Command, Option } from 'commander';
import type { SmokeOptions } from '../commands/smoke.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the smoke test. */
export function declareSmoke(program: Command, run: Run): void {
  program
    .command('smoke')
    .option('--timeout <seconds>', 'how long each step may take to arrive', positiveInteger, 60)
    .option('--yes', 'write without asking')
    .option('--dry-run', 'print what would be written, and write nothing')
    .addOption(
      new Option(
        '--remove <tenant>',
        'only take away what a test left that was killed: the id that it printed',
      ).conflicts('dryRun'),
    )
    .addOption(json)
    .description(
      'walk through the work of an application in the legacy tables, for a tenant of its own, and wait for each step in the new schema; WRITES into the legacy tables, under LEGACY_OWNER_URL, and takes its rows away again; exit code 1 where a step does not arrive',
    )
    .action((options: SmokeOptions) =>
      run('smoke', async (context) => (await import('../commands/smoke.ts')).smoke(context, options)),
    );
}
