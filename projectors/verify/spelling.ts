import { quoteLiteral as literal } from '../../schemas/quote.ts';
import type { Cell } from '../projection.ts';
import { toSortedKeys } from '../values/json-text.ts';

// Both sides of a comparison write rows as text and compare its checksum. A text that differs from PostgreSQL's spelling makes a row look different,
// never equal; casts settle that.

/**
 * Marks at the end of a table, at the end of a row, and between the parts of a text. If no cell of an expected row contains a mark, no other rows can
 * have the same text: it would have the same number of each mark, so their cells contain none either. This argument does not cover the mark for null. It
 * is random in every run, so no row contains it.
 */
export const marks = { table: '\u001c', row: '\u001d', part: '\u001f' } as const;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the marks are control characters.
const hasMark = /[\u001c-\u001f]/;

/** Whether a text contains a possible mark. */
export function holdsMark(text: string): boolean {
  return hasMark.test(text);
}

/** A mark for null. `random`: enough random characters to make it unlike any other text. */
export function toNullMark(random: string): string {
  return `\u001e${random}`;
}

/** SQL for the text of a row: cells in PostgreSQL's own text, and the row mark. */
export function toMarkedSql(
  cells: readonly { readonly sql: string; readonly type: string }[],
  nullMark: string,
): string {
  const texts = [...cells.map(toTextSql), literal(marks.row)].join(', ');
  return `array_to_string(ARRAY[${texts}], ${literal(marks.part)}, ${literal(nullMark)})`;
}

/** The same text as PostgreSQL would write it; null if another row might have the same text. */
export function toMarkedText(cells: readonly Cell[], nullMark: string): string | null {
  const parts: string[] = [];
  return addMarked(parts, cells, nullMark) ? [...parts, marks.row].join(marks.part) : null;
}

/** Adds the cells of a row to the parts of a text. Returns false if another row might have the same text. */
export function addMarked(parts: string[], cells: readonly Cell[], nullMark: string): boolean {
  for (let at = 0; at < cells.length; at += 1) {
    const cell = cells[at]!;
    if (cell === null) parts.push(nullMark);
    else if (hasMark.test(cell)) return false;
    else parts.push(cell);
  }
  return true;
}

/** Types whose cast to text equals their output. For other types it may differ (`true` for `t`). */
const castAsPrinted =
  /^(uuid|numeric|jsonb?|smallint|integer|bigint|real|double precision|bytea|date|timestamp)\b|^text\[\]$/;

function toTextSql({ sql, type }: { readonly sql: string; readonly type: string }): string {
  if (type === 'text') return sql;
  if (castAsPrinted.test(type)) return `${sql}::text`;
  if (type === 'boolean') return `CASE WHEN ${sql} THEN 't' WHEN NOT ${sql} THEN 'f' END`;
  return `CASE WHEN num_nulls(${sql}) = 0 THEN concat(${sql}) END`;
}

const sortedKeys = new Map<string, readonly string[]>();

/** The text of a `jsonb` object with text values. */
export function toJsonbObjectText(data: Readonly<Record<string, Cell>>): string {
  const names = Object.keys(data);
  const shape = names.join('\u0000');
  let keys = sortedKeys.get(shape);
  if (keys === undefined) {
    keys = toSortedKeys(names);
    // There are few shapes: those of the fields that projections name.
    if (sortedKeys.size < 1000) sortedKeys.set(shape, keys);
  }
  let text = '{';
  for (let at = 0; at < keys.length; at += 1) {
    const key = keys[at]!;
    text += `${at === 0 ? '' : ', '}${toJsonText(key)}: ${toJsonText(data[key] ?? null)}`;
  }
  return `${text}}`;
}

/** Any character that JSON must escape, and surrogates, which it may escape. */
const isEscaped = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

function toJsonText(cell: Cell): string {
  if (cell === null) return 'null';
  return isEscaped.test(cell) ? JSON.stringify(cell) : `"${cell}"`;
}

/** An array of texts as PostgreSQL reads it. */
export function toArrayText(texts: readonly string[]): string {
  if (texts.length === 0) return '{}';
  const joined = texts.join('","');
  // Most texts are keys without characters to escape. Then the only quotes are those of the separators.
  const isPlain = !joined.includes('\\') && joined.split('"').length === 2 * texts.length - 1;
  return isPlain ? `{"${joined}"}` : `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
