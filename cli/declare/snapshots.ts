import { type Command, Option } from 'commander';
import type { ResnapshotOptions } from '../commands/resnapshot.ts';
import type { SnapshotOptions } from '../commands/snapshot.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares reading legacy rows again. */
export function declareSnapshots(program: Command, run: Run): void {
  program
    .command('resnapshot')
    .argument('[tables...]', 'tables to read again; those that changed without an event by default')
    .option('--accept', 'read nothing: accept the source as it is, after a VACUUM FULL or CLUSTER')
    .addOption(
      new Option(
        '--skip',
        'the last resort: pass over every change that is committed and not in the log yet, and read all tables again',
      ).conflicts('accept'),
    )
    .option('--yes', 'skip without asking')
    .description(
      'after a change without events: accept the source as it is now, and have the connector read tables again',
    )
    .action((tables: string[], options: ResnapshotOptions) =>
      run('resnapshot', async (context) =>
        (await import('../commands/resnapshot.ts')).resnapshot(context, tables, options),
      ),
    );
  const snapshot = program
    .command('snapshot')
    .argument('<table>', 'captured table')
    .option('--where <condition>', 'rows that fulfil a condition in SQL')
    .option('--key <key...>', 'rows by primary key: its text, or a JSON array of the texts of several columns')
    .option('--workspace, --tenant <id>', 'rows of a tenant')
    .option('--repair', 'write the rows again even where nothing seems changed; keys without a row are deleted')
    .option('--max-rate <rows>', 'rows per second at most; as the connector is set by default', positiveInteger)
    .option('--dry-run', 'count the rows only')
    .option('--detach', 'do not wait for the end')
    .option('--yes', 'do it without asking')
    .addOption(json)
    .description('have the connector read rows again, beside the stream; exit code 1 where it could not')
    .action((table: string, options: SnapshotOptions) =>
      run('snapshot', async (context) => (await import('../commands/snapshot.ts')).snapshot(context, table, options)),
    );
  snapshot
    .command('list')
    .addOption(json)
    .description('snapshots that wait, run or are paused, and the last ones that are over')
    .action((_: object, command: Command) =>
      run('snapshot list', async (context) =>
        (await import('../commands/snapshot.ts')).list(context, command.optsWithGlobals()),
      ),
    );
  snapshot
    .command('watch')
    .argument('<id>', 'as `snapshot list` prints it')
    .addOption(json)
    .description('wait until it is over; exit code 1 unless it is done')
    .action((id: string, _: object, command: Command) =>
      run('snapshot watch', async (context) =>
        (await import('../commands/snapshot.ts')).watch(context, id, command.optsWithGlobals()),
      ),
    );
  for (const kind of ['pause', 'resume', 'cancel'] as const)
    snapshot
      .command(kind)
      .argument(
        '<id>',
        kind === 'cancel'
          ? 'as `snapshot list` prints it'
          : 'as `snapshot list` prints it, or `initial`: the initial load',
      )
      .addOption(json)
      .description(
        {
          pause: 'pause a snapshot',
          resume: 'resume a snapshot',
          cancel: 'cancel a snapshot; rows already read are kept',
        }[kind],
      )
      .action((id: string, _: object, command: Command) =>
        run(`snapshot ${kind}`, async (context) =>
          (await import('../commands/snapshot.ts')).control(context, kind, id, command.optsWithGlobals()),
        ),
      );
}
