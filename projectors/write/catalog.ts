import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Projection } from '../projection.ts';
import { LINEAGE_COLUMNS, type TableShape } from './statements.ts';

export type TargetShapes = ReadonlyMap<string, TableShape>;

/** Tables that a projection writes. */
export function targetTables(projection: Projection): string[] {
  return [
    ...projection.aggregates.flatMap((aggregate) => aggregate.targets.map((target) => target.table)),
    ...projection.owned.map((target) => target.table),
  ];
}

/** Reads the shapes of the tables that projections write. Throws `schema_missing` where a table or a declared column is not there. */
export async function readTargetShapes(
  client: pg.ClientBase | pg.Pool,
  projections: readonly Projection[],
): Promise<TargetShapes> {
  const tables = [...new Set(projections.flatMap(targetTables))];
  const { rows } = await client.query<{ table: string; types: string }>(
    `SELECT c.relname AS table, json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) AS types
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = 'crm' AND c.relname = ANY ($1) GROUP BY c.relname`,
    [tables],
  );
  const shapes = new Map(
    rows.map((row) => [row.table, { table: row.table, types: JSON.parse(row.types) as Record<string, string> }]),
  );
  const remedy = 'Run `crosswalk migrate up` with TARGET_OWNER_URL.';
  for (const projection of projections) {
    const declared = [...projection.owned, ...projection.aggregates.flatMap((aggregate) => aggregate.targets)];
    for (const { table, columns } of declared) {
      const shape = shapes.get(table);
      if (shape === undefined)
        throw new CrosswalkError('schema_missing', `The target database has no table crm.${table}`, remedy);
      const missing = [...columns, ...LINEAGE_COLUMNS, 'origin'].filter((column) => !(column in shape.types));
      if (missing.length > 0)
        throw new CrosswalkError('schema_missing', `crm.${table} has no column ${missing.join(', ')}`, remedy);
    }
  }
  return shapes;
}
