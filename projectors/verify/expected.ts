import type pg from 'pg';
import { quoteIdent } from '../../runtime/postgres.ts';
import type { Aggregate, Contribution, LegacyRow, Projection, Tenants } from '../projection.ts';
import { toCells, toLegacyKey } from '../source-change.ts';
import type { TargetShapes } from '../write/catalog.ts';

/** A legacy row that its projection cannot map. */
export interface Unmappable {
  readonly projection: string;
  readonly legacyKey: string;
}

const FETCH_ROWS = 2000;
const CONTRIBUTIONS = 'expected_contribution';

/** Temporary table that holds the expected rows of a projected table. */
export function expectedTable(table: string): string {
  return `pg_temp.${quoteIdent(`expected_${table}`)}`;
}

/** Projected columns by table, over all projections that write it. */
export function projectedColumns(projections: readonly Projection[]): Map<string, string[]> {
  const columns = new Map<string, Set<string>>();
  for (const projection of projections) {
    for (const target of [...projection.aggregates.flatMap((aggregate) => aggregate.targets), ...projection.owned]) {
      const known = columns.get(target.table) ?? new Set<string>();
      for (const column of target.columns) known.add(column);
      columns.set(target.table, known);
    }
  }
  return new Map([...columns].map(([table, names]) => [table, [...names]]));
}

/**
 * Recomputes every row that the legacy tables imply into temporary tables of the target session. `legacy` must be inside a repeatable-read transaction:
 * all tables are read as of one moment. Answers with the rows that cannot be mapped; `onRows` is called with the legacy rows done.
 */
export async function writeExpected(
  legacy: pg.ClientBase,
  target: pg.ClientBase,
  input: {
    projections: readonly Projection[];
    shapes: TargetShapes;
    tenants: Tenants;
    legacySchema: string;
    onRows: (rows: number) => void;
    signal: AbortSignal;
  },
): Promise<Unmappable[]> {
  const columns = projectedColumns(input.projections);
  for (const [table, names] of columns) {
    const types = input.shapes.get(table)!.types;
    await target.query(
      `CREATE TEMPORARY TABLE ${quoteIdent(`expected_${table}`)} (${names.map((name) => `${quoteIdent(name)} ${types[name]}`).join(', ')}, PRIMARY KEY (id))`,
    );
  }
  await target.query(
    `CREATE TEMPORARY TABLE ${CONTRIBUTIONS} (aggregate text, merge_key uuid, legacy_table text, legacy_key text, live boolean, committed_at text, data jsonb)`,
  );
  const unmappable: Unmappable[] = [];
  let done = 0;
  for (const projection of input.projections) {
    for await (const rows of readRows(legacy, input.legacySchema, projection.source)) {
      input.signal.throwIfAborted();
      const owned = new Map<string, (string | null)[][]>();
      const contributions: unknown[][] = [];
      for (const { key, row } of rows) {
        const implied = tryMap(projection, row, input.tenants);
        if (implied === null) {
          unmappable.push({ projection: projection.name, legacyKey: key });
          continue;
        }
        for (const [table, list] of Object.entries(implied.rows)) {
          const cells = owned.get(table) ?? [];
          for (const newRow of list) cells.push(toCells(newRow, columns.get(table)!));
          owned.set(table, cells);
        }
        for (const { aggregate, mergeKey, data } of implied.contributions)
          contributions.push([aggregate, mergeKey, projection.source, key, true, '-infinity', data]);
      }
      for (const [table, cells] of owned) await insertExpected(target, table, columns.get(table)!, input.shapes, cells);
      await target.query(
        `INSERT INTO ${CONTRIBUTIONS} SELECT r->>0, (r->>1)::uuid, r->>2, r->>3, (r->>4)::boolean, r->>5, r->6 FROM jsonb_array_elements($1::jsonb) r`,
        [JSON.stringify(contributions)],
      );
      done += rows.length;
      input.onRows(done);
    }
  }
  // Temporary tables have no statistics unless asked for, and the folds below would read them row by row against each other.
  await target.query(`CREATE INDEX ON ${CONTRIBUTIONS} (aggregate, merge_key)`);
  await target.query(`ANALYZE ${CONTRIBUTIONS}`);
  for (const projection of input.projections) {
    for (const aggregate of projection.aggregates)
      await foldExpected(target, projection, aggregate, input.shapes, columns, input.signal);
  }
  for (const table of columns.keys()) await target.query(`ANALYZE ${expectedTable(table)}`);
  return unmappable;
}

