import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { LogEntry } from '../phase-log.ts';
import { digestTable, nameOf, type RowsDigest, readTableShapes, type TableShape } from './digest.ts';
import type { Manifest } from './manifest.ts';

/** What the log of phases keeps of a backup that was restored elsewhere and compared. */
export interface VerifiedBackup {
  readonly dir: string;
  /** SHA-256 of its list of files. */
  readonly digest: string;
  readonly database: string;
  readonly systemId: string;
  readonly takenAt: string;
  /** By `schema.table`: its rows that nothing else can bring back; null where it has none by nature. */
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

/** Backups that were verified, the newest first. */
export function verifiedBackups(entries: readonly LogEntry[]): VerifiedBackup[] {
  return entries
    .filter(({ action, verdict }) => action === 'backup verified' && verdict === 'done')
    .map(({ detail }) => detail as VerifiedBackup)
    .reverse();
}

/** Tables that a drop would empty, with what they hold now. */
export interface Holding {
  readonly table: string;
  readonly rows: number;
  readonly irreplaceable: RowsDigest | null;
}

/** Reads what tables hold, by name; those that are empty or do not exist are left out. */
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

/** The newest verified backup of this database that holds these tables with exactly the irreplaceable rows that they have now; null: none does. Projected rows may have changed since: the log has them. */
export function findCover(
  backups: readonly VerifiedBackup[],
  database: { readonly name: string; readonly systemId: string },
  holdings: readonly Holding[],
): VerifiedBackup | null {
  return (
    backups.find(
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
    ) ?? null
  );
}

/** Throws `backup_missing` unless a verified backup covers these tables. */
export function assertCovered(
  backups: readonly VerifiedBackup[],
  database: { readonly name: string; readonly systemId: string },
  holdings: readonly Holding[],
): void {
  if (holdings.length === 0 || findCover(backups, database, holdings) !== null) return;
  const lost = holdings.map(({ table, rows, irreplaceable }) =>
    irreplaceable === null || irreplaceable.rows === 0
      ? `${table} (${rows} rows)`
      : `${table} (${rows} rows, ${irreplaceable.rows} of them in no log)`,
  );
  throw new CrosswalkError(
    'backup_missing',
    `This drops ${lost.join(', ')}, and no backup that was restored elsewhere and compared holds what is there now`,
    'Run `crosswalk backup create <dir>` and `crosswalk backup verify <dir> --into <empty database>`, and this again; or say --without-backup --reason "why".',
  );
}

/** Locks the tables against writers before it reads them, so that nothing is added between the look and the drop. For the transaction of a drop. */
export async function readHoldingsLocked(client: pg.ClientBase, tables: readonly string[]): Promise<Holding[]> {
  const shapes = (await readTableShapes(client, ['crm', 'crosswalk'])).filter(({ schema, name }) =>
    tables.includes(`${schema}.${name}`),
  );
  if (shapes.length === 0) return [];
  await client.query(`LOCK TABLE ${shapes.map((shape) => `ONLY ${nameOf(shape)}`).join(', ')} IN SHARE MODE`);
  return await readHoldings(client, ['crm', 'crosswalk'], ({ schema, name }) => tables.includes(`${schema}.${name}`));
}
