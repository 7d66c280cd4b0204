import type pg from 'pg';
import { toLsnText } from '../changes/lsn.ts';
import type { Position } from '../connectors/position.ts';
import { type Config, topicOf } from '../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { connect } from '../runtime/postgres.ts';
import { pause } from '../runtime/retry.ts';
import { followPosition } from './read-position.ts';

/** Pause after this process recorded a position. */
const EVERY_MS = 25;
/** Pause after another process had recorded it already: that process does the recording. */
const STANDBY_MS = 250;
const PRUNE_EVERY_MS = 1000;
/** Most rows kept. Once there are as many, a new position replaces the newest one. */
const ROWS = 200;
/** Pauses after consecutive failures, growing. */
const RETRY_MS = { first: 250, longest: 10_000 };
/** A follower without a new position for this long, and for ten heartbeats, is reopened: a connection may stay silent forever. */
const SILENT_MS = 15_000;
/** Timeout for a server to open a connection or to answer. */
const ANSWER_MS = 30_000;

/** No commit waits for the disk: what a crash of the server loses is recorded again. */
const SESSION_OPTIONS = '-c synchronous_commit=off -c statement_timeout=10s';

/** A position as `crosswalk.log_position` holds it. `offsets`: by topic, only topics that have projections. */
export interface LogPosition {
  readonly lsn: string;
  readonly offsets: Readonly<Record<string, readonly string[]>>;
  readonly isLoaded: boolean;
}

/** Includes projections that run in other processes: a caller who waits for a write waits for all of them. */
export function toLogPosition(
  config: Pick<Config, 'topicPrefix' | 'legacySchema' | 'projectedTables'>,
  position: Position,
): LogPosition {
  const sources = config.projectedTables;
  const offsetsOf = (source: string) => [topicOf(config, source), position.offsets[topicOf(config, source)] ?? []];
  return {
    lsn: toLsnText(position.lsn),
    offsets: Object.fromEntries(sources.map(offsetsOf)),
    isLoaded: sources.every((source) => position.snapshot[source]?.done),
  };
}

/** Advisory lock: one process at a time changes the rows. The others skip, since they have nothing to add. */
const MINE = `mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('crosswalk.log_position')) AS held)`;

/** Positions in the target database: at most `limits.rows` of them, or a few more if several processes record. */
export function createPositionTable(
  target: pg.ClientBase,
  limits = { rows: ROWS, pruneEveryMs: PRUNE_EVERY_MS },
): { record(position: LogPosition): Promise<boolean> } {
  let rows = 0;
  let prunedAtMs = Number.NEGATIVE_INFINITY;

  /** Removes positions that are no longer needed: those before the last applied one, and those of the initial load except the newest. Returns how many are left. */
  async function prune(): Promise<number> {
    const { rows: left } = await target.query<{ count: string }>({
      name: 'crosswalk prune positions',
      text: `WITH ${MINE},
       removed AS (DELETE FROM crosswalk.log_position WHERE (SELECT held FROM mine) AND (lsn < (SELECT crosswalk.applied_lsn())
         OR (NOT is_loaded AND lsn < (SELECT max(lsn) FROM crosswalk.log_position))) RETURNING 1)
       SELECT (SELECT count(*) FROM crosswalk.log_position) - (SELECT count(*) FROM removed) AS count`,
    });
    return Number(left[0]!.count);
  }

  return {
    /** Records a position beyond all recorded ones; if the table is full, it replaces the newest one. Returns false if it is not beyond them, or if another process is recording. */
    async record(position) {
      if (performance.now() - prunedAtMs >= limits.pruneEveryMs) {
        rows = await prune();
        prunedAtMs = performance.now();
      }
      const { rowCount } = await target.query({
        name: 'crosswalk record position',
        text: `WITH ${MINE},
         last AS MATERIALIZED (SELECT max(lsn) AS lsn FROM crosswalk.log_position),
         wanted AS MATERIALIZED (SELECT FROM mine, last WHERE mine.held AND (last.lsn IS NULL OR last.lsn < $1::pg_lsn)),
         replaced AS (DELETE FROM crosswalk.log_position WHERE $4::boolean AND lsn = (SELECT lsn FROM last) AND EXISTS (SELECT FROM wanted))
         INSERT INTO crosswalk.log_position (lsn, offsets, is_loaded) SELECT $1::pg_lsn, $2::jsonb, $3::boolean FROM wanted ON CONFLICT DO NOTHING`,
        values: [position.lsn, JSON.stringify(position.offsets), position.isLoaded, rows >= limits.rows],
      });
      if (rowCount === 1 && rows < limits.rows) rows += 1;
      return rowCount === 1;
    },
  };
}

/**
 * Records the connector's positions in the target database, for `crosswalk.wait_for_lsn`, until the signal is aborted. Every projector process runs it; the first to see
 * a position records it. Never throws, and projecting does not wait for it: failures are retried.
 */
export async function recordPositions(
  config: Config,
  kafka: Kafka,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  let said = '';
  let retryMs = RETRY_MS.first;
  while (!signal.aborted) {
    try {
      await recordFollowed(config, kafka, signal, () => {
        said = '';
        retryMs = RETRY_MS.first;
      });
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, message, remedy } = toCrosswalkError(thrown, 'positions of the log');
      if (message !== said) log.warn({ code }, `nobody can wait for a write in SQL: ${message}. ${remedy}`);
      said = message;
      await pause(retryMs, signal);
      retryMs = Math.min(2 * retryMs, RETRY_MS.longest);
    }
  }
}

/** Records with one follower and one connection, until one of them fails or the follower falls silent. */
async function recordFollowed(
  config: Config,
  kafka: Kafka,
  signal: AbortSignal,
  onRecorded: () => void,
): Promise<void> {
  const following = followPosition(kafka, config);
  try {
    const followed = await answered(following, signal);
    const connecting = connect(config.targetUrl(), 'positions', SESSION_OPTIONS);
    try {
      await recordAll(config, followed, await answered(connecting, signal), signal, onRecorded);
    } finally {
      // Do not await a server that may be silent: a running query ends with its connection.
      void connecting.then((target) => target.end()).catch(() => undefined);
    }
  } finally {
    void following.then((followed) => followed.close()).catch(() => undefined);
  }
}

async function recordAll(
  config: Config,
  followed: { latest(): Position | null },
  target: pg.ClientBase,
  signal: AbortSignal,
  onRecorded: () => void,
): Promise<void> {
  const silentMs = Math.max(SILENT_MS, 10 * config.heartbeatMs);
  const table = createPositionTable(target);
  let recorded: Position | null = null;
  let changedAtMs = performance.now();
  while (!signal.aborted && performance.now() - changedAtMs < silentMs) {
    const latest = followed.latest();
    if (latest === null || latest === recorded) {
      await pause(EVERY_MS, signal);
      continue;
    }
    const isFirst = await answered(table.record(toLogPosition(config, latest)), signal);
    recorded = latest;
    changedAtMs = performance.now();
    onRecorded();
    await pause(isFirst ? EVERY_MS : STANDBY_MS, signal);
  }
}

/** Waits for a server, until a timeout or until the signal is aborted. */
async function answered<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `positions of the log: no answer within ${ANSWER_MS / 1000} s`;
    late.reject(new CrosswalkError('server_down.again', message));
  }, ANSWER_MS);
  const onAbort = () => late.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
