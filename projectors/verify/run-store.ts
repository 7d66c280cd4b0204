import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { inTransaction } from '../../runtime/postgres.ts';
import type { Cell, Projection } from '../projection.ts';
import type { FoundLineage } from './compare-key.ts';
import type { Unmappable } from './findings.ts';
import type { Counts, Sum } from './tally.ts';

/** One difference: a missing or extra row, a column that differs, or a row that never settled. Values are PostgreSQL text. */
export interface Difference {
  readonly table: string;
  readonly id: string;
  readonly tenant: string;
  readonly kind: 'missing' | 'extra' | 'differs' | 'unsettled';
  readonly column: string | null;
  readonly expected: Cell;
  readonly actual: Cell;
  /** The legacy row that implies the row, or that the row names. */
  readonly legacyTable: string | null;
  readonly legacyKey: string | null;
  /** For a merged row or a contribution: what to fold again. */
  readonly aggregate: string | null;
  readonly mergeKey: string | null;
  /** Lineage of the row that was found. */
  readonly lineage: FoundLineage | null;
  /** A change of the legacy row that is parked or a dead letter. */
  readonly explained: 'parked' | 'dead letter' | null;
}

/** Progress of a part of a run: the last key compared, and whether the part is done. */
export interface PartProgress {
  readonly after: readonly string[] | null;
  readonly done: boolean;
}

/** State needed to resume a run. */
export interface RunProgress {
  readonly parts: Readonly<Record<string, PartProgress>>;
  /** Rows read from the legacy database and from the target. */
  readonly legacyRows: number;
  readonly targetRows: number;
  readonly sums: readonly Sum[];
  /** Rows that are not settled yet. */
  readonly pending: readonly {
    readonly projection: string;
    readonly legacyKey: string;
    readonly strays: readonly (readonly [table: string, id: string])[];
  }[];
  readonly unmappable: readonly Unmappable[];
  readonly seconds: number;
}

export interface Run {
  readonly id: string;
  readonly through: string;
  readonly progress: RunProgress;
}

/** Scope of a run. A run cannot be resumed with another mapping: its two halves would not compare with the same thing. */
export interface RunOptions {
  readonly kind: 'once' | 'watch';
  readonly tenant: string | null;
  readonly mapping: string;
}

const NOTHING_YET: RunProgress = {
  parts: {},
  legacyRows: 0,
  targetRows: 0,
  sums: [],
  pending: [],
  unmappable: [],
  seconds: 0,
};
/** Finished runs kept per kind, with their differences. */
const KEPT_RUNS = 10;
/** Unfinished runs are kept this long. */
const KEPT_DAYS = 7;
/** Lines kept per table. Further differences are only counted. */
export const KEPT_LINES = 50_000;

/** Names and versions of projections. The version also rises with the pinned configuration. */
export function toMappingText(projections: readonly Projection[]): string {
  return projections.map(({ name, version }) => `${name}@${version}`).join(' ');
}

/** Takes the advisory lock of a run until the session ends. Returns false if another session holds it. */
async function take(target: pg.ClientBase, id: string): Promise<boolean> {
  const { rows } = await target.query<{ taken: string }>(
    `SELECT pg_try_advisory_lock(hashtext('crosswalk.verification'), hashtext($1))::text AS taken`,
    [id],
  );
  return rows[0]!.taken === 'true';
}

/** Starts a run. `through`: time of the legacy database's clock. */
export async function createRun(target: pg.ClientBase, options: RunOptions, through: string): Promise<Run> {
  const id = randomUUID();
  await take(target, id);
  await inTransaction(target, async () => {
    await target.query(
      `INSERT INTO verification_run (id, kind, workspace, through, mapping, progress) VALUES ($1, $2, $3, $4, $5, $6)`,
      [id, options.kind, options.tenant, through, options.mapping, JSON.stringify(NOTHING_YET)],
    );
    await target.query(
      `DELETE FROM verification_run WHERE kind = $1 AND (finished_at < (SELECT finished_at FROM verification_run WHERE kind = $1 AND finished_at IS NOT NULL
         ORDER BY finished_at DESC OFFSET $2 LIMIT 1) AND NOT EXISTS (SELECT FROM verified WHERE run_id = verification_run.id) OR (finished_at IS NULL AND saved_at < now() - make_interval(days => $3)))`,
      [options.kind, KEPT_RUNS - 1, KEPT_DAYS],
    );
  });
  return { id, through, progress: NOTHING_YET };
}

