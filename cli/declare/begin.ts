import { type Command, Option } from 'commander';
import type { AssessCommandOptions } from '../commands/assess.ts';
import type { IntrospectOptions } from '../commands/introspect.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares beginning with a database of one's own. */
export function declareBegin(program: Command, run: Run): void {
  program
    .command('init')
    .argument('[folder]', 'where to', '.')
    .addOption(json)
    .description('write the first files of a repository with a pipeline of your own; never over a file that is there')
    .action((folder: string, options: { json?: boolean }) =>
      run('init', async () => (await import('../commands/init.ts')).init(folder, options)),
    );
  program
    .command('introspect')
    .argument('[tables...]', 'legacy tables; all of the schema by default')
    .requiredOption('--out <folder>', 'the folder of your pipeline')
    .option('--schema <name>', 'schema of the legacy tables', 'public')
    .option('--target-schema <name>', 'schema of the new tables; that of the pipeline, or app where there is none yet')
    .option('--tenant <column>', 'legacy column that names whose a row is', 'tenant_id')
    .option('--dry-run', 'write nothing')
    .addOption(json)
    .description(
      'write types, projections and migrations for tables of the legacy database; never over a file that is there',
    )
    .action((tables: string[], options: IntrospectOptions) =>
      run('introspect', async (context) =>
        (await import('../commands/introspect.ts')).introspectTables(context, tables, options),
      ),
    );
  program
    .command('assess')
    .addOption(new Option('--full', 'run the mapping over every row').conflicts('sample'))
    .option('--sample <rows>', 'rows of each table to run the mapping over; 10,000 by default', positiveInteger)
    .option(
      '--rate <rows>',
      'legacy rows a second that a load was measured at; the documented rate by default',
      positiveInteger,
    )
    .option('--html <file>', 'write the report as a page, too')
    .addOption(json)
    .description('look at a legacy database before anything is set up, reading only; exit code 1 where it is blocked')
    .action((options: AssessCommandOptions) =>
      run('assess', async (context) => (await import('../commands/assess.ts')).assess(context, options)),
    );
}
