import type pg from 'pg';
import { type Cells, keyPositions, type Relation } from '../../changes/change.ts';
import { isBeyondServer, MOST_ROW_BYTES, toRowBytesSql } from '../../changes/row-bytes.ts';
import { reach } from '../../runtime/faults.ts';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';
import type { Found, Range } from './windows.ts';
import { ALL_ROWS, type Selection } from './work.ts';

/**
 * Rows of one chunk in key order, plus rows that are too large and keys without a row (both with all cells null except
 * the key), and the snapshot they were read with (null if there are none).
 */
export interface Chunk {
  readonly rows: readonly Cells[];
  readonly tooLarge: readonly { readonly cells: Cells; readonly bytes: number }[];
  readonly missing: readonly Cells[];
  readonly snapshot: string | null;
  readonly lastKey: readonly string[] | null;
  /** Whether the chunk holds all rows after the previous chunk, up to its end key. */
  readonly isLast: boolean;
}

/** Maximum growth from stored bytes of a value to its text. */
const STORED_FACTOR = 8;
/** Memory limit for the rows of a chunk; a single row may take more. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Divisor for the number of rows after an attempt that exceeds PostgreSQL's memory limit. */
const FEWER = 16;

/** Prefix of the logical messages that mark positions in the stream. */
export const MARKER_PREFIX = 'crosswalk.marker';

/**
 * Bounds of a chunk: after `after`, up to and including `upTo`; null: from the start, to the end. `found`: what the
 * search for this range found, which fits into a chunk; null: not searched.
 */
export interface Bounds {
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
  readonly found: Found | null;
}

/**
 * Reads at most `most` rows of a range, fewer if they are large, in one statement, so that rows and snapshot belong
 * together. Keys are in PostgreSQL's order and are never compared here. `ONLY`: rows of inheriting tables have their
 * own topics. If a row's cells take more than `mostRowBytes`, only its key is read: the client library cannot receive a
 * cell of 512 MiB, and would end the process. `run`: wraps each attempt, if it needs its own transaction.
 */
export async function readRange(
  client: pg.ClientBase,
  relation: Relation,
  bounds: Bounds,
  most: number,
  selection: Selection = ALL_ROWS,
  mostRowBytes: number = MOST_ROW_BYTES,
  run: (attempt: () => Promise<Chunk>) => Promise<Chunk> = (attempt) => attempt(),
): Promise<Chunk> {
  // The text of a value may exceed PostgreSQL's memory limit. Its row is found by reading fewer and fewer rows; only
  // the key of the last remaining one is read.
  for (let rows = most, asked = bounds; ; rows = Math.floor(rows / FEWER), asked = { ...bounds, found: null }) {
    try {
      return await run(() =>
        readOnce(client, relation, asked, Math.max(rows, 1), selection, rows < 1 ? -1 : mostRowBytes),
      );
    } catch (error) {
      if (rows < 1 || !isBeyondServer(error)) throw error;
    }
  }
}

/** Reads the rows after `after`, as `readRange` does. */
export function readChunk(
  client: pg.ClientBase,
  relation: Relation,
  after: readonly string[] | null,
  most: number,
  selection?: Selection,
  mostRowBytes?: number,
): Promise<Chunk> {
  return readRange(client, relation, { after, upTo: null, found: null }, most, selection, mostRowBytes);
}