/** The last unfinished run of this kind that no session holds. Null if there is none, or if its scope differs. */
export async function findUnfinishedRun(target: pg.ClientBase, options: RunOptions): Promise<Run | null> {
  const { rows } = await target.query<{ id: string; through: string; progress: string }>(
    `SELECT id, through, progress FROM verification_run WHERE kind = $1 AND workspace IS NOT DISTINCT FROM $2 AND mapping = $3 AND finished_at IS NULL
     ORDER BY started_at DESC`,
    [options.kind, options.tenant, options.mapping],
  );
  for (const { id, through, progress } of rows)
    if (await take(target, id)) return { id, through, progress: JSON.parse(progress) as RunProgress };
  return null;
}

/** Like `findUnfinishedRun`. Throws `config_invalid` if there is none. */
export async function resumeRun(target: pg.ClientBase, options: RunOptions): Promise<Run> {
  const run = await findUnfinishedRun(target, options);
  if (run !== null) return run;
  throw new CrosswalkError(
    'config_invalid.verify_new',
    'There is no unfinished verification with this mapping and tenant that nobody works on',
  );
}

/** Saves the findings since the last save and the progress, in one transaction. */
export async function saveRun(
  target: pg.ClientBase,
  run: string,
  found: {
    counts: ReadonlyMap<string, ReadonlyMap<string, Counts>>;
    differences: readonly Difference[];
    progress: RunProgress;
  },
  keptLines: number = KEPT_LINES,
): Promise<void> {
  await inTransaction(target, () => writeFound(target, run, found, keptLines));
}

async function writeFound(
  target: pg.ClientBase,
  run: string,
  { counts, differences, progress }: Parameters<typeof saveRun>[2],
  keptLines: number,
): Promise<void> {
  const lines = [...counts].flatMap(([table, tenants]) =>
    [...tenants].map(([tenant, of]) => [
      table,
      tenant,
      of.expected,
      of.actual,
      of.missing,
      of.extra,
      of.differing,
      of.unsettled,
    ]),
  );
  if (lines.length > 0) {
    await target.query(
      `INSERT INTO verification_count AS c (run_id, table_name, tenant_id, expected, actual, missing, extra, differing, unsettled)
       SELECT $1, r->>0, r->>1, (r->>2)::bigint, (r->>3)::bigint, (r->>4)::bigint, (r->>5)::bigint, (r->>6)::bigint, (r->>7)::bigint FROM jsonb_array_elements($2::jsonb) r
       ON CONFLICT (run_id, table_name, tenant_id) DO UPDATE SET expected = c.expected + excluded.expected, actual = c.actual + excluded.actual,
         missing = c.missing + excluded.missing, extra = c.extra + excluded.extra, differing = c.differing + excluded.differing, unsettled = c.unsettled + excluded.unsettled`,
      [run, JSON.stringify(lines)],
    );
  }
  if (differences.length > 0) await writeDifferences(target, run, differences, keptLines);
  await target.query('UPDATE verification_run SET progress = $2, saved_at = now() WHERE id = $1', [
    run,
    JSON.stringify(progress),
  ]);
}

