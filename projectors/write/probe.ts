import type pg from 'pg';
import type { Projection } from '../projection.ts';
import { toCells } from '../source-change.ts';
import type { MappedRow } from './apply.ts';
import type { TargetShapes } from './catalog.ts';
import { type Claim, pickReleasable } from './claims.ts';
import { isDataError } from './data-error.ts';
import { probeSql, type TableRules } from './probe-sql.ts';

/**
 * Rows that PostgreSQL will probably refuse. One statement checks all of them, so that a batch with many bad rows need not be halved down to each. Only a heuristic that
 * costs or saves attempts: it does not check triggers, sizes and folds, and no row is refused because of it.
 */
export interface Probe {
  readonly suspects: ReadonlySet<MappedRow>;
}

interface Answer {
  readonly row: string;
  readonly claim: string | null;
  readonly holder: string | null;
}

interface Prepared {
  readonly text: string;
  readonly targets: Projection['owned'];
}

const prepared = new WeakMap<TargetShapes, Map<string, Prepared>>();

/** Checks rows against the current state of the target, in the caller's transaction. */
export async function probeRows(
  client: pg.ClientBase,
  projection: Projection,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
): Promise<Probe> {
  const known = prepared.get(shapes) ?? new Map<string, Prepared>();
  prepared.set(shapes, known);
  let probe = known.get(projection.name);
  if (probe === undefined) {
    probe = await prepare(client, projection, shapes);
    known.set(projection.name, probe);
  }
  const suspects = new Set<number>();
  const values = probe.targets.map((target) => {
    const lines: (string | number | null)[][] = [];
    for (const [index, row] of rows.entries()) {
      for (const newRow of row.implied.rows[target.table] ?? []) {
        const cells = toCells(newRow, target.columns);
        // One such text would make PostgreSQL refuse the whole parameter.
        if (cells.some(isUnwritable)) suspects.add(index);
        else lines.push([index, row.legacyKey, ...cells]);
      }
    }
    return JSON.stringify(lines);
  });
  const answers = probe.targets.length === 0 ? [] : await ask(client, probe.text, [projection.source, ...values]);
  const claims: Claim[] = [];
  for (const { row, claim, holder } of answers) {
    if (claim === null) suspects.add(Number(row));
    else claims.push({ row: Number(row), value: claim, holder });
  }
  const releasable = pickReleasable(
    rows.map((row) => row.legacyKey),
    claims,
  );
  return { suspects: new Set(rows.filter((_, index) => suspects.has(index) || !releasable.has(index))) };
}

function isUnwritable(cell: string | null): boolean {
  return cell !== null && (cell.includes('\0') || !cell.isWellFormed());
}

async function ask(client: pg.ClientBase, text: string, values: readonly string[]): Promise<Answer[]> {
  await client.query('SAVEPOINT probe');
  try {
    const { rows } = await client.query<Answer>(text, [...values]);
    await client.query('RELEASE SAVEPOINT probe');
    return rows;
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT probe; RELEASE SAVEPOINT probe');
    // Suspect no row if an expression fails, a table is not readable for this role, or the server lacks pg_input_is_valid.
    const isRefused = /^42...$/.test(String((error as { code?: unknown } | null)?.code));
    if (!isDataError(error) && !isRefused) throw error;
    return [];
  }
}

async function prepare(client: pg.ClientBase, projection: Projection, shapes: TargetShapes): Promise<Prepared> {
  const rules = await readRules(
    client,
    projection.owned.map(({ table }) => table),
  );
  // Rows of these tables may be written in the same transaction.
  const own = new Set([
    ...projection.owned.map(({ table }) => table),
    ...projection.aggregates.flatMap(({ targets }) => targets.map(({ table }) => table)),
  ]);
  return { text: probeSql(projection.owned, shapes, rules, own), targets: projection.owned };
}

/** Reads from the catalog the constraints on rows of tables in the session's namespace. */
export async function readRules(
  client: pg.ClientBase,
  tables: readonly string[],
): Promise<ReadonlyMap<string, TableRules>> {
  const names = (keys: string, relation: string) =>
    `(SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(${keys}) WITH ORDINALITY k (attnum, n) JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.attnum)`;
  const { rows } = await client.query<{ table: string; rules: string }>(
    `SELECT r.relname AS table, json_build_object(
       'notNull', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped),
       'checks', (SELECT coalesce(json_agg(pg_get_expr(c.conbin, c.conrelid)), '[]') FROM pg_constraint c WHERE c.conrelid = r.oid AND c.contype = 'c'),
       'references', (SELECT coalesce(json_agg(json_build_object('table', c.confrelid::regclass::text, 'name', f.relname, 'columns', ${names('c.conkey', 'c.conrelid')}, 'to', ${names('c.confkey', 'c.confrelid')})), '[]')
         FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid WHERE c.conrelid = r.oid AND c.contype = 'f'),
       'uniques', (SELECT coalesce(json_agg(json_build_object('name', x.relname, 'columns', ${names('i.indkey::int2[]', 'i.indrelid')}, 'where', pg_get_expr(i.indpred, i.indrelid))), '[]')
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = r.oid AND NOT i.indisprimary AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts AND (i.indisunique OR i.indisexclusion
           AND EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype = 'x' AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oid = ANY (c.conexclop) AND o.oprname <> '='))))
     ) AS rules
     FROM pg_class r WHERE pg_table_is_visible(r.oid) AND r.relkind = 'r' AND r.relname = ANY ($1)`,
    [tables],
  );
  return new Map(rows.map((row) => [row.table, JSON.parse(row.rules) as TableRules]));
}
