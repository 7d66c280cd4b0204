import { type Command, Option } from 'commander';
import type { SmokeOptions } from '../commands/smoke.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the smoke test. */
export function declareSmoke(program: Command, run: Run): void {
  program
    .command('smoke')
    .option('--timeout <seconds>', 'how long to wait for each step', positiveInteger, 60)
    .option('--yes', 'write without asking')
    .option('--dry-run', 'print what would be written; write nothing')
    .addOption(
      new Option(
        '--remove <tenant>',
        'only remove the rows of an interrupted test; it printed the id of its tenant',
      ).conflicts('dryRun'),
    )
    .addOption(json)
    .description(
      'run a typical business case through the legacy tables for a test tenant, wait for each step in the new schema, and remove the rows again; WRITES to the legacy tables, as LEGACY_OWNER_URL; exit code 1 if a step does not arrive',
    )
    .action((options: SmokeOptions) =>
      run('smoke', async (context) => (await import('../commands/smoke.ts')).smoke(context, options)),
    );
}
