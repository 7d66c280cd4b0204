import type { Cell } from '../projection.ts';
import { toSortedKeys } from '../values/json-text.ts';

// Both sides of a comparison spell rows as text, and compare its checksum. A spelling that PostgreSQL would not choose makes a row look different, never equal: it is settled by casts.

/** The text of `ROW(…)` of cells, each in PostgreSQL's own text; `last`: one more cell behind them. */
export function toRecordText(cells: readonly Cell[], last?: Cell): string {
  let text = '(';
  for (let at = 0; at < cells.length; at += 1)
    text += at === 0 ? toFieldText(cells[at]!) : `,${toFieldText(cells[at]!)}`;
  return last === undefined ? `${text})` : `${text},${toFieldText(last)})`;
}

function toFieldText(cell: Cell): string {
  if (cell === null) return '';
  return cell === '' || special.test(cell) ? quoted(cell) : cell;
}

/** White space, and what has a meaning in a record: such fields stand in quotes. */
const special = /[\t-\r "(),\\]/;

function quoted(cell: string): string {
  return `"${cell.replace(/["\\]/g, '$&$&')}"`;
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
    const cell = data[key] ?? null;
    text += `${at === 0 ? '' : ', '}${JSON.stringify(key)}: ${cell === null ? 'null' : JSON.stringify(cell)}`;
  }
  return `${text}}`;
}

/** An array of texts as PostgreSQL reads it. */
export function toArrayText(texts: readonly string[]): string {
  if (texts.length === 0) return '{}';
  const joined = texts.join('","');
  // Most are keys without any character that must be escaped: then the separators alone hold quotes.
  const isPlain = !joined.includes('\\') && joined.split('"').length === 2 * texts.length - 1;
  return isPlain ? `{"${joined}"}` : `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
