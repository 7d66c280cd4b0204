import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import type { Cell, Contribution, Projection } from '../projection.ts';
import type { Lineage, SourceChange } from '../source-change.ts';
import type { Held, Progress, RowName } from './explanation.ts';

/** A row of the target database, every cell in PostgreSQL's text form. */
export type TargetRow = Readonly<Record<string, Cell>>;

/** Types by column, in PostgreSQL's own notation. */
export type ColumnTypes = ReadonlyMap<string, string>;

const INVALID_INPUT = /^22/;

/** Columns of a projected table with their types, in order. Throws `schema_missing` if there is no such table. */
export async function readColumnTypes(client: pg.ClientBase, table: string): Promise<ColumnTypes> {
  const { rows } = await client.query<{ name: string; type: string }>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [quoteIdent(table)],
  );
  if (rows.length === 0) throw new CrosswalkError('schema_missing', `The target database has no table ${table}`);
  return new Map(rows.map(({ name, type }) => [name, type]));
}

/** Reads a row by id; null if there is none. Throws `config_invalid` if the text is not a valid id of the table. */
export async function readRow(
  client: pg.ClientBase,
  table: string,
  types: ColumnTypes,
  id: string,
): Promise<TargetRow | null> {
  const type = types.get('id') ?? 'text';
  try {
    const { rows } = await client.query<Record<string, Cell>>(
      `SELECT * FROM ${quoteIdent(table)} WHERE id = $1::text::${type}`,
      [id],
    );
    return rows[0] ?? null;
  } catch (error) {
    if (!INVALID_INPUT.test(String((error as { code?: unknown }).code))) throw error;
    throw new CrosswalkError('config_invalid.id_type', `The id of ${table} is not valid`, { type });
  }
}

/** Runs statements in a savepoint, so that their failure leaves the caller's transaction intact. */
async function attempt<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('SAVEPOINT attempt');
  try {
    return await work();
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT attempt');
    throw error;
  }
}

/** Returns the tables that hold a row with this id, whatever the types of their ids. */
export async function findTablesWith(client: pg.ClientBase, tables: readonly string[], id: string): Promise<string[]> {
  const found: string[] = [];
  for (const table of tables) {
    const row = await attempt(client, async () =>
      readRow(client, table, await readColumnTypes(client, table), id),
    ).catch((error: unknown) => {
      if (error instanceof CrosswalkError) return null;
      throw error;
    });
    if (row !== null) found.push(table);
  }
  return found;
}

/** Lineage and state of a row. */
export function toRowName(table: string, row: TargetRow): RowName {
  return {
    table,
    id: row.id ?? '',
    state: (row.deleted_at ?? null) === null ? 'live' : 'soft-deleted',
    origin: row.origin ?? '',
    deletedAt: row.deleted_at ?? null,
    legacyTable: row.legacy_table ?? '',
    legacyKey: row.legacy_key ?? '',
    lsn: row.source_lsn ?? '',
    xid: row.source_xid ?? '',
    committedAt: row.source_committed_at ?? '',
    mappingVersion: row.mapping_version ?? '',
  };
}

/** Rows of a table in which a column has one of the given values, ordered by id; at most `limit`. */
export async function readRowsBy(
  client: pg.ClientBase,
  table: string,
  types: ColumnTypes,
  by: { readonly column: string; readonly values: readonly string[] },
  limit: number,
): Promise<TargetRow[]> {
  const { rows } = await client.query<Record<string, Cell>>(
    `SELECT * FROM ${quoteIdent(table)} WHERE ${quoteIdent(by.column)} = ANY ($1::text[]::${types.get(by.column) ?? 'text'}[]) ORDER BY id LIMIT $2`,
    [by.values, limit],
  );
  return rows;
}

/** Texts as PostgreSQL prints values of these columns; unchanged if one of them is invalid for its type. */
export async function toPrinted(
  client: pg.ClientBase,
  types: ColumnTypes,
  cells: Readonly<Record<string, Cell>>,
): Promise<Readonly<Record<string, Cell>>> {
  const columns = Object.keys(cells).filter((column) => types.has(column));
  if (columns.length === 0) return {};
  const list = columns.map((column, index) => `$${index + 1}::text::${types.get(column)} AS ${quoteIdent(column)}`);
  try {
    const { rows } = await attempt(client, () =>
      client.query<Record<string, Cell>>(
        `SELECT ${list.join(', ')}`,
        columns.map((column) => cells[column] ?? null),
      ),
    );
    return rows[0]!;
  } catch (error) {
    if (!INVALID_INPUT.test(String((error as { code?: unknown }).code))) throw error;
    return cells;
  }
}

/** A stored contribution, with the lineage of the change that wrote it. */
export interface StoredContribution extends Contribution {
  readonly aggregate: string;
  readonly mergeKey: string;
  readonly lineage: Lineage;
  readonly mappingVersion: string;
}

