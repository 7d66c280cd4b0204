import type { Command } from 'commander';
import type { SeedOptions } from '../commands/seed.ts';
import { json } from './options.ts';
import type { Run } from './run.ts';

/** Declares the command that adds rows for developers of the application. */
export function declareSeed(program: Command, run: Run): void {
  program
    .command('seed')
    .option('--development', 'confirm that this is a development database (required)')
    .option('--tenant <id>', 'tenant that gets the rows (default: the one that the pipeline names)')
    .option('--dry-run', 'add the rows, count them and roll back')
    .addOption(json)
    .description('add sample rows of the application; refused with exit code 1 if the application has rows already')
    .action((options: SeedOptions) =>
      run('seed', async (context) => (await import('../commands/seed.ts')).seed(context, options)),
    );
}
