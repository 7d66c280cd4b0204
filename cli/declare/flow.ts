import type { Command } from 'commander';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the processes of the pipeline, and the commands that wait for them. */
export function declareFlow(program: Command, run: Run): void {
  program
    .command('connect')
    .description('run one connector process: legacy PostgreSQL to Kafka')
    .action(() => run('connect', async (context) => (await import('../commands/connect.ts')).connect(context)));
  program
    .command('project')
    .argument('[projections...]', 'names of projections (default: all)')
    .description('run one projector process: Kafka to the new schema')
    .action((names: string[]) =>
      run('project', async (context) => (await import('../commands/project.ts')).project(context, names)),
    );
  program
    .command('wait')
    .option('--lsn <lsn>', 'position in the legacy database (default: everything committed so far)')
    .option('--timeout <seconds>', 'time limit', positiveInteger, 600)
    .addOption(json)
    .description('wait until everything up to a position is applied')
    .action((options: { lsn?: string; timeout: number; json?: boolean }) =>
      run('wait', async (context) => (await import('../commands/wait.ts')).wait(context, options)),
    );
}
