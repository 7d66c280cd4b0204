import * as v from 'valibot';
import { toShort } from './work.ts';

/** Maximum number of keys in one signal. */
export const MOST_KEYS = 1000;
/** Maximum bytes of a signal's record. */
export const MOST_SIGNAL_BYTES = 900_000;
/** Maximum rows per second that can be requested. */
export const MOST_RATE = 999_999_999;
/**
 * Maximum bytes of a key's JSON: the position holds the last key read of each unfinished request, and must fit into one
 * Kafka record.
 */
const MOST_KEY_BYTES = 8000;
/** PostgreSQL's limit for names. */
const LONGEST_TABLE = 63;
/** Header of every record of a repair: JSON of the hint for its key. */
export const REPAIR_HEADER = 'crosswalk.repair';

const isShort = (key: string[]) => Buffer.byteLength(JSON.stringify(key)) <= MOST_KEY_BYTES;
const filled = v.pipe(v.string(), v.nonEmpty());
const uuid = v.pipe(v.string(), v.uuid());
const key = v.pipe(
  v.array(v.string()),
  v.minLength(1),
  v.check(isShort, `hold one of more than ${MOST_KEY_BYTES} bytes`),
);
const keys = v.pipe(v.array(key), v.minLength(1), v.maxLength(MOST_KEYS));

type Hint = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
const isTexts = (value: unknown) => Array.isArray(value) && value.every((each) => typeof each === 'string');
const isObjectOf = (value: unknown, isOne: (of: unknown) => boolean) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isOne);
/** Each level is spelled out: an arbitrarily nested hint could be read but not written again. Not `v.record`, which leaves out some names: a key's text can be any. */
const hints = v.custom<Readonly<Record<string, Hint>>>((value) =>
  isObjectOf(value, (hint) => isObjectOf(hint, (rows) => isObjectOf(rows, isTexts))),
);

const snapshotSchema = v.strictObject({
  v: v.literal(1),
  id: uuid,
  kind: v.literal('snapshot'),
  table: v.pipe(filled, v.maxLength(LONGEST_TABLE)),
  where: v.nullable(filled),
  keys: v.nullable(keys),
  repair: v.boolean(),
  hints: v.nullable(hints),
  by: v.string(),
  at: v.string(),
  maxRate: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_RATE))),
});
/** Signal for the initial load, which has no id: this one is the signal's. */
const loadSchema = v.strictObject({ v: v.literal(1), id: uuid, kind: v.picklist(['pause-load', 'resume-load']) });
const controlSchema = v.strictObject({ v: v.literal(1), id: uuid, kind: v.picklist(['cancel', 'pause', 'resume']) });
const headSchema = v.looseObject({ v: v.unknown(), id: uuid, kind: v.string() });
/** Without the value, which may be a cell. */
const quoteNothing = { message: 'is not valid' };

/**
 * Requests that rows of one table be read again: those that match `where` (an SQL condition), those of `keys` (texts of
 * the primary key's columns, in key order), or all. `repair`: keys without a row are also published, as deletes, and
 * every record carries the hint that `hints` holds under its key's text. `at`: ISO time. `maxRate`: maximum rows per
 * second; if omitted, the connector's setting.
 */
export type SnapshotSignal = v.InferOutput<typeof snapshotSchema>;
/** Controls a requested snapshot, by its id. */
export type ControlSignal = v.InferOutput<typeof controlSchema>;
/** Controls the initial load as a whole. */
export type LoadSignal = v.InferOutput<typeof loadSchema>;
export type Signal = SnapshotSignal | ControlSignal | LoadSignal;

/**
 * A record of the signal topic. refused: it requests an impossible snapshot; unknown: the problem can only be logged.
 */
export type ReadSignal =
  | { readonly is: 'signal'; readonly signal: Signal }
  | { readonly is: 'refused'; readonly id: string; readonly table: string; readonly reason: string }
  | { readonly is: 'unknown'; readonly reason: string };

export function encodeSignal(signal: Signal): Buffer {
  return Buffer.from(JSON.stringify(signal));
}

/**
 * Never throws: every record has a result. Reasons quote only names from it. Apart from keys, hints and a condition,
 * the result is short.
 */
export function parseSignal(value: Buffer | null): ReadSignal {
  if (value === null) return { is: 'unknown', reason: 'it is empty' };
  if (value.length > MOST_SIGNAL_BYTES)
    return { is: 'unknown', reason: `it is longer than ${MOST_SIGNAL_BYTES} bytes` };
  let raw: unknown;
  try {
    raw = JSON.parse(value.toString());
  } catch {
    return { is: 'unknown', reason: 'it is no JSON' };
  }
  const head = v.safeParse(headSchema, raw);
  if (!head.success) return { is: 'unknown', reason: 'it has no id or no kind' };
  const { v: version, id, kind } = head.output;
  if (version !== 1) return { is: 'unknown', reason: 'it has another version than 1' };
  if (kind !== 'snapshot') {
    const control = v.safeParse(v.union([controlSchema, loadSchema]), raw);
    return control.success
      ? { is: 'signal', signal: control.output }
      : { is: 'unknown', reason: 'its kind is not known' };
  }
  const snapshot = v.safeParse(snapshotSchema, raw, quoteNothing);
  const table = typeof head.output.table === 'string' ? head.output.table.slice(0, LONGEST_TABLE) : '';
  const refused = (reason: string): ReadSignal => ({ is: 'refused', id, table, reason: toShort(reason) });
  if (!snapshot.success)
    // Deeper parts of a path contain keys of rows.
    return refused(
      `the signal is not valid: ${snapshot.issues.map(({ path, message }) => `${String(path?.[0].key ?? '')} ${message}`.trim()).join('; ')}`,
    );
  if (snapshot.output.where !== null && snapshot.output.keys !== null)
    return refused('the signal names a condition and keys: it can have one of them');
  return { is: 'signal', signal: snapshot.output };
}

/** A key as text: the text of a single column, or a JSON array of several. */
export function toKeyText(key: readonly string[]): string {
  return key.length === 1 ? key[0]! : JSON.stringify(key);
}
