import type { Relation } from '../../changes/change.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import { type ChunkReading, readAll } from './read-chunks.ts';
import { inspectSelection, toRefusal } from './selection.ts';
import type { Work } from './work.ts';

/** Everything needed to read works, one after another. */
export interface WorkReading extends ChunkReading {
  /** Whether the table is unchanged since the start of the session. */
  readonly isCurrent: (relation: Relation) => Promise<boolean>;
  readonly log: Log;
}

/** Reads the works and waits for more, until the signal aborts. Throws database errors. */
export async function readWork(works: WorkReading, signal: AbortSignal): Promise<void> {
  const { work, reading, others } = works;
  signal.addEventListener('abort', () => reading.wake(), { once: true });
  for (let waited = 0; ; ) {
    signal.throwIfAborted();
    const next = work.next();
    if (next === null) {
      if (work.isIdle()) others.end();
      await reading.settled(signal);
    } else if (waited !== reading.rounds) {
      waited = reading.rounds;
      await waitForOpenWriters(works, signal);
    } else if (next.request === null) await load(works, next, signal);
    else await follow(works, next, signal);
  }
}

/**
 * Waits for transactions that began before the stream was watched for chunks, or before the table was captured: a chunk
 * could miss their changes.
 */
async function waitForOpenWriters({ client, reading, log }: WorkReading, signal: AbortSignal): Promise<void> {
  const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  for (let said = false; !reading.isIdle; ) {
    const { rows: now } = await client.query<{ xmin: string }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
    );
    if (BigInt(now[0]!.xmin) > BigInt(rows[0]!.xid)) return;
    if (!said) log.info('the snapshot waits for transactions that are older than it');
    said = true;
    await pause(100, signal);
    signal.throwIfAborted();
  }
}

/** Reads a table of the initial load: a failure ends the session. */
async function load(works: WorkReading, of: Work, signal: AbortSignal): Promise<void> {
  const { work, reading, isCurrent, log } = works;
  const { table } = of.relation;
  // Between the start of the session and the first check of the source nothing was checked.
  if (!(await isCurrent(of.relation))) throw toColumnsChanged(of.relation);
  log.info({ table, resumed: work.reached(of).rows > 0 }, 'initial load of a table begins');
  reading.work = of;
  await readAll(works, of, signal);
  log.info({ table, rows: work.reached(of).rows }, 'initial load of a table is complete');
}

/** Reads a request: a failure that it caused ends only the request. */
async function follow(works: WorkReading, of: Work, signal: AbortSignal): Promise<void> {
  const { client, work, reading, timeoutMs, isCurrent, log } = works;
  const { relation, selection, request } = of;
  const about = { id: request!.id, table: relation.table };
  // The session uses the columns as of its start.
  if (!(await isCurrent(relation))) throw toColumnsChanged(relation);
  try {
    const total = await inspectSelection(client, relation, selection, timeoutMs);
    if (work.next() !== of) return;
    log.info({ ...about, resumed: work.reached(of).rows > 0 }, 'a snapshot begins');
    work.begin(of, total);
    reading.work = of;
    await readAll(works, of, signal);
  } catch (error) {
    const reason = toRefusal(error, timeoutMs);
    if (reason === null) throw error;
    if (!(await isCurrent(relation))) throw toColumnsChanged(relation);
    log.warn({ ...about, reason }, 'a snapshot failed');
    work.fail(of, reason);
    reading.update();
  }
}

/** The next session reads with the new columns and continues where this one stopped. */
function toColumnsChanged({ table }: Relation): CrosswalkError {
  return new CrosswalkError('columns_changed', `The columns of ${table} have changed`);
}
