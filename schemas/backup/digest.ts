import type pg from 'pg';
import { quoteTable } from '../quote.ts';
import { irreplaceableRows } from './irreplaceable.ts';

/**
 * A table in a backup: its name, the columns written (excluding generated ones), and the condition for its
 * irreplaceable rows.
 */
export interface TableShape {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly irreplaceable: string | null;
}

/**
 * Row count and an order-independent checksum: the sums of two halves of the leading 128 bits of the SHA-256 of each
 * row's text, which covers all columns.
 */
export interface RowsDigest {
  readonly rows: number;
  readonly checksum: string;
}

export interface TableDigest {
  readonly all: RowsDigest;
  /** Null if the table can have no irreplaceable rows. */
  readonly irreplaceable: RowsDigest | null;
}

/** Tables that hold rows in these schemas: ordinary ones and partitions, by name. */
export async function readTableShapes(client: pg.ClientBase, schemas: readonly string[]): Promise<TableShape[]> {
  const { rows } = await client.query<{ schema: string; name: string; columns: string; all: string }>(
    `SELECT n.nspname AS schema, c.relname AS name,
       (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname = ANY ($1) AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')
     ORDER BY 1, 2`,
    [schemas],
  );
  return rows.map(({ schema, name, columns: text }) => {
    const columns = JSON.parse(text) as string[];
    return { schema, name, columns, irreplaceable: irreplaceableRows(schema, name, columns) };
  });
}

/** Reads both digests of a table in one pass, in the snapshot of the caller's transaction. */
export async function digestTable(client: pg.ClientBase, shape: TableShape): Promise<TableDigest> {
  const kept = shape.irreplaceable;
  const sums = (name: string, condition: string) =>
    `count(*) FILTER (WHERE ${condition}) AS "${name}Rows", coalesce(sum(left_half) FILTER (WHERE ${condition}), 0) || '/' || coalesce(sum(right_half) FILTER (WHERE ${condition}), 0) AS "${name}Sum"`;
  const { rows } = await client.query<Record<'allRows' | 'allSum' | 'keptRows' | 'keptSum', string>>(
    // OFFSET 0 prevents the hash from being computed once per half.
    `SELECT ${sums('all', 'true')}, ${sums('kept', 'kept')}
     FROM (SELECT kept, ('x' || substr(hash, 1, 16))::bit(64)::bigint AS left_half, ('x' || substr(hash, 17, 16))::bit(64)::bigint AS right_half
       FROM (SELECT ${kept === null ? 'false' : `coalesce(${kept}, false)`} AS kept, encode(sha256(convert_to("crosswalk row"::text, getdatabaseencoding())), 'hex') AS hash
         FROM ONLY ${nameOf(shape)} AS "crosswalk row" OFFSET 0) AS hashed) AS halves`,
  );
  const { allRows, allSum, keptRows, keptSum } = rows[0]!;
  return {
    all: { rows: Number(allRows), checksum: allSum },
    irreplaceable: kept === null ? null : { rows: Number(keptRows), checksum: keptSum },
  };
}

/** Quoted, with its schema. */
export function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return quoteTable(schema, name);
}
