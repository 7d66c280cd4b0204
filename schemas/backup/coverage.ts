import { existsSync } from 'node:fs';
import type pg from 'pg';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { LogEntry } from '../phase-log.ts';
import { digestTable, nameOf, type RowsDigest, readTableShapes, type TableShape } from './digest.ts';
import { checkFolder } from './folder.ts';
import type { Manifest } from './manifest.ts';

/** The phase log's record of a backup that was restored elsewhere and compared. */
export interface VerifiedBackup {
  readonly dir: string;
  /** SHA-256 of its list of files. */
  readonly digest: string;
  readonly database: string;
  readonly systemId: string;
  readonly takenAt: string;
  /** By `schema.table`: its irreplaceable rows; null if it can have none. */
  readonly tables: Readonly<Record<string, RowsDigest | null>>;
}

export function toVerifiedBackup(dir: string, digest: string, manifest: Manifest): VerifiedBackup {
  return {
    dir,
    digest,
    database: manifest.server.database,
    systemId: manifest.server.systemId,
    takenAt: manifest.takenAt,
    tables: Object.fromEntries(
      manifest.tables.map(({ schema, name, irreplaceable }) => [`${schema}.${name}`, irreplaceable]),
    ),
  };
}

/** Verified backups, newest first. */
export function verifiedBackups(entries: readonly LogEntry[]): VerifiedBackup[] {
  return entries
    .filter(({ action, verdict }) => action === 'backup verified' && verdict === 'done')
    .map(({ detail }) => detail as VerifiedBackup)
    .reverse();
}

/** A table that a drop would empty, with its current contents. */
export interface Holding {
  readonly table: string;
  readonly rows: number;
  readonly irreplaceable: RowsDigest | null;
}

/** Reads the contents of tables, by name; omits those that are empty or do not exist. */
export async function readHoldings(
  client: pg.ClientBase,
  schemas: readonly string[],
  isAsked: (shape: TableShape) => boolean,
): Promise<Holding[]> {
  const holdings: Holding[] = [];
  for (const shape of (await readTableShapes(client, schemas)).filter(isAsked)) {
    const { all, irreplaceable } = await digestTable(client, shape);
    if (all.rows > 0) holdings.push({ table: `${shape.schema}.${shape.name}`, rows: all.rows, irreplaceable });
  }
  return holdings;
}

/** Tables with rows, by name. */
export async function readFilledTables(client: pg.ClientBase, schemas: readonly string[]): Promise<string[]> {
  const filled: string[] = [];
  for (const shape of await readTableShapes(client, schemas)) {
    const { rows } = await client.query(`SELECT FROM ONLY ${nameOf(shape)} LIMIT 1`);
    if (rows.length > 0) filled.push(`${shape.schema}.${shape.name}`);
  }
  return filled;
}

/**
 * Verified backups of this database, newest first, that hold these tables with exactly their current irreplaceable
 * rows. Projected rows may have changed since: the log has them.
 */
export function matchBackups(
  backups: readonly VerifiedBackup[],
  database: { readonly name: string; readonly systemId: string },
  holdings: readonly Holding[],
): VerifiedBackup[] {
  return backups.filter(
    (backup) =>
      backup.database === database.name &&
      backup.systemId === database.systemId &&
      holdings.every(({ table, irreplaceable }) => {
        const kept = backup.tables[table];
        if (kept === undefined) return false;
        return (
          irreplaceable === null || (kept?.rows === irreplaceable.rows && kept.checksum === irreplaceable.checksum)
        );
      }),
  );
}

/** Why the folder of a verified backup no longer matches what was verified, in words; null if it does. */
export type FindFault = (backup: VerifiedBackup) => Promise<string | null>;

/**
 * Reads every file of a folder, caching the result per folder: for a single command, which does not run long enough for
 * it to become stale.
 */
export function createFaultFinder(): FindFault {
  const known = new Map<string, Promise<string | null>>();
  return ({ dir, digest }) => {
    const key = `${digest} ${dir}`;
    const fault = known.get(key) ?? findFault(dir, digest);
    known.set(key, fault);
    return fault;
  };
}

async function findFault(dir: string, digest: string): Promise<string | null> {
  if (!existsSync(dir)) return `there is no folder ${dir} on this machine`;
  try {
    return (await checkFolder(dir, () => undefined)) === digest ? null : `${dir} holds another backup by now`;
  } catch (thrown) {
    return toCrosswalkError(thrown, dir).message;
  }
}

/**
 * The newest verified backup that holds these rows and is still intact; null if there is none. `faults`: why matching
 * backups were rejected.
 */
export async function findCover(
  backups: readonly VerifiedBackup[],
  database: { readonly name: string; readonly systemId: string },
  holdings: readonly Holding[],
  faultOf: FindFault = createFaultFinder(),
): Promise<{ readonly cover: VerifiedBackup | null; readonly faults: readonly string[] }> {
  const faults: string[] = [];
  for (const backup of matchBackups(backups, database, holdings)) {
    const fault = await faultOf(backup);
    if (fault === null) return { cover: backup, faults };
    faults.push(fault);
  }
  return { cover: null, faults };
}

/**
 * The verified backup that covers these tables; null if there is nothing to cover. Throws `backup_missing` if none
 * does.
 */
export async function requireCover(
  backups: readonly VerifiedBackup[],
  database: { readonly name: string; readonly systemId: string },
  holdings: readonly Holding[],
  faultOf: FindFault = createFaultFinder(),
): Promise<VerifiedBackup | null> {
  if (holdings.length === 0) return null;
  const { cover, faults } = await findCover(backups, database, holdings, faultOf);
  if (cover !== null) return cover;
  const lost = holdings.map(({ table, rows, irreplaceable }) =>
    irreplaceable === null || irreplaceable.rows === 0
      ? `${table} (${rows} rows)`
      : `${table} (${rows} rows, ${irreplaceable.rows} of them in no log)`,
  );
  throw new CrosswalkError(
    faults.length === 0 ? 'backup_missing' : 'backup_missing.moved',
    `This drops or changes ${lost.join(', ')}, and no backup that was restored elsewhere and compared holds what is there now${faults.length === 0 ? '' : ` and can still be read: ${faults.slice(0, 5).join('; ')}`}`,
  );
}

/**
 * Locks the tables against writers before reading them, so that nothing is added between the check and the drop. For
 * the transaction of a drop.
 */
export async function readHoldingsLocked(client: pg.ClientBase, tables: readonly string[]): Promise<Holding[]> {
  const schemas = [...new Set(tables.map((table) => table.slice(0, table.indexOf('.'))))];
  const shapes = (await readTableShapes(client, schemas)).filter(({ schema, name }) =>
    tables.includes(`${schema}.${name}`),
  );
  if (shapes.length === 0) return [];
  await client.query(`LOCK TABLE ${shapes.map((shape) => `ONLY ${nameOf(shape)}`).join(', ')} IN SHARE MODE`);
  return await readHoldings(client, schemas, ({ schema, name }) => tables.includes(`${schema}.${name}`));
}
