import { type Command, Option } from 'commander';
import type { ResnapshotOptions } from '../commands/resnapshot.ts';
import type { SnapshotOptions } from '../commands/snapshot.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

/** Declares the commands that read legacy rows again. */
export function declareSnapshots(program: Command, run: Run): void {
  program
    .command('resnapshot')
    .argument('[tables...]', 'tables to reread (default: tables that changed without an event)')
    .option('--accept', 'accept the source as it is without reading, after a VACUUM FULL or CLUSTER')
    .addOption(
      new Option(
        '--skip',
        'the last resort: skip every committed change that is not in the log yet, and reread all tables',
      ).conflicts('accept'),
    )
    .option('--yes', 'skip without confirmation')
    .description('after a change without events: accept the source as it is now, and make the connector reread tables')
    .action((tables: string[], options: ResnapshotOptions) =>
      run('resnapshot', async (context) =>
        (await import('../commands/resnapshot.ts')).resnapshot(context, tables, options),
      ),
    );
  const snapshot = program
    .command('snapshot')
    .argument('<table>', 'a captured table')
    .option('--where <condition>', 'only rows that match an SQL condition')
    .option(
      '--key <key...>',
      'only rows with these primary keys: the text of the key, or a JSON array of texts for several columns',
    )
    .option('--workspace, --tenant <id>', 'only rows of this tenant')
    .option('--repair', 'write the rows even if nothing seems to have changed; keys without a row are deleted')
    .option('--max-rate <rows>', 'maximum rows per second (default: the setting of the connector)', positiveInteger)
    .option('--dry-run', 'only count the rows')
    .option('--detach', 'return without waiting for the end')
    .option('--yes', 'start without confirmation')
    .addOption(json)
    .description('make the connector reread rows, beside the stream; exit code 1 if it could not')
    .action((table: string, options: SnapshotOptions) =>
      run('snapshot', async (context) => (await import('../commands/snapshot.ts')).snapshot(context, table, options)),
    );
  snapshot
    .command('list')
    .addOption(json)
    .description('list snapshots that wait, run or are paused, and the last ones that have ended')
    .action((_: object, command: Command) =>
      run('snapshot list', async (context) =>
        (await import('../commands/snapshot.ts')).list(context, command.optsWithGlobals()),
      ),
    );
  snapshot
    .command('watch')
    .argument('<id>', 'an id printed by `snapshot list`')
    .addOption(json)
    .description('wait until a snapshot has ended; exit code 1 unless it is done')
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
          ? 'an id printed by `snapshot list`'
          : 'an id printed by `snapshot list`, or `initial` for the initial load',
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
