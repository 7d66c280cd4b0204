import { type Command, Option } from 'commander';
import type { AssessCommandOptions } from '../commands/assess.ts';
import type { IntrospectOptions } from '../commands/introspect.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the commands that start a new pipeline. */
export function declareBegin(program: Command, run: Run): void {
  program
    .command('init')
    .argument('[folder]', 'target folder', '.')
    .addOption(json)
    .description('create the first files of a repository for your own pipeline; never overwrites a file')
    .action((folder: string, options: { json?: boolean }) =>
      run('init', async () => (await import('../commands/init.ts')).init(folder, options)),
    );
  program
    .command('introspect')
    .argument('[tables...]', 'legacy tables (default: all tables of the schema)')
    .requiredOption('--out <folder>', 'the folder of your pipeline')
    .option('--schema <name>', 'schema of the legacy tables', 'public')
    .option(
      '--target-schema <name>',
      'schema of the new tables (default: that of the pipeline, or app if there is no pipeline yet)',
    )
    .option('--tenant <column>', 'legacy column that identifies the tenant of a row', 'tenant_id')
    .option('--dry-run', 'write nothing')
    .addOption(json)
    .description(
      'generate types, projections and migrations for tables of the legacy database; never overwrites a file',
    )
    .action((tables: string[], options: IntrospectOptions) =>
      run('introspect', async (context) =>
        (await import('../commands/introspect.ts')).introspectTables(context, tables, options),
      ),
    );
  program
    .command('assess')
    .addOption(new Option('--full', 'run the mapping over every row').conflicts('sample'))
    .option('--sample <rows>', 'rows of each table to run the mapping over (default: 10,000)', positiveInteger)
    .option(
      '--rate <rows>',
      'measured rate of a load, in legacy rows per second (default: the documented rate)',
      positiveInteger,
    )
    .option('--html <file>', 'also write the report as an HTML page')
    .addOption(json)
    .description('analyse a legacy database before anything is set up, read-only; exit code 1 if it is blocked')
    .action((options: AssessCommandOptions) =>
      run('assess', async (context) => (await import('../commands/assess.ts')).assess(context, options)),
    );
}
