import type { Command } from 'commander';
import { positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares everything on this machine. */
export function declareLocal(program: Command, run: Run): void {
  program
    .command('up')
    .option('--rows <count>', 'size of the sample, where SAMPLE=1 asks for it', positiveInteger, 20_000)
    .description('start a stack with connector and projectors and keep it running until Ctrl-C')
    .action((options: { rows: number }) =>
      run('up', async (context) => (await import('../commands/up.ts')).up(context, options)),
    );
  program
    .command('demo')
    .option('--rows <count>', 'size of the sample', positiveInteger, 5000)
    .option('--seconds <count>', 'how long live traffic runs', positiveInteger, 10)
    .description('load a sample legacy database, watch it arrive, run live traffic, verify every row')
    .action((options: { rows: number; seconds: number }) =>
      run('demo', async (context) => (await import('../commands/demo.ts')).demo(context, options)),
    );
}
