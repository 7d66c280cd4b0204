import type { Command } from 'commander';
import { json } from './options.ts';
import type { Run } from './run.ts';

/** Declares how the pipeline is. */
export function declareState(program: Command, run: Run): void {
  program
    .command('status')
    .addOption(json)
    .description('the pipeline at a glance; exit code 1 unless healthy')
    .action((options: { json?: boolean }) =>
      run('status', async (context) => (await import('../commands/status.ts')).status(context, options)),
    );
  program
    .command('lag')
    .addOption(json)
    .description('how far behind, by topic and partition; exit code 1 when failing')
    .action((options: { json?: boolean }) =>
      run('lag', async (context) => (await import('../commands/lag.ts')).lag(context, options)),
    );
  program
    .command('doctor')
    .addOption(json)
    .description(
      'check everything that the pipeline needs, each finding with its remedy; exit code 1 where something fails',
    )
    .action((options: { json?: boolean }) =>
      run('doctor', async (context) => (await import('../commands/doctor.ts')).doctor(context, options)),
    );
}
