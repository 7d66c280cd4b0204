import type pg from 'pg';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import {
  createFaultFinder,
  findCover,
  type Holding,
  readHoldings,
  readHoldingsLocked,
  requireCover,
  verifiedBackups,
} from '../../schemas/backup/coverage.ts';
import { readSystemId } from '../../schemas/backup/create.ts';
import { type DdlOptions, ddlDefaults, inDdlTransaction, retryLocked } from '../../schemas/ddl-retry.ts';
import { findLosses, mayLose } from '../../schemas/losses.ts';
import type { MigrateOptions } from '../../schemas/migrations.ts';
import { readEntries } from '../../schemas/phase-log.ts';
import { toRefusal } from '../../schemas/refusal.ts';
import type { PhaseOptions } from './phase.ts';

export async function readDatabase(client: pg.Client): Promise<{ name: string; systemId: string }> {
  const { rows } = await client.query<{ name: string }>('SELECT current_database()::text AS name');
  return { name: rows[0]!.name, systemId: await readSystemId(client) };
}

/** The verified backup that holds the present rows of these tables and still exists; null if there is none. */
export async function findCoverNow(client: pg.Client, holdings: readonly Holding[]) {
  return (await findCover(verifiedBackups(await readEntries(client)), await readDatabase(client), holdings)).cover;
}

/** Checks whether statements that lose rows may run: every lost row must be in a verified backup. Tries them, with the locks that they take, and rolls back. */
export async function checkDrops(
  client: pg.Client,
  statements: readonly string[],
  options: Pick<PhaseOptions, 'lockTimeoutMs' | 'withoutBackup'>,
  ddl: DdlOptions = { ...ddlDefaults, lockTimeoutMs: options.lockTimeoutMs },
): Promise<Check> {
  const { ok, failing } = checksOf('target');
  try {
    const lost = await retryLocked(client, 'trying the statements', ddl, () =>
      inDdlTransaction(client, ddl.lockTimeoutMs, () => findLosses(client, statements)),
    );
    const holdings = await readHoldings(
      client,
      [...new Set(lost.map((table) => table.slice(0, table.indexOf('.'))))],
      ({ schema, name }) => lost.includes(`${schema}.${name}`),
    );
    if (holdings.length === 0) return ok('backup', 'no row is lost');
    if (options.withoutBackup !== null) return ok('backup', `none is asked for, because: ${options.withoutBackup}`);
    const cover = (await requireCover(
      verifiedBackups(await readEntries(client)),
      await readDatabase(client),
      holdings,
    ))!;
    return ok(
      'backup',
      `${cover.dir} of ${cover.takenAt} was restored elsewhere and compared, and holds what is there now`,
    );
  } catch (thrown) {
    if (ddl.signal.aborted) throw thrown;
    const { message, remedy } = toCrosswalkError(toRefusal(thrown, 'trying the statements'), 'trying the statements');
    return failing('backup', message, remedy);
  }
}

/**
 * Creates the guard that migrations, up or down, call before each transaction. It throws `backup_missing` unless a backup that was restored elsewhere and compared holds
 * what the statements would lose, with the tables locked against writers until the drop is done. `withoutBackup`: why no backup is required; null: one is.
 */
export async function createDropGuard(
  client: pg.Client,
  withoutBackup: string | null,
): Promise<NonNullable<MigrateOptions['guard']>> {
  const database = await readDatabase(client);
  const faultOf = createFaultFinder();
  return async (transaction, sql) => {
    if (withoutBackup !== null || !mayLose(sql)) return;
    const lost = await findLosses(transaction, [sql]);
    if (lost.length === 0) return;
    const backups = verifiedBackups(await readEntries(transaction));
    // The session is idle while the files of a backup are read.
    await transaction.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await requireCover(backups, database, await readHoldingsLocked(transaction, lost), faultOf);
  };
}
