import type { Config } from '../../runtime/config.ts';
import { connect } from '../../runtime/postgres.ts';
import type { Projection, Tenants } from '../projection.ts';
import { readTargetShapes } from '../write/catalog.ts';
import { type Check, countExceptions, runChecks } from './checks.ts';
import { compareTable, type TableComparison } from './compare.ts';
import { projectedColumns, type Unmappable, writeExpected } from './expected.ts';

/** What a verification found. `ok` only when every row is equal, every check holds, and nothing is a dead letter or still parked. */
export interface Verification {
  readonly ok: boolean;
  readonly legacyRows: number;
  readonly seconds: number;
  readonly tables: readonly TableComparison[];
  readonly checks: readonly Check[];
  readonly unmappable: readonly Unmappable[];
  readonly exceptions: { readonly rejects: number; readonly deadLetters: number; readonly parked: number };
}

/** Whole tables are compared with whole tables, often just after they were filled and without statistics: row by row would take for ever. */
const SESSION_OPTIONS = '-c work_mem=64MB -c enable_nestloop=off';

/**
 * Recomputes every projected row from the legacy tables, as of one snapshot of them, and compares. Exact while the source is at rest and everything is applied.
 * Throws `schema_missing` and what the databases throw.
 */
export async function verifyAll(
  config: Config,
  projections: readonly Projection[],
  tenants: Tenants,
  options: { limit: number; onRows: (done: number, total: number) => void; signal: AbortSignal },
): Promise<Verification> {
  const startedAtMs = performance.now();
  // A role that sees only part of the rows is an error here, not a smaller table.
  const legacy = await connect(config.legacyUrl(), 'verify', '-c row_security=off');
  const target = await connect(config.targetUrl(), 'verify', SESSION_OPTIONS).catch(async (error: unknown) => {
    await legacy.end();
    throw error;
  });
  try {
    await legacy.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const shapes = await readTargetShapes(target, projections);
    const { rows: estimates } = await legacy.query<{ rows: string }>(
      'SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint::text AS rows FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND relname = ANY ($2)',
      [config.legacySchema, projections.map((projection) => projection.source)],
    );
    let legacyRows = 0;
    const unmappable = await writeExpected(legacy, target, {
      projections,
      shapes,
      tenants,
      legacySchema: config.legacySchema,
      signal: options.signal,
      onRows: (rows) => {
        legacyRows = rows;
        options.onRows(rows, Math.max(rows, Number(estimates[0]!.rows)));
      },
    });
    const tables: TableComparison[] = [];
    for (const [table, columns] of projectedColumns(projections))
      tables.push(await compareTable(target, shapes, table, columns, options.limit));
    const checks = await runChecks(legacy, target, config.legacySchema);
    const exceptions = await countExceptions(target);
    const isEqual = tables.every((table) => table.missing + table.extra + table.differing === 0);
    return {
      ok:
        isEqual &&
        checks.every((check) => check.ok) &&
        unmappable.length === 0 &&
        exceptions.deadLetters === 0 &&
        exceptions.parked === 0,
      legacyRows,
      seconds: (performance.now() - startedAtMs) / 1000,
      tables,
      checks,
      unmappable,
      exceptions,
    };
  } finally {
    await legacy.end().catch(() => undefined);
    await target.end().catch(() => undefined);
  }
}