async function readOnce(
  client: pg.ClientBase,
  relation: Relation,
  bounds: Bounds,
  most: number,
  selection: Selection,
  mostRowBytes: number,
): Promise<Chunk> {
  const next = selectBetween(relation, bounds, selection);
  // One more than was found in the range: if no more than those come back, nothing is left of it.
  const { limit, hasNoLarge } =
    bounds.found === null
      ? await readLimit(client, relation, next, most)
      : { limit: bounds.found.rows + 1, hasNoLarge: bounds.found.hasNoLarge };
  // With requested keys, the given texts are used to continue: a row may spell an equal key differently.
  const given = selection.keys === null ? [] : next.keys;
  const columns = next.columns.map((column, at) => `${column} AS ${quoteIdent(relation.columns[at]!.name)}`);
  const read = async (text: string) =>
    (await client.query<(string | null)[]>({ text, values: next.values, rowMode: 'array' })).rows;
  const select = (bytes: string, only?: string) =>
    next.select(['pg_current_snapshot()::text', next.isMissing, bytes, ...given, ...columns].join(', '), limit, only);
  // If no value can be large, none is measured, since that costs as much as reading it. This condition is checked again
  // in the statement that reads the rows: a first large value may have been written in between.
  const small = hasNoLarge && mostRowBytes >= 0 ? await read(select('NULL', toHasNoLargeSql(relation))) : [];
  const rows =
    small.length > 0 ? small : await read(withoutTooLarge(relation, select, next, given.length, mostRowBytes));
  const cellsOf = (row: readonly (string | null)[]) => row.slice(3 + given.length);
  const last = rows[rows.length - 1];
  const toKey = (row: readonly (string | null)[]) =>
    given.length > 0
      ? row.slice(3, 3 + given.length).map((text) => text!)
      : keyPositions(relation).map((position) => cellsOf(row)[position]!);
  return {
    rows: rows.filter((row) => row[1] === 'f' && row[2] === null).map(cellsOf),
    tooLarge: rows
      .filter((row) => row[1] === 'f' && row[2] !== null)
      .map((row) => ({ cells: cellsOf(row), bytes: Number(row[2]) })),
    missing: rows.filter((row) => row[1] === 't').map(cellsOf),
    snapshot: last?.[0] ?? null,
    lastKey: last === undefined ? null : toKey(last),
    isLast: rows.length < limit,
  };
}

/** The statement that reads rows, but only the key of those that are too large. */
function withoutTooLarge(
  relation: Relation,
  select: (bytes: string) => string,
  { columns }: NextRows,
  given: number,
  mostRowBytes: number,
): string {
  const { bytes, most } = toRowBytesSql(relation, columns, mostRowBytes);
  const isKey = new Set(keyPositions(relation));
  const givenNames = Array.from({ length: given }, (_, at) => `g${at}`);
  const names = columns.map((_, at) => `c${at}`);
  const cells = names.map((name, at) => (isKey.has(at) ? name : `CASE WHEN bytes <= ${most} THEN ${name} END`));
  // The LIMIT keeps it from being merged with the outer query, so the size is computed once per row.
  return `SELECT ${['snapshot', 'missing', `CASE WHEN bytes > ${most} THEN bytes END`, ...givenNames, ...cells].join(', ')}
    FROM (${select(bytes)}) AS chunk (${['snapshot', 'missing', 'bytes', ...givenNames, ...names].join(', ')})`;
}

/** The rows of a selection, as parts of a statement. */
export interface Source {
  readonly from: string;
  readonly where: string;
  readonly values: unknown[];
  /** Expressions for the relation's columns, for its key columns, and for whether a key has no row. */
  readonly columns: readonly string[];
  readonly keys: readonly string[];
  readonly isMissing: string;
}

/**
 * `parameters`: number of parameters before those of `values`. A requested key yields a row, whether the table has it
 * or not.
 */
export function toSource(relation: Relation, selection: Selection, parameters = 0): Source {
  const table = `${relation.isPartitioned ? '' : 'ONLY '}${quoteTable(relation.schema, relation.table)}`;
  const keys = relation.key.map(quoteIdent);
  if (selection.keys === null) {
    return {
      from: table,
      where: selection.where === null ? 'true' : `(\n${selection.where}\n)`,
      values: [],
      columns: relation.columns.map((column) => quoteIdent(column.name)),
      keys,
      isMissing: 'false',
    };
  }
  const types = keyPositions(relation).map((position) => relation.columns[position]!.typeName);
  const given = keys.map((key, at) => `k${at}::${types[at]} AS ${key}`).join(', ');
  const texts = keys.map((_, at) => `$${parameters + at + 1}::text[]`).join(', ');
  const schemas = toOperatorSchemas(relation);
  const isSame = keys.map((key, at) => `found.${key} OPERATOR(${schemas[at]}.=) given.${key}`).join(' AND ');
  return {
    from: `(SELECT DISTINCT ${given} FROM unnest(${texts}) AS k (${keys.map((_, at) => `k${at}`).join(', ')})) AS given LEFT JOIN ${table} AS found ON ${isSame}`,
    where: 'true',
    values: keys.map((_, at) => selection.keys!.map((key) => key[at]!)),
    columns: relation.columns.map(({ name }) => {
      const column = quoteIdent(name);
      return relation.key.includes(name) ? `coalesce(found.${column}, given.${column})` : `found.${column}`;
    }),
    keys: keys.map((key) => `given.${key}`),
    isMissing: 'found.tableoid IS NULL',
  };
}

