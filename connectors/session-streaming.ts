import { toLsnText } from '../changes/lsn.ts';
import { MOST_ROW_BYTES } from '../changes/row-bytes.ts';
import { topicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { createHopTrace } from '../runtime/hop-trace.ts';
import { isUnchanged } from './catalog.ts';
import type { SourceDeadLetters } from './dead-letters.ts';
import type { Captured } from './encoders.ts';
import { streamChanges } from './flow.ts';
import { createHeartbeat, type Heartbeat } from './heartbeat.ts';
import type { Position } from './position.ts';
import type { Publisher } from './publish.ts';
import type { ReplicationStream } from './replication.ts';
import type { Session } from './session-resources.ts';
import type { Formats, Servers } from './session-servers.ts';
import { followSignals } from './snapshot/follow-signals.ts';
import { createSnapshot, type Snapshot } from './snapshot/snapshot.ts';
import { createWorkList } from './snapshot/work.ts';
import type { SourceFingerprint } from './source-fingerprint.ts';
import { toCapturedProgress } from './source-health.ts';
import { captureOf } from './source-state.ts';

/** Resources of a session that may write. */
interface Opened {
  readonly servers: Servers;
  readonly formats: Formats;
  readonly stream: ReplicationStream;
  readonly stored: Position;
  readonly publisher: Publisher;
  readonly deadLetters: SourceDeadLetters;
}

type Progress = Position['snapshot'];

/**
 * Streams from the stored position, together with the heartbeat, the table reads and the signal reader. Returns when
 * the session ends.
 */
export async function streamSession(session: Session, opened: Opened): Promise<void> {
  const { config, status, log, ending, resources } = session;
  const { servers, formats, stream, stored, publisher, deadLetters } = opened;
  const { control, bound } = servers;
  const { registry, boundaries, captured } = formats;
  const progress = toCapturedProgress(stored.snapshot, config.tables, stored.source);
  const snapshot = openSnapshot(session, opened, progress);
  const onBreak = () => void stream.close();
  ending.signal.throwIfAborted();
  ending.signal.addEventListener('abort', onBreak, { once: true });
  const heartbeat = await startHeartbeat(session, opened);
  status.lsn = stored.lsn;
  // Time spent waiting for servers does not count as lack of progress.
  status.lastProgressMs = performance.now();
  status.state = 'streaming';
  log.info({ lsn: toLsnText(stored.lsn), tables: servers.relations.length }, 'streaming');
  readBeside(session, servers, snapshot);
  const trace = createHopTrace(log, config.traceSeconds);
  resources.add(async () => trace?.close());
  await streamChanges({
    ...{ config, status, log, control, stream, publisher, deadLetters, snapshot, heartbeat, registry, bound },
    writer: formats.slabs,
    stored: {
      ...stored,
      snapshot: progress,
      told: pickTables(stored.told ?? {}, [...Object.keys(progress), ...Object.keys(stored.reread ?? {})]),
    },
    loaded: new Map(captured.map((each) => [each.relation.oid, each])),
    boundaries,
    trace,
  });
}

function openSnapshot(session: Session, { servers, stored, publisher }: Opened, progress: Progress): Snapshot {
  const { config, log } = session;
  const { relations, reader, openReader } = servers;
  const capture = captureOf(config);
  return createSnapshot({
    client: reader,
    openReader,
    readers: config.snapshotConnections,
    maxRate: config.snapshotMaxRate,
    maxSessions: config.snapshotMaxSessions,
    work: createWorkList({ relations, progress, signals: stored.signals }),
    chunkRows: config.chunkRows,
    mostRowBytesOf: ({ table }) => Math.min(publisher.limitOf(topicOf(config, table)), MOST_ROW_BYTES),
    timeoutMs: config.snapshotTimeoutSeconds * 1000,
    isCurrent: (relation) => isUnchanged(reader, relation, capture),
    log,
  });
}

/** Returns after the first beat, which verified the source. */
async function startHeartbeat(session: Session, { servers, formats, stored }: Opened): Promise<Heartbeat> {
  const { config, log, ending, resources } = session;
  const fingerprint = rememberTold(stored.source, formats.captured);
  const heartbeat = createHeartbeat(
    servers.control,
    { everyMs: config.heartbeatMs, capture: captureOf(config), fingerprint, log },
    ending,
  );
  resources.add(async () => heartbeat.stop());
  await heartbeat.beat();
  return heartbeat;
}

/** Reads what is due and what signals request, until the session ends. */
function readBeside(session: Session, { kafka }: Servers, snapshot: Snapshot): void {
  const { config, status, log, ending, resources } = session;
  const loading = snapshot.run(ending.signal).catch((error: unknown) => {
    if (ending.signal.aborted) return;
    status.failedRead = snapshot.reading();
    ending.abort(toLoadError(error));
  });
  resources.add(() => loading);
  const following = followSignals(kafka, config, snapshot, { log, signal: ending.signal });
  resources.add(() => following);
}

const pickTables = <T>(values: Readonly<Record<string, T>>, tables: readonly string[]) =>
  Object.fromEntries(Object.entries(values).filter(([table]) => tables.includes(table)));

/**
 * For a fingerprint of a version that stored no column names: marks columns known to the log that no longer exist as
 * gone.
 */
function rememberTold(
  source: SourceFingerprint | undefined,
  captured: readonly Captured[],
): SourceFingerprint | undefined {
  if (source === undefined) return undefined;
  const tables = Object.entries(source.tables).map(([table, before]) => {
    const now = captured.find(({ relation }) => relation.table === table);
    if (before.names !== undefined || now === undefined) return [table, before] as const;
    const live = new Set(now.relation.columns.map(({ name }) => name));
    return [table, { ...before, gone: [...now.told].filter((name) => !live.has(name)) }] as const;
  });
  return { ...source, tables: Object.fromEntries(tables) };
}

/**
 * A requested column that no longer exists was dropped or renamed: the load continues with the current columns. A
 * request that names such a column is refused earlier.
 */
function toLoadError(error: unknown): unknown {
  if ((error as { code?: unknown } | null)?.code !== '42703') return error;
  return new CrosswalkError('columns_changed', 'The columns of a table changed during the initial load', {
    cause: error,
  });
}
