import type { Command } from 'commander';
import { positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the commands that run everything on this machine. */
export function declareLocal(program: Command, run: Run): void {
  program
    .command('up')
    .option('--rows <count>', 'size of the sample, if SAMPLE=1 is set', positiveInteger, 20_000)
    .description('start a stack with connector and projectors, and keep it running until Ctrl-C')
    .action((options: { rows: number }) =>
      run('up', async (context) => (await import('../commands/up.ts')).up(context, options)),
    );
  program
    .command('demo')
    .option('--rows <count>', 'size of the sample', positiveInteger, 5000)
    .option('--seconds <count>', 'duration of the live traffic', positiveInteger, 10)
    .description('load a sample legacy database, follow its initial load, run live traffic, verify every row')
    .action((options: { rows: number; seconds: number }) =>
      run('demo', async (context) => (await import('../commands/demo.ts')).demo(context, options)),
    );
}