/** The next rows in key order, as a statement for the given expressions and limit. */
interface NextRows extends Source {
  /** `only`: an additional condition on all rows. */
  select(what: string, limit: number, only?: string): string;
}

function selectBetween(relation: Relation, { after, upTo }: Omit<Bounds, 'found'>, selection: Selection): NextRows {
  const parameters = [...(after ?? []), ...(upTo ?? [])];
  const source = toSource(relation, selection, parameters.length);
  const parts = (after === null ? ['true'] : toConditions(relation, source.keys)).map((part) =>
    upTo === null ? part : `${part} AND ${toUpToCondition(relation, source.keys, after?.length ?? 0)}`,
  );
  const names = relation.key.map(quoteIdent).join(', ');
  return {
    ...source,
    values: [...parameters, ...source.values],
    select(what, limit, only = 'true') {
      const [first, ...others] = parts.map(
        (condition) =>
          `SELECT ${what} FROM ${source.from} WHERE ${condition} AND ${source.where} AND ${only} ORDER BY ${source.keys.join(', ')} LIMIT ${limit}`,
      );
      if (others.length === 0) return first!;
      return `${[first, ...others].map((part) => `(${part})`).join(' UNION ALL ')} ORDER BY ${names} LIMIT ${limit}`;
    },
  };
}

/**
 * Whether ranges of this key can be searched: their end must be a single row comparison, so that an index scan can stop
 * there.
 */
export function hasRanges(relation: Relation): boolean {
  return new Set(toOperatorSchemas(relation)).size === 1;
}

/**
 * The next range after a key: `most` rows, fewer if they are large, at least one. Null if fewer are left, whether they
 * fit into one chunk or not. Reads only keys, from their index, and sizes if large values are stored out of line. A
 * boundary is a value, not a row: rows may come and go around it, and every key is in exactly one range. Its text is
 * the type's output, as in chunks.
 */
export async function findRange(
  client: pg.ClientBase,
  relation: Relation,
  after: readonly string[] | null,
  most: number,
): Promise<Range | null> {
  const next = selectBetween(relation, { after, upTo: null }, ALL_ROWS);
  const names = relation.key.map(quoteIdent);
  const order = names.join(', ');
  const key = names.map((name) => `format('%s', ${name})`).join(', ');
  const keys = next.keys.map((name, at) => `${name} AS ${names[at]}`).join(', ');
  const total = `sum("row bytes") OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) AS "row total"`;
  const numbered = `SELECT *, row_number() OVER (ORDER BY ${order}) AS "row at", ${total} FROM (${toSizedRows(relation, next, most)}) AS sized`;
  const { rows } = await client.query<{ range: string | null }>(
    `SELECT CASE WHEN ${toHasNoLargeSql(relation)}
       THEN (SELECT json_build_array(true, ${most}, ${key})::text FROM (${next.select(keys, most)}) AS next ORDER BY ${order} OFFSET ${most - 1} LIMIT 1)
       ELSE (SELECT json_build_array(false, "row at", ${key})::text FROM (${numbered}) AS numbered WHERE "row at" = 1 OR "row total" <= ${CHUNK_BYTES} ORDER BY "row at" DESC LIMIT 1) END AS range`,
    next.values,
  );
  const found = rows[0]!.range === null ? null : (JSON.parse(rows[0]!.range) as [boolean, number, ...string[]]);
  if (found === null) return null;
  const [hasNoLarge, count, ...upTo] = found;
  return { upTo, found: { rows: count, hasNoLarge } };
}

