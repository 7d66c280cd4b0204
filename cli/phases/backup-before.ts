import { join, resolve } from 'node:path';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import {
  findCover,
  readFilledTables,
  readHoldings,
  type VerifiedBackup,
  verifiedBackups,
} from '../../schemas/backup/coverage.ts';
import type { PhaseName } from '../../schemas/phase-log.ts';
import { restoreElsewhere, takeBackup } from '../backup-run.ts';
import { readDatabase } from './drop-guard.ts';
import { type PhaseRun, schemasOf } from './phase.ts';

/** Tables that record past actions; they do not count as rows to lose. */
export const isRecord = (table: string) => table === 'crosswalk.migration' || table === 'crosswalk.phase_log';

/** The folder of all backups. Each backup gets a new folder in it, so that the same command can be run again. */
export const backupsOf = ({ options }: Pick<PhaseRun, 'options'>) => resolve(options.backupDir ?? '.crosswalk/backups');

/**
 * Tables of the new schema with rows, and the verified backup that holds those of their rows that cannot be restored otherwise; null if there is none. Reads every row if
 * a backup might hold them.
 */
export async function readHeld(
  run: PhaseRun,
): Promise<{ readonly filled: readonly string[]; readonly cover: VerifiedBackup | null }> {
  const { target } = run;
  const schemas = schemasOf(run);
  const filled = (await readFilledTables(target, schemas)).filter((table) => !isRecord(table));
  const backups = filled.length === 0 ? [] : verifiedBackups(await run.entries());
  if (!backups.some(({ tables }) => filled.every((table) => table in tables))) return { filled, cover: null };
  const holdings = await readHoldings(target, schemas, ({ schema, name }) => filled.includes(`${schema}.${name}`));
  return { filled, cover: (await findCover(backups, await readDatabase(target), holdings)).cover };
}

/** Runs whose backup was made or found at their beginning, and that have changed nothing since. */
const backedUp = new WeakSet<PhaseRun>();

export function rememberBackup(run: PhaseRun): void {
  backedUp.add(run);
}

/** Ensures that the rows about to change are in a verified backup, existing or new. A failing check is a no-go for the phase. */
export async function backUpBefore(run: PhaseRun, phase: PhaseName): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const { context, target, options, runId, say, progress } = run;
  if (options.withoutBackup !== null) return [ok('backup', `none is made, because: ${options.withoutBackup}`)];
  // No backup holds what this phase changes from here on.
  if (backedUp.delete(run)) return [ok('backup', 'that of this run')];
  const { filled, cover } = await readHeld(run);
  if (filled.length === 0) return [ok('backup', 'the new schema holds no row yet that one could keep')];
  if (cover !== null) return [ok('backup', `${cover.dir} of ${cover.takenAt} holds what is there now`)];
  const dir = join(backupsOf(run), `${runId}-before-${phase}`);
  const backupRun = { log: target, runId, env: context.env, signal: context.signal, say, progress };
  try {
    const url = context.config.targetOwnerUrl();
    await takeBackup(backupRun, dir, { url, schemas: schemasOf(run) });
    const { ok: isEqual, tables, differences } = await restoreElsewhere(backupRun, dir, options.restoreInto, url);
    return [
      isEqual
        ? ok('backup', `${dir}: restored elsewhere, ${tables.length} tables with equal counts and checksums`)
        : failing(
            'backup',
            `${dir}: what was restored is not the same: ${differences.slice(0, 5).join('; ')}`,
            'Do not go on. Run it again; if it stays so, use pg_dump and report this.',
          ),
    ];
  } catch (thrown) {
    context.signal.throwIfAborted();
    const { message, remedy } = toCrosswalkError(thrown, 'backup');
    return [failing('backup', `No backup before this phase: ${message}`, remedy)];
  }
}