function tryMap(projection: Projection, row: LegacyRow, tenants: Tenants) {
  try {
    return projection.map(row, tenants);
  } catch {
    return null;
  }
}

async function* readRows(
  legacy: pg.ClientBase,
  schema: string,
  table: string,
): AsyncGenerator<{ key: string; row: LegacyRow }[]> {
  const { rows: keys } = await legacy.query<{ name: string }>(
    `SELECT a.attname AS name FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY k.position`,
    [`${quoteIdent(schema)}.${quoteIdent(table)}`],
  );
  await legacy.query(`DECLARE rows NO SCROLL CURSOR FOR SELECT * FROM ONLY ${quoteIdent(schema)}.${quoteIdent(table)}`);
  for (;;) {
    const { rows } = await legacy.query<Record<string, string | null>>(`FETCH ${FETCH_ROWS} FROM rows`);
    if (rows.length === 0) break;
    yield rows.map((row) => ({
      key: toLegacyKey(Object.fromEntries(keys.map(({ name }) => [name, row[name]!]))),
      row,
    }));
  }
  await legacy.query('CLOSE rows');
}

async function insertExpected(
  target: pg.ClientBase,
  table: string,
  columns: readonly string[],
  shapes: TargetShapes,
  cells: readonly (string | null)[][],
): Promise<void> {
  if (cells.length === 0) return;
  const types = shapes.get(table)!.types;
  await target.query(
    `INSERT INTO ${expectedTable(table)} SELECT ${columns.map((column, index) => `(r->>${index})::${types[column]}`).join(', ')} FROM jsonb_array_elements($1::jsonb) r`,
    [JSON.stringify(cells)],
  );
}

/** Folds recomputed contributions; for aggregates with history together with the retired ones, which nothing but history explains. */
async function foldExpected(
  target: pg.ClientBase,
  projection: Projection,
  aggregate: Aggregate,
  shapes: TargetShapes,
  columns: ReadonlyMap<string, string[]>,
  signal: AbortSignal,
): Promise<void> {
  if (aggregate.needsHistory) {
    await target.query(
      `INSERT INTO ${CONTRIBUTIONS} SELECT aggregate, merge_key, legacy_table, legacy_key, false, source_committed_at::text, data FROM crosswalk.contribution c
       WHERE aggregate = $1 AND legacy_table = $2 AND NOT live AND NOT EXISTS (SELECT FROM ${CONTRIBUTIONS} e
         WHERE e.aggregate = c.aggregate AND e.merge_key = c.merge_key AND e.legacy_table = c.legacy_table AND e.legacy_key = c.legacy_key)`,
      [aggregate.name, projection.source],
    );
  }
  await target.query(
    `DECLARE contributions NO SCROLL CURSOR WITH HOLD FOR SELECT merge_key, json_agg(json_build_object('legacyTable', legacy_table, 'legacyKey', legacy_key, 'live', live,
       'movedTo', NULL, 'committedAt', committed_at, 'data', data)) AS contributions FROM ${CONTRIBUTIONS} WHERE aggregate = '${aggregate.name.replaceAll("'", "''")}' GROUP BY merge_key`,
  );
  for (;;) {
    signal.throwIfAborted();
    const { rows } = await target.query<{ merge_key: string; contributions: string }>(
      `FETCH ${FETCH_ROWS} FROM contributions`,
    );
    if (rows.length === 0) break;
    const folded = rows.map((row) => aggregate.fold(row.merge_key, JSON.parse(row.contributions) as Contribution[]));
    for (const { table } of aggregate.targets) {
      const live = folded.flatMap((tables) => tables[table] ?? []).filter((result) => result.deletedAt === null);
      await insertExpected(
        target,
        table,
        columns.get(table)!,
        shapes,
        live.map((result) => toCells(result.row, columns.get(table)!)),
      );
    }
  }
  await target.query('CLOSE contributions');
}