/**
 * How many of the next rows fit into a chunk, at least one, and whether the table has no large values. Checks sizes
 * only if large values are stored out of line, and reads no value for this: the size of text is exact, that of other
 * types is the stored one, perhaps compressed.
 */
async function readLimit(
  client: pg.ClientBase,
  relation: Relation,
  next: NextRows,
  most: number,
): Promise<{ limit: number; hasNoLarge: boolean }> {
  const names = relation.key.map(quoteIdent);
  const sized = toSizedRows(relation, next, most);
  const { rows } = await client.query<{ none: string; fitting: string }>(
    `SELECT ${toHasNoLargeSql(relation)} AS none, CASE WHEN ${toHasNoLargeSql(relation)}
       THEN ${most}
       ELSE (SELECT greatest(count(*), 1) FROM (SELECT sum("row bytes") OVER (ORDER BY ${names.join(', ')} ROWS UNBOUNDED PRECEDING) AS total FROM (${sized}) AS sized) AS summed
         WHERE total <= ${CHUNK_BYTES}) END AS fitting`,
    next.values,
  );
  return { limit: Number(rows[0]!.fitting), hasNoLarge: rows[0]!.none === 't' };
}

/** Keys and sizes of the next rows. */
function toSizedRows(relation: Relation, next: NextRows, most: number): string {
  const names = relation.key.map(quoteIdent);
  const sizes = relation.columns.map(({ typeName }, at) => {
    const isText = ['text', 'character varying', 'bpchar', 'bytea'].includes(typeName);
    const column = next.columns[at]!;
    return `coalesce(${isText ? `octet_length(${column})` : `${STORED_FACTOR} * pg_column_size(${column})`}, 0)::bigint`;
  });
  const keys = next.keys.map((key, at) => `${key} AS ${names[at]}`);
  return next.select(`${keys.join(', ')}, ${sizes.join(' + ')} AS "row bytes"`, most);
}

/**
 * Whether no value of a table is stored out of line; evaluated once per statement. An in-line row takes at most 2 MB as
 * text.
 */
function toHasNoLargeSql({ oid }: Relation): string {
  return `(SELECT relkind = 'r' AND (reltoastrelid = 0 OR pg_relation_size(reltoastrelid) = 0) FROM pg_class WHERE oid = ${oid})`;
}

/**
 * Conditions for a key after `$1, $2, …`, as parts without overlap. Operators are schema-qualified: found by name
 * alone, those of citext could resolve to those of text, whose order differs from the key's. One row comparison can
 * name only one schema.
 */
function toConditions(relation: Relation, keys: readonly string[]): string[] {
  const values = keyPositions(relation).map(
    (position, index) => `$${index + 1}::${relation.columns[position]!.typeName}`,
  );
  const schemas = toOperatorSchemas(relation);
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

/** Condition for a key up to `$first+1, $first+2, …`. Only for keys that have ranges. */
function toUpToCondition(relation: Relation, keys: readonly string[], first: number): string {
  const values = keyPositions(relation).map(
    (position, index) => `$${first + index + 1}::${relation.columns[position]!.typeName}`,
  );
  return `(${keys.join(', ')}) OPERATOR(${toOperatorSchemas(relation)[0]}.<=) (${values.join(', ')})`;
}

function toOperatorSchemas(relation: Relation): string[] {
  return relation.key.map((_, index) => quoteIdent(relation.keyOperatorSchemas?.[index] ?? 'pg_catalog'));
}

/**
 * Writes a marker into the stream, with a snapshot older than every chunk read after it. Committed, so it is flushed
 * immediately; the connection sets `synchronous_commit=local`, or a lost standby would stop the load.
 */
export async function writeMarker(client: pg.ClientBase, token: string): Promise<void> {
  await reach?.('watermark.before');
  await client.query(`SELECT pg_logical_emit_message(true, $1, $2 || ' ' || pg_current_snapshot()::text)`, [
    MARKER_PREFIX,
    token,
  ]);
  await reach?.('watermark.after');
}
