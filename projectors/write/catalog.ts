import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { assertDeclarations } from '../declarations.ts';
import type { Projection } from '../projection.ts';
import { LINEAGE_COLUMNS, type TableShape } from './statements.ts';

export type TargetShapes = ReadonlyMap<string, TableShape>;

/** Tables that a projection writes. */
export function targetTables(projection: Projection): string[] {
  return [
    ...projection.aggregates.flatMap((aggregate) => aggregate.targets.map((target) => target.table)),
    ...projection.owned.map((target) => target.table),
    ...(projection.history?.targets.map((target) => target.table) ?? []),
  ];
}

/**
 * Reads the shapes of the tables that projections write, in the session's namespace. Throws `schema_missing` if a table or a declared column does not exist,
 * `config_invalid` if the projections contradict each other.
 */
export async function readTargetShapes(
  client: pg.ClientBase | pg.Pool,
  projections: readonly Projection[],
): Promise<TargetShapes> {
  assertDeclarations(projections);
  const tables = [...new Set(projections.flatMap(targetTables))];
  const { rows } = await client.query<{ table: string; types: string }>(
    `SELECT c.relname AS table, json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) AS types
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE pg_table_is_visible(c.oid) AND c.relkind = 'r' AND c.relname = ANY ($1) GROUP BY c.relname`,
    [tables],
  );
  // A session without a namespace may see tables of the same names in other schemas.
  const { rows: state } = await client.query<{ found: string | null; schemas: string }>(
    `SELECT to_regclass('consumer_offset')::text AS found, array_to_string(current_schemas(false), ', ') AS schemas`,
  );
  if (state[0]!.found === null) {
    const where = state[0]!.schemas === '' ? 'in the target database' : `in schema ${state[0]!.schemas}`;
    throw new CrosswalkError('schema_missing.projector', `There is no table consumer_offset ${where}`);
  }
  const shapes = new Map(
    rows.map((row) => [row.table, { table: row.table, types: JSON.parse(row.types) as Record<string, string> }]),
  );
  for (const projection of projections) {
    const declared = [
      ...projection.owned,
      ...projection.aggregates.flatMap((aggregate) => aggregate.targets),
      ...(projection.history?.targets ?? []),
    ];
    for (const { table, columns } of declared) {
      const shape = shapes.get(table);
      if (shape === undefined)
        throw new CrosswalkError(
          'schema_missing.projector',
          `There is no table ${table} in schema ${state[0]!.schemas}`,
        );
      const missing = [...columns, ...LINEAGE_COLUMNS, 'origin'].filter((column) => !(column in shape.types));
      if (missing.length > 0)
        throw new CrosswalkError('schema_missing.projector', `Table ${table} has no column ${missing.join(', ')}`);
    }
  }
  return shapes;
}
