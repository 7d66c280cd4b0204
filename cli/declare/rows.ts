import { type Command, Option } from 'commander';
import type { RebuildCommandOptions } from '../commands/rebuild.ts';
import type { VerifyCommandOptions } from '../commands/verify.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the commands about rows: verification, origin, rebuild. */
export function declareRows(program: Command, run: Run): void {
  program
    .command('verify')
    .option('--limit <rows>', 'maximum differences to print', positiveInteger, 20)
    .option('--unmask', 'print the differing values')
    .option('--workspace, --tenant <id>', 'only the rows of this tenant')
    .option('--max-rate <rows>', 'maximum rows per second', positiveInteger)
    .option('--resume', 'resume the last verification that was stopped')
    .option('--repair', 'reread and project the legacy rows behind the differences')
    .option('--yes', 'repair without confirmation')
    .addOption(
      new Option('--watch', 'verify repeatedly until SIGTERM, with /healthz and /metrics').conflicts([
        ...['repair', 'resume', 'oracle', 'json', 'limit', 'unmask'],
      ]),
    )
    .option('--rest <seconds>', 'pause between two passes of --watch', positiveInteger, 60)
    .addOption(
      new Option(
        '--oracle <which>',
        'compare with rows computed by independent SQL instead of the mapping; only without traffic',
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
    .description(
      'compare every row with the rows that the legacy rows imply, even under traffic; exit code 1 on any difference',
    )
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
    .option('--limit <rows>', 'maximum rows to print', positiveInteger, 50)
    .option('--unmask', 'print the legacy values')
    .addOption(json)
    .description('list legacy values that have no valid form in the new schema')
    .action((options: { limit: number; unmask?: boolean; json?: boolean }) =>
      run('rejects', async (context) => (await import('../commands/rejects.ts')).rejects(context, options)),
    );
  program
    .command('explain')
    .argument('<table>', 'a table of the new schema; with --legacy, a legacy table')
    .argument('<key...>', "the row's id; with --legacy, its key: one argument for each column, or a JSON array of them")
    .option('--legacy', 'explain a legacy row: everything that it became')
    .option('--unmask', 'print cell values')
    .option('--full', "include every contributor's events, and everything else that takes long to find")
    .option(
      '--since <time>',
      'only changes committed since this time, such as 2026-07-01T10:30:00Z: reads less of the log',
    )
    .option('--limit <events>', 'maximum events and rows to print', positiveInteger, 200)
    .addOption(json)
    .description(
      'show which legacy row and change produced a row, its events in the log, and the origin of each column',
    )
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
    .argument('<projections...>', 'names of projections, or all')
    .option('--from <place>', 'beginning, offset:<n>, or a time: earlier changes are left alone', 'beginning')
    .option('--dry-run', 'report what would change, and change nothing')
    .option('--yes', 'merge differences without confirmation')
    .option('--resume', 'resume a rebuild that was stopped')
    .option('--discard', 'drop a rebuild that was stopped')
    .option('--name <name>', 'name of the shadow (default: that of the projections)')
    .option('--max-rate <records>', 'maximum records per second', positiveInteger)
    .option('--limit <rows>', 'maximum differing rows to print per table', positiveInteger, 20)
    .option('--unmask', 'print the differing values')
    .addOption(json)
    .description(
      'replay the log into shadow tables, report differences from the live tables, and merge them; Ctrl-C pauses',
    )
    .action((names: string[], options: RebuildCommandOptions) =>
      run('rebuild', async (context) => (await import('../commands/rebuild.ts')).rebuild(context, names, options)),
    );
}
