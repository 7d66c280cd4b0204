import { z } from 'zod';
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

const isShort = (key: readonly string[]) => Buffer.byteLength(JSON.stringify(key)) <= MOST_KEY_BYTES;
const key = z
  .array(z.string())
  .min(1)
  .refine(isShort, { error: `hold one of more than ${MOST_KEY_BYTES} bytes` });
const keys = z.array(key).min(1).max(MOST_KEYS);
/** Each level is spelled out: an arbitrarily nested hint could be read but not written again. */
const hint = z.record(z.string(), z.record(z.string(), z.array(z.string())));
const snapshotSchema = z.strictObject({
  v: z.literal(1),
  id: z.uuid(),
  kind: z.literal('snapshot'),
  table: z.string().min(1).max(LONGEST_TABLE),
  where: z.string().min(1).nullable(),
  keys: keys.nullable(),
  repair: z.boolean(),
  hints: z.record(z.string(), hint).nullable(),
  by: z.string(),
  at: z.string(),
  maxRate: z.int().min(1).max(MOST_RATE).optional(),
});
/** Signal for the initial load, which has no id: this one is the signal's. */
const loadSchema = z.strictObject({ v: z.literal(1), id: z.uuid(), kind: z.enum(['pause-load', 'resume-load']) });
const controlSchema = z.strictObject({ v: z.literal(1), id: z.uuid(), kind: z.enum(['cancel', 'pause', 'resume']) });
const headSchema = z.looseObject({ v: z.unknown(), id: z.uuid(), kind: z.string() });

/**
 * Requests that rows of one table be read again: those that match `where` (an SQL condition), those of `keys` (texts of
 * the primary key's columns, in key order), or all. `repair`: keys without a row are also published, as deletes, and
 * every record carries the hint that `hints` holds under its key's text. `at`: ISO time. `maxRate`: maximum rows per
 * second; if omitted, the connector's setting.
 */
export type SnapshotSignal = z.infer<typeof snapshotSchema>;
/** Controls a requested snapshot, by its id. */
export type ControlSignal = z.infer<typeof controlSchema>;
/** Controls the initial load as a whole. */
export type LoadSignal = z.infer<typeof loadSchema>;
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
  const head = headSchema.safeParse(raw);
  if (!head.success) return { is: 'unknown', reason: 'it has no id or no kind' };
  const { v, id, kind } = head.data;
  if (v !== 1) return { is: 'unknown', reason: 'it has another version than 1' };
  if (kind !== 'snapshot') {
    const control = z.union([controlSchema, loadSchema]).safeParse(raw);
    return control.success
      ? { is: 'signal', signal: control.data }
      : { is: 'unknown', reason: 'its kind is not known' };
  }
  const snapshot = snapshotSchema.safeParse(raw);
  const table = typeof head.data.table === 'string' ? head.data.table.slice(0, LONGEST_TABLE) : '';
  const refused = (reason: string): ReadSignal => ({ is: 'refused', id, table, reason: toShort(reason) });
  if (!snapshot.success)
    // Deeper parts of a path contain keys of rows.
    return refused(
      `the signal is not valid: ${snapshot.error.issues.map(({ path, message }) => `${String(path[0] ?? '')} ${message}`.trim()).join('; ')}`,
    );
  if (snapshot.data.where !== null && snapshot.data.keys !== null)
    return refused('the signal names a condition and keys: it can have one of them');
  return { is: 'signal', signal: snapshot.data };
}

/** A key as text: the text of a single column, or a JSON array of several. */
export function toKeyText(key: readonly string[]): string {
  return key.length === 1 ? key[0]! : JSON.stringify(key);
}
