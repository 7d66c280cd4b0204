import type pg from 'pg';
import { reach } from '../../runtime/faults.ts';
import { quoteIdent } from '../../runtime/postgres.ts';
import { type Cells, keyPositions, type Relation } from '../change.ts';

/** Rows of one chunk in key order, and the snapshot they were read with (null when there are none). */
export interface Chunk {
  readonly rows: readonly Cells[];
  readonly snapshot: string | null;
  readonly lastKey: readonly string[] | null;
  /** Whether it holds all rows that there were after the chunk before it. */
  readonly isLast: boolean;
}

/** What a value may take as text for each byte that is stored of it. */
const STORED_FACTOR = 8;
/** What the rows of a chunk may take in memory; a single row may take more. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Prefix of the logical messages that mark positions in the stream. */
export const MARKER_PREFIX = 'crosswalk.marker';

/**
 * Reads at most `most` rows after `after`, fewer where they are large, in one statement, so that rows and snapshot belong together. The order of keys is
 * PostgreSQL's: keys are never compared here. `ONLY`: rows of inheriting tables have topics of their own.
 */
export async function readChunk(
  client: pg.ClientBase,
  relation: Relation,
  after: readonly string[] | null,
  most: number,
): Promise<Chunk> {
  const columns = relation.columns.map((column) => quoteIdent(column.name));
  const next = selectAfter(relation, after);
  const limit = await readLimit(client, relation, next, most);
  const result = await client.query<(string | null)[]>({
    text: next.select(`pg_current_snapshot()::text, ${columns.join(', ')}`, limit),
    values: next.values,
    rowMode: 'array',
  });
  const last = result.rows[result.rows.length - 1];
  return {
    rows: result.rows.map((row) => row.slice(1)),
    snapshot: last?.[0] ?? null,
    lastKey: last === undefined ? null : keyPositions(relation).map((position) => last[position + 1]!),
    isLast: result.rows.length < limit,
  };
}

/** The next rows in key order: what to select of them, and how many. */
interface NextRows {
  readonly values: string[];
  select(what: string, limit: number): string;
}

function selectAfter(relation: Relation, after: readonly string[] | null): NextRows {
  const from = `FROM ${relation.isPartitioned ? '' : 'ONLY '}${quoteIdent(relation.schema)}.${quoteIdent(relation.table)}`;
  const parts = after === null ? [''] : toConditions(relation).map((condition) => `WHERE ${condition}`);
  return {
    values: [...(after ?? [])],
    select(what, limit) {
      const order = `ORDER BY ${relation.key.map(quoteIdent).join(', ')} LIMIT ${limit}`;
      return parts.length === 1
        ? `SELECT ${what} ${from} ${parts[0]} ${order}`
        : `${parts.map((where) => `(SELECT ${what} ${from} ${where} ${order})`).join(' UNION ALL ')} ${order}`;
    },
  };
}

/**
 * How many of the next rows fit into a chunk, at least one. Only where large values are stored beside the table is it worth a look at their sizes, and no value is read for it:
 * the size of text is exact, that of other types is of what is stored, perhaps compressed.
 */
async function readLimit(client: pg.ClientBase, relation: Relation, next: NextRows, most: number): Promise<number> {
  const keys = relation.key.map(quoteIdent).join(', ');
  const sizes = relation.columns.map(({ name, typeName }) => {
    const isText = ['text', 'character varying', 'bpchar', 'bytea'].includes(typeName);
    const column = quoteIdent(name);
    return `coalesce(${isText ? `octet_length(${column})` : `${STORED_FACTOR} * pg_column_size(${column})`}, 0)::bigint`;
  });
  const sized = next.select(`${keys}, ${sizes.join(' + ')} AS "row bytes"`, most);
  const { rows } = await client.query<{ fitting: string }>(
    `SELECT CASE WHEN (SELECT relkind = 'r' AND (reltoastrelid = 0 OR pg_relation_size(reltoastrelid) = 0) FROM pg_class WHERE oid = ${relation.oid})
       THEN ${most}
       ELSE (SELECT greatest(count(*), 1) FROM (SELECT sum("row bytes") OVER (ORDER BY ${keys} ROWS UNBOUNDED PRECEDING) AS total FROM (${sized}) AS sized) AS summed
         WHERE total <= ${CHUNK_BYTES}) END AS fitting`,
    next.values,
  );
  return Number(rows[0]!.fitting);
}

/**
 * What a key after `$1, $2, …` fulfils, in parts without overlap. The operators are named with their schema: found by name alone, those of citext
 * could be those of text, whose order is another one than the key's. One comparison of rows can only name one schema.
 */
function toConditions(relation: Relation): string[] {
  const keys = relation.key.map(quoteIdent);
  const values = keyPositions(relation).map(
    (position, index) => `$${index + 1}::${relation.columns[position]!.typeName}`,
  );
  const schemas = keys.map((_, index) => quoteIdent(relation.keyOperatorSchemas?.[index] ?? 'pg_catalog'));
  if (new Set(schemas).size === 1) return [`(${keys.join(', ')}) OPERATOR(${schemas[0]}.>) (${values.join(', ')})`];
  const compare = (index: number, operator: '=' | '>') =>
    `${keys[index]} OPERATOR(${schemas[index]}.${operator}) ${values[index]}`;
  return keys.map((_, last) =>
    keys
      .slice(0, last + 1)
      .map((_, index) => compare(index, index < last ? '=' : '>'))
      .join(' AND '),
  );
}

/** Puts a marker into the stream, and with it a snapshot older than every chunk read after it. Committed, so that it is flushed at once; `synchronous_commit=local` is set on the connection, or a lost standby would stop the load. */
export async function writeMarker(client: pg.ClientBase, token: string): Promise<void> {
  await reach?.('watermark.before');
  await client.query(`SELECT pg_logical_emit_message(true, $1, $2 || ' ' || pg_current_snapshot()::text)`, [
    MARKER_PREFIX,
    token,
  ]);
  await reach?.('watermark.after');
}
