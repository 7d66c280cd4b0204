import { randomUUID } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { type Config, positionTopicOf, signalTopicOf } from '../../runtime/config.ts';
import { Failure } from '../../runtime/error-codes.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { untilTrue } from '../../runtime/retry.ts';
import {
  type ActiveRequest,
  decodePosition,
  type FinishedRequest,
  type Position,
  type SignalProgress,
} from '../position.ts';
import { readCondition } from './condition-text.ts';
import { encodeSignal, MOST_KEYS, MOST_SIGNAL_BYTES, parseSignal, type Signal, type SnapshotSignal } from './signal.ts';

type Names = Pick<Config, 'topicPrefix' | 'slot'>;

/**
 * The rows to read again of a captured table: those that match `where` (an SQL condition), those of `keys` (at most
 * 1,000; texts of the primary key's columns, in key order), or all.
 */
export interface SnapshotRequest {
  readonly table: string;
  readonly where?: string | null;
  readonly keys?: readonly (readonly string[])[] | null;
  /**
   * Marks every record as a repair, with the hint for its key's text (`toKeyText`), and publishes keys without a row as
   * deletes.
   */
  readonly repair?: boolean;
  readonly hints?: Readonly<Record<string, object>> | null;
  /** The requester; by default the user of this process. */
  readonly by?: string;
  /** Maximum rows per second; by default the connector's setting. */
  readonly maxRate?: number | undefined;
}

/**
 * The known state of a snapshot. `secondsLeft`: at the current rate, while it runs; null: unknown. sent: the connector
 * has not taken the signal yet.
 */
export type SnapshotState =
  | (Omit<ActiveRequest, 'offset' | 'lastKey'> & { readonly secondsLeft?: number | null })
  | FinishedRequest
  | { readonly id: string; readonly table: string; readonly state: 'sent'; readonly rows: 0 };

/** The result of a snapshot. `lsn`: once everything before it is applied, so is every row that the snapshot read. */
export type SnapshotResult = FinishedRequest & { readonly lsn: bigint };

/**
 * Requests a snapshot from the connector, which need not be running, and returns its id. Throws `table_missing` and
 * `config_invalid` for requests that it would refuse.
 */
export async function requestSnapshot(
  config: Names & Pick<Config, 'tables'>,
  kafka: Kafka,
  request: SnapshotRequest,
): Promise<string> {
  const { table, where = null, keys = null, repair = false, hints = null, by = toUser(), maxRate } = request;
  assertCaptured(config, table);
  const problem = findProblem(where, keys);
  if (problem !== null) throw toInvalid(problem);
  const id = randomUUID();
  const signal = { v: 1, id, kind: 'snapshot', table, where, keys, repair, hints, by, at: new Date().toISOString() };
  // Omitted unless set: connectors of earlier versions refuse unknown fields.
  await send(config, kafka, { ...signal, ...(maxRate === undefined ? {} : { maxRate }) } as SnapshotSignal);
  return id;
}

/** Pauses, resumes or cancels a snapshot. Throws `config_invalid` if none with this id is waiting or running. */
export async function controlSnapshot(
  config: Names,
  kafka: Kafka,
  id: string,
  kind: 'pause' | 'resume' | 'cancel',
): Promise<void> {
  const found = (await listSnapshots(config, kafka)).find((snapshot) => snapshot.id === id);
  if (found === undefined || found.state === 'done' || found.state === 'cancelled' || found.state === 'failed')
    throw toInvalid(found === undefined ? `no snapshot ${id} is known` : `snapshot ${id} is over: ${found.state}`);
  await send(config, kafka, { v: 1, id, kind });
}

/**
 * Pauses or resumes the initial load, including tables that `crosswalk resnapshot` requested. Works whether or not a
 * connector runs or has anything to load.
 */
export async function controlLoad(config: Names, kafka: Kafka, kind: 'pause' | 'resume'): Promise<void> {
  await send(config, kafka, { v: 1, id: randomUUID(), kind: `${kind}-load` });
}

