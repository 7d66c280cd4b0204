import type { Command } from 'commander';
import { json } from './options.ts';
import type { Run } from './run.ts';

/** Declares the commands that show the state of the pipeline. */
export function declareState(program: Command, run: Run): void {
  program
    .command('status')
    .addOption(json)
    .description('show the pipeline at a glance; exit code 1 unless healthy')
    .action((options: { json?: boolean }) =>
      run('status', async (context) => (await import('../commands/status.ts')).status(context, options)),
    );
  program
    .command('lag')
    .addOption(json)
    .description('show how far behind the pipeline is, by topic and partition; exit code 1 if failing')
    .action((options: { json?: boolean }) =>
      run('lag', async (context) => (await import('../commands/lag.ts')).lag(context, options)),
    );
  program
    .command('doctor')
    .addOption(json)
    .description(
      'check all prerequisites of the pipeline, each finding with its remedy; exit code 1 if something fails',
    )
    .action((options: { json?: boolean }) =>
      run('doctor', async (context) => (await import('../commands/doctor.ts')).doctor(context, options)),
    );
}
