import { type Command, Option } from 'commander';
import type { RebuildCommandOptions } from '../commands/rebuild.ts';
import type { VerifyCommandOptions } from '../commands/verify.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares rows: whether they are right, where they come from, how they are made anew. */
export function declareRows(program: Command, run: Run): void {
  program
    .command('verify')
    .option('--limit <rows>', 'differences to print', positiveInteger, 20)
    .option('--unmask', 'print the values that differ')
    .option('--workspace, --tenant <id>', 'only the rows of this tenant')
    .option('--max-rate <rows>', 'rows a second at most', positiveInteger)
    .option('--resume', 'go on with the last verification that was stopped')
    .option('--repair', 'have the legacy rows of what differs read again, and projected')
    .option('--yes', 'repair without asking')
    .addOption(
      new Option('--watch', 'verify again and again until SIGTERM, with /healthz and /metrics').conflicts([
        ...['repair', 'resume', 'oracle', 'json', 'limit', 'unmask'],
      ]),
    )
    .option('--rest <seconds>', 'between two passes of --watch', positiveInteger, 60)
    .addOption(
      new Option(
        '--oracle <which>',
        'compare with rows computed by SQL of its own, instead of the mapping: at rest only',
      )
        .choices(['sql'])
        .conflicts(['repair', 'resume', 'tenant', 'maxRate']),
    )
    .addOption(
      new Option('--sql', 'print checks on the whole as a script for psql, and look at nothing').conflicts([
        ...['repair', 'resume', 'tenant', 'maxRate', 'watch', 'oracle', 'unmask'],
      ]),
    )
    .addOption(json)
    .description('compare every row with what the legacy rows imply, under traffic too; exit code 1 on any difference')
    .action((options: VerifyCommandOptions) =>
      run(options.watch ? 'verify --watch' : 'verify', async (context) => {
        if (options.sql) return (await import('../commands/verify-sql.ts')).printSqlChecks(context, options);
        const commands = await import('../commands/verify.ts');
        if (options.watch) return commands.watch(context, options);
        return options.oracle === undefined ? commands.verify(context, options) : commands.askOracle(context, options);
      }),
    );
  program
    .command('rejects')
    .option('--limit <rows>', 'rows to print', positiveInteger, 50)
    .option('--unmask', 'print the legacy values')
    .addOption(json)
    .description('legacy values that have no valid form in the new schema')
    .action((options: { limit: number; unmask?: boolean; json?: boolean }) =>
      run('rejects', async (context) => (await import('../commands/rejects.ts')).rejects(context, options)),
    );
  program
    .command('explain')
    .argument('<table>', 'a table of the new schema; with --legacy a legacy one')
    .argument('<key...>', "the row's id; with --legacy its key: one argument for each column, or a JSON array of them")
    .option('--legacy', 'a legacy row: everything that it became')
    .option('--unmask', 'print cell values')
    .option('--full', "every contributor's events, and whatever else takes long to find")
    .option('--since <time>', 'only changes committed since then, such as 2026-07-01T10:30:00Z: reads less of the log')
    .option('--limit <events>', 'events and rows to print', positiveInteger, 200)
    .addOption(json)
    .description('which legacy row and change made a row, its events in the log, and what each column came from')
    .action(
      (
        table: string,
        key: string[],
        options: {
          legacy?: boolean;
          unmask?: boolean;
          full?: boolean;
          since?: string;
          limit: number;
          json?: boolean;
        },
      ) =>
        run('explain', async (context) =>
          (await import('../commands/explain.ts')).explain(context, table, key, options),
        ),
    );
  program
    .command('rebuild')
    .argument('<projections...>', 'names, or all')
    .option('--from <place>', 'beginning, offset:<n>, or a time: what came before is left alone', 'beginning')
    .option('--dry-run', 'tell what would change, and change nothing')
    .option('--yes', 'merge what differs without asking')
    .option('--resume', 'go on with one that was stopped')
    .option('--discard', 'drop one that was stopped')
    .option('--name <name>', 'of the shadow; that of the projections by default')
    .option('--max-rate <records>', 'at most so many a second', positiveInteger)
    .option('--limit <rows>', 'rows that differ to print, of each table', positiveInteger, 20)
    .option('--unmask', 'print the values that differ')
    .addOption(json)
    .description('replay the log into shadow tables, tell what differs from the live ones, and merge it; Ctrl-C pauses')
    .action((names: string[], options: RebuildCommandOptions) =>
      run('rebuild', async (context) => (await import('../commands/rebuild.ts')).rebuild(context, names, options)),
    );
}
