import type { Command } from 'commander';
import type { SeedOptions } from '../commands/seed.ts';
import { json } from './options.ts';
import type { Run } from './run.ts';

/** Declares rows for the developers of the application. */
export function declareSeed(program: Command, run: Run): void {
  program
    .command('seed')
    .option('--development', 'say that this is a database of developers')
    .option('--tenant <id>', 'whose rows they are; the tenant that the pipeline names by default')
    .option('--dry-run', 'add the rows, count them and take them back')
    .addOption(json)
    .description(
      'add made-up rows of the application; refused with exit code 1 where rows of the application are there already',
    )
    .action((options: SeedOptions) =>
      run('seed', async (context) => (await import('../commands/seed.ts')).seed(context, options)),
    );
}