async function writeDifferences(
  target: pg.ClientBase,
  run: string,
  differences: readonly Difference[],
  keptLines: number,
): Promise<void> {
  const rows = differences.map((of) => [
    of.table,
    of.id,
    of.tenant,
    of.kind,
    of.column,
    of.expected,
    of.actual,
    of.legacyTable,
    of.legacyKey,
    of.aggregate,
    of.mergeKey,
    of.lineage?.lsn ?? null,
    of.lineage?.xid ?? null,
    of.lineage?.committedAt ?? null,
    of.lineage?.mappingVersion ?? null,
    of.explained,
  ]);
  // Values may contain what jsonb cannot hold, such as U+0000 escapes: pass one text array per column.
  const columns = Array.from({ length: 16 }, (_, at) => rows.map((row) => row[at]));
  const types = Array.from({ length: 16 }, (_, at) => `$${at + 3}::text[]`).join(', ');
  await target.query(
    `INSERT INTO verification_difference (run_id, table_name, row_id, tenant_id, kind, column_name, expected, actual, legacy_table, legacy_key, aggregate, merge_key,
       source_lsn, source_xid, source_committed_at, mapping_version, explained)
     SELECT $1, d.c0, d.c1, d.c2, d.c3, d.c4, d.c5, d.c6, d.c7, d.c8, d.c9, d.c10, d.c11::pg_lsn, d.c12::bigint, d.c13::timestamptz, d.c14, d.c15
     FROM (SELECT u.*, row_number() OVER (PARTITION BY u.c0) AS line FROM unnest(${types}) AS u (${Array.from({ length: 16 }, (_, at) => `c${at}`).join(', ')})) d
     JOIN (SELECT t, (SELECT count(*) FROM (SELECT FROM verification_difference f WHERE f.run_id = $1 AND f.table_name = t LIMIT $2) known) AS kept FROM unnest($19::text[]) AS t) k ON k.t = d.c0
     WHERE k.kept + d.line <= $2`,
    [run, keptLines, ...columns, [...new Set(differences.map(({ table }) => table))]],
  );
}

/** The rows that a run has already recorded, as `table id`. */
export async function findNamed(
  target: pg.ClientBase,
  run: string,
  rows: readonly { readonly table: string; readonly id: string }[],
): Promise<Set<string>> {
  const { rows: named } = await target.query<{ name: string }>(
    `SELECT DISTINCT d.table_name || ' ' || d.row_id AS name FROM unnest($2::text[], $3::text[]) AS w (table_name, row_id)
     JOIN verification_difference d ON d.run_id = $1 AND d.table_name = w.table_name AND d.row_id = w.row_id`,
    [run, rows.map(({ table }) => table), rows.map(({ id }) => id)],
  );
  return new Set(named.map(({ name }) => name));
}

/** Counts of a whole run by table. */
export async function readCounts(target: pg.ClientBase, run: string): Promise<Map<string, Counts>> {
  const { rows } = await target.query<Record<keyof Counts | 'table', string>>(
    `SELECT table_name AS "table", sum(expected) AS expected, sum(actual) AS actual, sum(missing) AS missing, sum(extra) AS extra, sum(differing) AS differing,
       sum(unsettled) AS unsettled FROM verification_count WHERE run_id = $1 GROUP BY 1`,
    [run],
  );
  return new Map(
    rows.map((row) => [
      row.table,
      {
        expected: Number(row.expected),
        actual: Number(row.actual),
        missing: Number(row.missing),
        extra: Number(row.extra),
        differing: Number(row.differing),
        unsettled: Number(row.unsettled),
      },
    ]),
  );
}

/** The first unrepaired differences of each table, at most `limit` lines per table. */
export async function readDifferences(target: pg.ClientBase, run: string, limit: number): Promise<Difference[]> {
  const { rows } = await target.query<Record<string, string | null>>(
    `SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY table_name ORDER BY kind = 'unsettled', row_id, column_name, number) AS line FROM verification_difference
       WHERE run_id = $1 AND repaired_at IS NULL) d WHERE line <= $2 ORDER BY table_name, line`,
    [run, limit],
  );
  return rows.map(toDifference);
}

