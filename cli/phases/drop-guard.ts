import type pg from 'pg';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { type Check, checksOf } from '../../runtime/pipeline-checks.ts';
import {
  assertCovered,
  findCover,
  type Holding,
  readHoldings,
  readHoldingsLocked,
  verifiedBackups,
} from '../../schemas/backup/coverage.ts';
import { readSystemId } from '../../schemas/backup/create.ts';
import { inDdlTransaction } from '../../schemas/ddl-retry.ts';
import { findLosses } from '../../schemas/losses.ts';
import type { MigrateOptions } from '../../schemas/migrations.ts';
import { readEntries } from '../../schemas/phase-log.ts';
import type { PhaseOptions } from './phase.ts';

export async function readDatabase(client: pg.Client): Promise<{ name: string; systemId: string }> {
  const { rows } = await client.query<{ name: string }>('SELECT current_database()::text AS name');
  return { name: rows[0]!.name, systemId: await readSystemId(client) };
}

/** The verified backup that holds what these tables hold now; null: none. */
export async function findCoverNow(client: pg.Client, holdings: readonly Holding[]) {
  return findCover(verifiedBackups(await readEntries(client)), await readDatabase(client), holdings);
}

/** Whether statements may be run that drop tables: nothing with rows is dropped that no verified backup holds. */
export async function checkDrops(
  client: pg.Client,
  statements: readonly string[],
  options: Pick<PhaseOptions, 'lockTimeoutMs' | 'withoutBackup'>,
): Promise<Check> {
  const { ok, failing } = checksOf('target');
  const lost = await inDdlTransaction(client, options.lockTimeoutMs, () => findLosses(client, statements));
  const holdings = await readHoldings(client, ['crm', 'crosswalk'], ({ schema, name }) =>
    lost.includes(`${schema}.${name}`),
  );
  if (holdings.length === 0) return ok('backup', 'no row is lost');
  if (options.withoutBackup !== null) return ok('backup', `none is asked for, because: ${options.withoutBackup}`);
  try {
    const backups = verifiedBackups(await readEntries(client));
    const database = await readDatabase(client);
    assertCovered(backups, database, holdings);
    const cover = findCover(backups, database, holdings)!;
    return ok(
      'backup',
      `${cover.dir} of ${cover.takenAt} was restored elsewhere and compared, and holds what is there now`,
    );
  } catch (thrown) {
    const { message, remedy } = toCrosswalkError(thrown, 'backup');
    return failing('backup', message, remedy);
  }
}

/**
 * What migrations, up or down, are asked before each transaction: it throws `backup_missing` unless a backup that was restored elsewhere and compared holds what its statements would drop, with the tables locked against
 * writers until the drop is done. `withoutBackup`: the reason why none is asked for; null: one is.
 */
export async function createDropGuard(
  client: pg.Client,
  withoutBackup: string | null,
): Promise<NonNullable<MigrateOptions['guard']>> {
  const database = await readDatabase(client);
  return async (transaction, sql) => {
    // Statements are only tried where they may drop something.
    if (withoutBackup !== null || !/\bDROP\b/i.test(sql)) return;
    const lost = await findLosses(transaction, [sql]);
    if (lost.length === 0) return;
    const backups = verifiedBackups(await readEntries(transaction));
    assertCovered(backups, database, await readHoldingsLocked(transaction, lost));
  };
}