interface ContributionRow {
  readonly aggregate: string;
  readonly merge_key: string;
  readonly legacy_table: string;
  readonly legacy_key: string;
  readonly live: string;
  readonly moved_to: string | null;
  readonly data: string;
  readonly source_lsn: string;
  readonly source_xid: string;
  readonly source_committed_at: string;
  readonly mapping_version: string;
}

async function queryContributions(
  client: pg.ClientBase,
  condition: string,
  values: readonly unknown[],
): Promise<StoredContribution[]> {
  const { rows } = await client.query<ContributionRow>(
    `SELECT aggregate, merge_key, legacy_table, legacy_key, live, moved_to, data, source_lsn, source_xid, source_committed_at, mapping_version
     FROM crosswalk.contribution WHERE ${condition} ORDER BY aggregate, merge_key, legacy_table, legacy_key`,
    [...values],
  );
  return rows.map((row) => ({
    aggregate: row.aggregate,
    mergeKey: row.merge_key,
    legacyTable: row.legacy_table,
    legacyKey: row.legacy_key,
    live: row.live === 't',
    movedTo: row.moved_to,
    committedAt: row.source_committed_at,
    data: JSON.parse(row.data) as Record<string, Cell>,
    lineage: { lsn: row.source_lsn, xid: row.source_xid, committedAt: row.source_committed_at },
    mappingVersion: row.mapping_version,
  }));
}

/** Reads every contribution to merge keys of an aggregate, live and retired. */
export function readContributionsTo(
  client: pg.ClientBase,
  aggregate: string,
  mergeKeys: readonly string[],
): Promise<StoredContribution[]> {
  return queryContributions(client, 'aggregate = $1 AND merge_key = ANY ($2::uuid[])', [aggregate, mergeKeys]);
}

/** Reads the live contributions of a legacy row; with `retiredToo` also retired ones, which requires a scan of the whole table. */
export function readContributionsOf(
  client: pg.ClientBase,
  legacyTable: string,
  legacyKey: string,
  aggregates: readonly string[],
  retiredToo: boolean,
): Promise<StoredContribution[]> {
  return queryContributions(
    client,
    `aggregate = ANY ($1) AND legacy_table = $2 AND legacy_key = $3${retiredToo ? '' : ' AND live'}`,
    [aggregates, legacyTable, legacyKey],
  );
}

/** A projection's progress in a legacy table's topic, and the parked and failed changes of some legacy rows. */
export interface Consumption {
  readonly held: readonly Held[];
  progressOf(change: SourceChange): Progress;
}

/** Resolutions of dead letters whose change finally took effect. */
const TOOK_EFFECT = /^(the change was applied$|redriven by |rebuilt by )/;

export async function readConsumption(
  client: pg.ClientBase,
  projection: Pick<Projection, 'name'>,
  topic: string,
  legacyKeys: readonly string[],
): Promise<Consumption> {
  const { rows: offsets } = await client.query<{ partition: string; next: string }>(
    'SELECT partition::text, next_offset::text AS next FROM crosswalk.consumer_offset WHERE projection = $1 AND topic = $2',
    [projection.name, topic],
  );
  type HeldRow = Record<'kind' | 'topic' | 'partition' | 'offset' | 'lsn' | 'reason', string> & {
    resolution: string | null;
  };
  const { rows } = await client.query<HeldRow>(
    `SELECT 'parked' AS kind, topic, partition::text, record_offset::text AS offset, source_lsn AS lsn, reason, NULL AS resolution, record_offset AS place
       FROM crosswalk.parked_change WHERE projection = $1 AND legacy_key = ANY ($2)
     UNION ALL SELECT 'dead letter', topic, partition::text, record_offset::text, source_lsn, reason,
         CASE WHEN resolved_at IS NOT NULL THEN coalesce(resolution, 'resolved') END, record_offset
       FROM crosswalk.dead_letter WHERE projection = $1 AND legacy_key = ANY ($2)
     ORDER BY topic, partition, place`,
    [projection.name, legacyKeys],
  );
  const held = rows.map(
    ({ kind, topic: at, partition, offset, lsn, reason, resolution }): Held => ({
      projection: projection.name,
      kind: kind as Held['kind'],
      ...{ topic: at, partition: Number(partition), offset, lsn, reason, resolution },
    }),
  );
  const next = new Map(offsets.map((row) => [Number(row.partition), BigInt(row.next)]));
  const byPlace = new Map(held.map((each) => [`${each.topic}/${each.partition}@${each.offset}`, each]));
  return {
    held,
    progressOf({ record }) {
      const found = byPlace.get(`${record.topic}/${record.partition}@${record.offset}`);
      if (found?.kind === 'parked') return 'parked';
      if (found !== undefined) return TOOK_EFFECT.test(found.resolution ?? '') ? 'applied' : 'failed';
      return record.offset < (next.get(record.partition) ?? 0n) ? 'applied' : 'not applied yet';
    },
  };
}
