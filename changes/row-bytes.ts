import type { Relation, Row } from './change.ts';
import { MOST_CELL_BYTES } from './pgoutput.ts';
import { SentRow } from './sent-row.ts';

/**
 * Maximum bytes of a row, whatever its topic allows: the text of a bytea is twice as long and must fit into a string.
 */
export const MOST_ROW_BYTES = Math.floor(MOST_CELL_BYTES / 2) - 1;
/**
 * Cells below this size are always read, and so is every key: an index entry takes 2.7 kB, and compression saves a
 * factor of 255 at most.
 */
const LEAST_LIMIT_BYTES = 1024 * 1024;
/** A longer text cannot become a number or a time, which take less. */
const SHORT = 64;
const BYTEA = 17;

/** Text size above which a cell fits into none of the topics. `limits`: maximum record size of each. */
export function toMostCellBytes(limits: readonly number[]): number {
  return Math.min(2 * Math.max(LEAST_LIMIT_BYTES, ...limits) + 2, MOST_CELL_BYTES);
}

type Sized = Pick<Relation, 'columns'>;

/** Minimum bytes of a row in its topic, computed only from the lengths of its texts. */
export function toLeastBytes(relation: Sized, row: Row): number {
  return sum(relation, row, (text) => text.length);
}

/**
 * Whether a row, together with the other one of its message, certainly takes no more than `bytes`: true for nearly all,
 * which need no closer check.
 */
export function isWithin(row: Row, bytes: number): boolean {
  return row instanceof SentRow && row.messageBytes <= bytes;
}

/** Bytes of the cells of a row in its topic, short ones left out. */
export function toBytes(relation: Sized, row: Row): number {
  return sum(relation, row, (text) => Buffer.byteLength(text));
}

function sum({ columns }: Sized, row: Row, sizeOf: (text: string) => number): number {
  const countOf = (position: number, length: number) =>
    length <= SHORT ? 0 : columns[position]!.typeOid === BYTEA ? length / 2 - 1 : length;
  if (row instanceof SentRow) return row.countBytes(countOf);
  let bytes = 0;
  for (const [position, cell] of row.entries()) if (cell !== null) bytes += countOf(position, sizeOf(cell));
  return bytes;
}

/** Whether PostgreSQL failed because a text or message would exceed 1 GB: it assembles each in memory. */
export function isBeyondServer(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === '54000' || (code === 'XX000' && String(message).startsWith('invalid memory alloc request size'));
}

/** Types whose length PostgreSQL knows without reading the value: text, bpchar, varchar, bytea. */
const KNOWN_LENGTH = new Set([25, 1042, 1043, BYTEA]);
/** Types whose values are never large: boolean, "char", name, numbers, oid, times, uuid. */
const SMALL = new Set([16, 18, 19, 20, 21, 23, 26, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950]);
/**
 * Maximum growth from stored bytes to text: compression by 255, and each byte written as 8 characters (bits, escapes).
 */
const MOST_GROWTH = 255 * 8;
/** Maximum shrinkage from stored bytes to text: an empty composite in an array takes 24 bytes, and 3 characters. */
const LEAST_GROWTH = 16;

/**
 * SQL expressions for the bytes of a row in its topic, values that cannot matter left out, and for the limit.
 * `columns`: expressions for the relation's columns. Reads only values whose stored size alone could make them too
 * large. `mostRowBytes` -1: no row fits, whatever its size.
 */
export function toRowBytesSql(
  relation: Sized,
  columns: readonly string[],
  mostRowBytes: number,
): { bytes: string; most: string } {
  if (mostRowBytes < 0) return { bytes: `${MOST_ROW_BYTES}::bigint`, most: '-1' };
  // Texts are measured in the database encoding; UTF-8 may take half of that.
  const most = `CASE WHEN getdatabaseencoding() IN ('UTF8', 'SQL_ASCII') THEN ${mostRowBytes} ELSE ${2 * mostRowBytes} END`;
  const sizes = columns.flatMap((column, at) => {
    const { typeOid } = relation.columns[at]!;
    if (SMALL.has(typeOid)) return [];
    if (KNOWN_LENGTH.has(typeOid)) return [`coalesce(octet_length(${column}), 0)`];
    const stored = `pg_column_size(${column})::bigint`;
    return [
      // concat writes a value as it is sent; a cast to text does not, for some types.
      `CASE WHEN ${stored} > ${2 * LEAST_GROWTH * mostRowBytes} THEN ${stored} WHEN ${MOST_GROWTH} * ${stored} > ${mostRowBytes} THEN octet_length(concat(${column})) ELSE 0 END`,
    ];
  });
  return { bytes: `(${['0::bigint', ...sizes].join(' + ')})`, most };
}
