import { quoteLiteral as literal } from '../../schemas/quote.ts';
import type { Cell } from '../projection.ts';
import { toSortedKeys } from '../values/json-text.ts';

// Both sides of a comparison spell rows as text, and compare its checksum. A spelling that PostgreSQL would not choose makes a row look different, never equal: it is settled by casts.

/**
 * What stands behind a table, behind a row, and between all parts of a text. Where no cell of an expected row holds one of them, no other rows have its text: it has as many of each as they
 * would, and so theirs hold none either. What stands for null cannot be told so: it is another one in every run, which no row can hold.
 */
export const marks = { table: '\u001c', row: '\u001d', part: '\u001f' } as const;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what the marks are.
const hasMark = /[\u001c-\u001f]/;

/** Whether a text holds what could be a mark. */
export function holdsMark(text: string): boolean {
  return hasMark.test(text);
}

/** A mark for null. `random`: as many characters as make it unlike any other text. */
export function toNullMark(random: string): string {
  return `\u001e${random}`;
}

/** SQL for the text of a row of cells, each in PostgreSQL's own text, with the mark of its end. */
export function toMarkedSql(
  cells: readonly { readonly sql: string; readonly type: string }[],
  nullMark: string,
): string {
  const texts = [...cells.map(toTextSql), literal(marks.row)].join(', ');
  return `array_to_string(ARRAY[${texts}], ${literal(marks.part)}, ${literal(nullMark)})`;
}

/** That text as PostgreSQL would write it; null where it might be that of another row. */
export function toMarkedText(cells: readonly Cell[], nullMark: string): string | null {
  const parts: string[] = [];
  return addMarked(parts, cells, nullMark) ? [...parts, marks.row].join(marks.part) : null;
}

/** Adds the cells of a row to the parts of a text. False where the text might be that of another row. */
export function addMarked(parts: string[], cells: readonly Cell[], nullMark: string): boolean {
  for (let at = 0; at < cells.length; at += 1) {
    const cell = cells[at]!;
    if (cell === null) parts.push(nullMark);
    else if (hasMark.test(cell)) return false;
    else parts.push(cell);
  }
  return true;
}

/** Types whose cast to text is their own output; that of others may be another text (`true` for `t`). */
const castAsPrinted =
  /^(uuid|numeric|jsonb?|smallint|integer|bigint|real|double precision|bytea|date|timestamp)\b|^text\[\]$/;

function toTextSql({ sql, type }: { readonly sql: string; readonly type: string }): string {
  if (type === 'text') return sql;
  if (castAsPrinted.test(type)) return `${sql}::text`;
  if (type === 'boolean') return `CASE WHEN ${sql} THEN 't' WHEN NOT ${sql} THEN 'f' END`;
  return `CASE WHEN num_nulls(${sql}) = 0 THEN concat(${sql}) END`;
}

const sortedKeys = new Map<string, readonly string[]>();

/** The text of a `jsonb` object of texts. */
export function toJsonbObjectText(data: Readonly<Record<string, Cell>>): string {
  const names = Object.keys(data);
  const shape = names.join('\u0000');
  let keys = sortedKeys.get(shape);
  if (keys === undefined) {
    keys = toSortedKeys(names);
    // The shapes are those of the fields that projections name: a few.
    if (sortedKeys.size < 1000) sortedKeys.set(shape, keys);
  }
  let text = '{';
  for (let at = 0; at < keys.length; at += 1) {
    const key = keys[at]!;
    text += `${at === 0 ? '' : ', '}${toJsonText(key)}: ${toJsonText(data[key] ?? null)}`;
  }
  return `${text}}`;
}

/** What JSON escapes, and halves of surrogate pairs, which it may: all but this. */
const isEscaped = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

function toJsonText(cell: Cell): string {
  if (cell === null) return 'null';
  return isEscaped.test(cell) ? JSON.stringify(cell) : `"${cell}"`;
}

/** An array of texts as PostgreSQL reads it. */
export function toArrayText(texts: readonly string[]): string {
  if (texts.length === 0) return '{}';
  const joined = texts.join('","');
  // Most are keys without any character that must be escaped: then the separators alone hold quotes.
  const isPlain = !joined.includes('\\') && joined.split('"').length === 2 * texts.length - 1;
  return isPlain ? `{"${joined}"}` : `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