/** The last finished snapshots, those running or waiting, and those that no connector has taken yet, in this order. */
export async function listSnapshots(config: Names, kafka: Kafka): Promise<SnapshotState[]> {
  const { taken, sent } = await readRequests(config, kafka);
  return [...toStates(taken), ...sent.map(({ id, table }): SnapshotState => ({ id, table, state: 'sent', rows: 0 }))];
}

/** The snapshots that a connector has taken, in the form of `listSnapshots`. Keys of rows are left out. */
export function toStates({ finished, requests }: SignalProgress): SnapshotState[] {
  return [...finished, ...requests.map(toState)];
}

/**
 * Requests a snapshot and waits for its end. Cancels the request if waiting fails: otherwise its outcome would go
 * unnoticed.
 */
export async function askAndWait(
  config: Names & Pick<Config, 'tables'>,
  kafka: Kafka,
  request: SnapshotRequest,
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<SnapshotResult> {
  const id = await requestSnapshot(config, kafka, request);
  try {
    return await waitForSnapshot(config, kafka, id, options);
  } catch (error) {
    await controlSnapshot(config, kafka, id, 'cancel').catch(() => undefined);
    throw error;
  }
}

/**
 * Waits until a snapshot is finished, successfully or not, and reports progress with each position that the connector
 * stores. Throws `not_reached` if neither it, another snapshot, nor the initial load has progressed for `timeoutMs` (0:
 * never), or if so many others have ended since that the connector no longer knows it.
 */
export async function waitForSnapshot(
  config: Names,
  kafka: Kafka,
  id: string,
  options: { signal: AbortSignal; timeoutMs: number; onProgress?: (snapshot: SnapshotState) => void },
): Promise<SnapshotResult> {
  const { signal, timeoutMs, onProgress } = options;
  const offset = await findOffset(config, kafka, id);
  if (offset === null) throw toInvalid(`no snapshot ${id} is known`);
  let result: SnapshotResult | null = null;
  let isForgotten = false;
  let last = '';
  let lastWork = '';
  let movedAtMs = performance.now();
  const look = (position: Position) => {
    const { signals, lsn } = position;
    const work = JSON.stringify([position.snapshot, signals?.requests, signals?.finished]);
    if (work !== lastWork) movedAtMs = performance.now();
    lastWork = work;
    const over = signals?.finished.find((request) => request.id === id);
    const active = signals?.requests.find((request) => request.id === id);
    if (over !== undefined) result ??= { ...over, lsn };
    isForgotten = result === null && active === undefined && BigInt(signals?.next ?? 0) > offset;
    const state = over ?? (active === undefined ? null : toState(active));
    if (state === null || JSON.stringify(state) === last) return;
    last = JSON.stringify(state);
    onProgress?.(state);
  };
  const isStuck = () => timeoutMs > 0 && performance.now() - movedAtMs > timeoutMs;
  const reader = await followPositions(config, kafka, look);
  try {
    await untilTrue(`the end of snapshot ${id}`, async () => result !== null || isForgotten || isStuck(), {
      ...{ everyMs: 50, timeoutMs: 0, signal, late: Failure.of('not_reached') },
    });
  } finally {
    // Leaving the reader's group takes a round trip that needs no waiting.
    void reader.close().catch(() => undefined);
  }
  if (result !== null) return result;
  if (!isForgotten)
    throw new CrosswalkError(
      'not_reached.snapshot',
      `Snapshot ${id} is not over, and nothing was read for ${Math.round(timeoutMs / 1000)} s`,
    );
  throw new CrosswalkError(
    'not_reached.snapshot_forgotten',
    `Snapshot ${id} is over, and others ended since: how it ended is not known any more`,
  );
}

/** Calls `look` with the stored position and each later one. */
async function followPositions(
  config: Names,
  kafka: Kafka,
  look: (position: Position) => void,
): Promise<{ close(): Promise<void> }> {
  const topic = positionTopicOf(config);
  const end = (await kafka.fetchOffsets([topic])).get(topic)?.[0]?.high ?? 0n;
  return kafka.follow(topic, end > 16n ? end - 16n : 0n, {
    onRecord: ({ key, value }) => {
      if (value !== null && key?.toString() === config.slot) look(decodePosition(value));
    },
    onCaughtUp: () => undefined,
  });
}

/** The signals that the connector has taken, and the requests that it has not. */
async function readRequests(
  config: Names,
  kafka: Kafka,
): Promise<{ taken: SignalProgress; sent: { id: string; table: string; offset: bigint }[] }> {
  const record = await kafka.readLast(positionTopicOf(config), config.slot);
  const stored = record?.value == null ? undefined : decodePosition(record.value).signals;
  const taken = stored ?? { next: '0', requests: [], finished: [] };
  const sent: { id: string; table: string; offset: bigint }[] = [];
  const topic = signalTopicOf(config);
  if ((await kafka.fetchOffsets([topic])).has(topic))
    await kafka.readToEnd(topic, BigInt(taken.next), ({ key, offset, value }) => {
      if (key?.toString() !== config.slot || offset < BigInt(taken.next)) return;
      const read = parseSignal(value);
      if (read.is !== 'signal' || read.signal.kind !== 'snapshot') return;
      sent.push({ id: read.signal.id, table: read.signal.table, offset });
    });
  return { taken, sent };
}

/**
 * Offset of a request's signal; for a finished request 0, which is before anything to come; null for an unknown one.
 */
async function findOffset(config: Names, kafka: Kafka, id: string): Promise<bigint | null> {
  const { taken, sent } = await readRequests(config, kafka);
  const found = [...taken.requests, ...sent].find((request) => request.id === id);
  if (found !== undefined) return BigInt(found.offset);
  return taken.finished.some((request) => request.id === id) ? 0n : null;
}

async function send(config: Names, kafka: Kafka, signal: Signal): Promise<void> {
  const value = encodeSignal(signal);
  if (value.length > MOST_SIGNAL_BYTES)
    throw toInvalid(`the request takes ${value.length} bytes, and a signal holds ${MOST_SIGNAL_BYTES}`);
  const read = parseSignal(value);
  if (read.is !== 'signal') throw toInvalid(read.reason);
  await kafka.append(signalTopicOf(config), { key: Buffer.from(config.slot), value });
}

/** Throws `table_missing` for a table that the connector does not capture. */
export function assertCaptured({ tables }: Pick<Config, 'tables'>, table: string): void {
  if (tables.includes(table)) return;
  throw new CrosswalkError('table_missing.not_captured', `Not captured: ${table}`, { tables: tables.join(', ') });
}

/** The problem with a selection, as far as it can be found without the database; null if there is none. */
function findProblem(where: string | null, keys: SnapshotRequest['keys']): string | null {
  if (where !== null && keys != null) return 'a snapshot has a condition or keys, not both';
  if (keys != null && (keys.length === 0 || keys.length > MOST_KEYS)) return `a snapshot has 1 to ${MOST_KEYS} keys`;
  const problem = where === null ? null : readCondition(where).problem;
  return problem === null ? null : `the condition cannot be used: ${problem}`;
}

function toState({ offset: _, lastKey: __, ...state }: ActiveRequest): SnapshotState {
  return state.state === 'running' ? { ...state, secondsLeft: toSecondsLeft(state.rows, state.total, state) } : state;
}

/** Remaining time at the current rate; null if unknown. */
export function toSecondsLeft(
  rows: number,
  total: number | null,
  { rowsPerSecond = 0 }: { readonly rowsPerSecond?: number },
): number | null {
  return total === null || rowsPerSecond <= 0 ? null : Math.max(0, Math.round((total - rows) / rowsPerSecond));
}

function toInvalid(message: string): CrosswalkError {
  return new CrosswalkError('config_invalid.snapshot', `${message[0]!.toUpperCase()}${message.slice(1)}`);
}

function toUser(): string {
  return `${userInfo().username}@${hostname()}`;
}