/** A line of verification_difference. */
export function toDifference(row: Readonly<Record<string, string | null>>): Difference {
  const lineage = {
    lsn: row.source_lsn!,
    xid: row.source_xid!,
    committedAt: row.source_committed_at!,
    mappingVersion: row.mapping_version!,
  };
  return {
    table: row.table_name!,
    id: row.row_id!,
    tenant: row.tenant_id!,
    kind: row.kind as Difference['kind'],
    column: row.column_name!,
    expected: row.expected!,
    actual: row.actual!,
    legacyTable: row.legacy_table!,
    legacyKey: row.legacy_key!,
    aggregate: row.aggregate!,
    mergeKey: row.merge_key!,
    lineage: row.source_lsn === null ? null : lineage,
    explained: row.explained as Difference['explained'],
  };
}

/**
 * Ends a run. Publishes the verified state of its tables together with the findings since the last save, in one transaction. A run over all tenants
 * covers all of them, a run over one tenant only that one.
 */
export async function finishRun(
  target: pg.ClientBase,
  run: Run,
  options: RunOptions,
  tables: readonly string[],
  ok: boolean,
): Promise<void> {
  await inTransaction(target, async () => {
    await target.query('UPDATE verification_run SET finished_at = now(), ok = $2 WHERE id = $1', [run.id, ok]);
    const counted = `SELECT t.name AS table_name, c.tenant_id, coalesce(sum(c.expected), 0) AS rows, coalesce(sum(c.missing + c.extra + c.differing), 0) AS differences,
        coalesce(sum(c.unsettled), 0) AS unsettled
      FROM unnest($3::text[]) AS t (name) LEFT JOIN verification_count c ON c.run_id = $1 AND c.table_name = t.name`;
    const columns = 'table_name, tenant_id, verified_through, rows, differences, unsettled, checked_at, run_id';
    const values = [run.id, run.through, tables];
    if (options.tenant !== null) {
      await target.query(
        `INSERT INTO verified (${columns}) SELECT table_name, $4, $2, rows, differences, unsettled, now(), $1 FROM (${counted} AND c.tenant_id = $4 GROUP BY 1, 2) f
         ON CONFLICT (table_name, tenant_id) DO UPDATE SET verified_through = excluded.verified_through, rows = excluded.rows, differences = excluded.differences,
           unsettled = excluded.unsettled, checked_at = excluded.checked_at, run_id = excluded.run_id WHERE verified.verified_through <= excluded.verified_through`,
        [...values, options.tenant],
      );
      await addMisplaced(target, run, options.tenant);
      return;
    }
    // Tenants without a row in a table get none here either. Later verifications stay.
    await target.query('DELETE FROM verified WHERE table_name = ANY ($2) AND verified_through <= $1::timestamptz', [
      run.through,
      tables,
    ]);
    await target.query(
      `INSERT INTO verified (${columns}) SELECT table_name, coalesce(tenant_id, '*'), $2, sum(rows), sum(differences), sum(unsettled), now(), $1
       FROM (${counted} GROUP BY 1, 2) f GROUP BY GROUPING SETS ((table_name), (table_name, tenant_id)) HAVING grouping(tenant_id) = 1 OR tenant_id IS NOT NULL
       ON CONFLICT (table_name, tenant_id) DO NOTHING`,
      values,
    );
    await addMisplaced(target, run, null);
  });
}

/** Rows shown to the wrong tenant: a difference of that tenant, too. */
export const MISPLACED = `column_name = 'tenant_id' AND kind = 'differs' AND actual IS NOT NULL AND repaired_at IS NULL`;

async function addMisplaced(target: pg.ClientBase, run: Run, tenant: string | null): Promise<void> {
  await target.query(
    `INSERT INTO verified AS v (table_name, tenant_id, verified_through, rows, differences, unsettled, checked_at, run_id)
     SELECT table_name, actual, $2, 0, count(DISTINCT row_id), 0, now(), $1 FROM verification_difference WHERE run_id = $1 AND ${MISPLACED} AND ($3::text IS NULL OR actual = $3) GROUP BY 1, 2
     ON CONFLICT (table_name, tenant_id) DO UPDATE SET differences = v.differences + excluded.differences WHERE v.run_id = excluded.run_id`,
    [run.id, run.through, tenant],
  );
}
