import type { Cell } from '../projection.ts';
import { toTimestampText } from '../source-change.ts';

/** One value of each kind, for a cell of which nothing is known. */
const ONE_OF_EACH: readonly string[] = [
  'x~',
  '7',
  't',
  '2001-02-03 04:05:06+00',
  '2001-02-03',
  'x@y.example',
  '+12015552723',
  '5f3a1c9e-0000-4000-8000-000000000001',
  '[{"x": 1}]',
  '{"x": 1}',
];

const timestampPattern = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?\+00$/;
const datePattern = /^\d{4}-\d{2}-\d{2}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Alternative values of a cell: null, its neighbours of the same kind, and `seen`, values that the column has held elsewhere. */
export function toPlausibleValues(cell: Cell, seen: Iterable<string> = []): Cell[] {
  const values = new Set<Cell>([null, ...(cell === null ? ONE_OF_EACH : toOfSameKind(cell)), ...seen]);
  values.delete(cell);
  return [...values];
}

/** The value directly after a cell (`1`) or before it (`-1`) in its order; null if its kind has no order, or none in this direction. */
export function toNeighbour(cell: string, step: 1 | -1): string | null {
  const micros = toMicros(cell);
  if (micros !== null) return toTimestampText(micros + BigInt(step));
  if (/^-?\d{1,30}$/.test(cell)) return String(BigInt(cell) + BigInt(step));
  return step === 1 ? `${cell}~` : null;
}

function toOfSameKind(cell: string): Cell[] {
  if (cell === 't') return ['f'];
  if (cell === 'f') return ['t'];
  if (toMicros(cell) !== null) return [toNeighbour(cell, 1), toNeighbour(cell, -1), '2001-02-03 04:05:06+00'];
  if (datePattern.test(cell)) return [cell === '2001-02-03' ? '2001-02-04' : '2001-02-03'];
  if (/^-?\d{1,30}$/.test(cell)) return [toNeighbour(cell, 1), toNeighbour(cell, -1), '0'];
  if (/^-?\d+\.\d+$/.test(cell)) return [bumpLastDigit(cell), '0', `-${cell}`];
  if (uuidPattern.test(cell)) return [cell.slice(0, -1) + (cell.endsWith('0') ? '1' : '0')];
  if (/^\s*[[{]/.test(cell)) return ['[]', '{}', '[{"x": 1}]', '{"x": 1}', `${cell}~`];
  return [`${cell}~`, bumpLastDigit(cell), ' ', ...ONE_OF_EACH];
}

function bumpLastDigit(text: string): string {
  const at = text.search(/\d\D*$/);
  return at === -1 ? text : `${text.slice(0, at)}${(Number(text[at]) + 1) % 10}${text.slice(at + 1)}`;
}

/** Microseconds since 1970 of a timestamp in the years 1 to 9999; null for any other text. */
function toMicros(text: string): bigint | null {
  const match = timestampPattern.exec(text);
  if (match === null) return null;
  const ms = Date.parse(`${match[1]}T${match[2]}Z`);
  return Number.isNaN(ms) ? null : BigInt(ms) * 1000n + BigInt((match[3] ?? '').padEnd(6, '0'));
}
