import type pg from 'pg';
import { quoteIdent } from '../../runtime/postgres.ts';
import { type Cells, keyPositions, type Relation } from '../change.ts';

/** Rows of one chunk in key order, and the snapshot they were read with (null when there are none). */
export interface Chunk {
  readonly rows: readonly Cells[];
  readonly snapshot: string | null;
  readonly lastKey: readonly string[] | null;
}

/** Prefix of the logical messages that mark positions in the stream. */
export const MARKER_PREFIX = 'crosswalk.marker';

/**
 * Reads at most `limit` rows after `after` in one statement, so that rows and snapshot belong together. The order of keys is
 * PostgreSQL's: keys are never compared here. `ONLY`: rows of inheriting tables have topics of their own.
 */
export async function readChunk(
  client: pg.ClientBase,
  relation: Relation,
  after: readonly string[] | null,
  limit: number,
): Promise<Chunk> {
  const keys = relation.key.map(quoteIdent);
  const types = keyPositions(relation).map((position) => toCastType(relation.columns[position]!.typeName));
  const columns = relation.columns.map((column) => quoteIdent(column.name));
  const where =
    after === null
      ? ''
      : `WHERE (${keys.join(', ')}) > (${types.map((type, index) => `$${index + 1}::${type}`).join(', ')})`;
  const result = await client.query<(string | null)[]>({
    text: `SELECT pg_current_snapshot()::text, ${columns.join(', ')} FROM ONLY ${quoteIdent(relation.schema)}.${quoteIdent(relation.table)} ${where} ORDER BY ${keys.join(', ')} LIMIT ${limit}`,
    values: [...(after ?? [])],
    rowMode: 'array',
  });
  const last = result.rows[result.rows.length - 1];
  return {
    rows: result.rows.map((row) => row.slice(1)),
    snapshot: last?.[0] ?? null,
    lastKey: last === undefined ? null : keyPositions(relation).map((position) => last[position + 1]!),
  };
}

/** `character` and `bit` without a length mean a length of 1 in a cast: a longer key would be cut, and its chunk read for ever. */
function toCastType(typeName: string): string {
  return typeName === 'character' ? 'bpchar' : typeName === 'bit' ? '"bit"' : typeName;
}

/** Puts a marker into the stream, and with it a snapshot older than every chunk read after it. Committed, so that it is flushed at once; `synchronous_commit=local` is set on the connection, or a lost standby would stop the load. */
export async function writeMarker(client: pg.ClientBase, token: string): Promise<void> {
  await client.query(`SELECT pg_logical_emit_message(true, $1, $2 || ' ' || pg_current_snapshot()::text)`, [
    MARKER_PREFIX,
    token,
  ]);
}
