import type pg from 'pg';
import type { Relation } from '../changes/change.ts';
import { toLsnText } from '../changes/lsn.ts';
import { MOST_ROW_BYTES, toMostCellBytes } from '../changes/row-bytes.ts';
import { type Config, deadLetterTopicOf, positionTopicOf, topicOf, transactionTopicOf } from '../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import { createHopTrace } from '../runtime/hop-trace.ts';
import { createKafka, type LogWriter } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf, connect, sourceOptions } from '../runtime/postgres.ts';
import { createPatience, pause, untilUp } from '../runtime/retry.ts';
import { CONNECTOR, recordStop, stopTopicOf } from '../runtime/stop-records.ts';
import { AvroWriter } from '../schemas/avro/avro-writer.ts';
import { createRegistry } from '../schemas/avro/registry.ts';
import { createTransactionEncoder, transactionKeySchema, transactionValueSchema } from '../schemas/avro/transaction.ts';
import { isUnchanged, readCatalog, readSlot } from './catalog.ts';
import { createSourceDeadLetters, readOpenKeys } from './dead-letters.ts';
import { type Captured, register } from './encoders.ts';
import { streamChanges } from './flow.ts';
import { createHeartbeat } from './heartbeat.ts';
import { type Binding, decodePosition, type Position } from './position.ts';
import { createPublisher } from './publish.ts';
import { createReplicationStream, type ReplicationStream } from './replication.ts';
import { ensureSlot, readIdentity, readServerState } from './slot.ts';
import { followSignals } from './snapshot/follow-signals.ts';
import { createSnapshot } from './snapshot/snapshot.ts';
import { createWorkList } from './snapshot/work.ts';
import type { SourceFingerprint } from './source-fingerprint.ts';
import { toCapturedProgress } from './source-health.ts';
import { captureOf } from './source-state.ts';
import { type ConnectorStatus, createConnectorStatus } from './status.ts';
import { readStoredPosition } from './stored-position.ts';
import { topicSpecs } from './topics.ts';

/** How often a connector that stands by looks whether the slot is free. */
const STAND_BY_MS = 100;
const RELEASE_TIMEOUT_MS = 2000;
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 5000;

/**
 * One connector, until the signal is raised: streams, and starts over from the stored position after any failure that waiting may heal.
 * Throws a CrosswalkError that a person must act on.
 */
export async function runConnector(
  config: Config,
  status: ConnectorStatus,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  let waitMs = FIRST_WAIT_MS;
  const patience = createPatience();
  while (!signal.aborted) {
    const startedAtMs = performance.now();
    status.failedRead = null;
    try {
      await runSession(config, status, options);
    } catch (thrown) {
      if (signal.aborted) break;
      const error = toCrosswalkError(thrown, 'connector');
      const end = patience.failed(error, ...toProgress(status));
      if (end !== null) {
        await noteStop(config, end, log);
        throw end;
      }
      const standingBy = error.code === 'slot_busy';
      if (status.state !== 'standing by' || !standingBy)
        log.warn({ code: error.code, err: error.code === 'unexpected' ? thrown : undefined }, error.message);
      status.state = standingBy ? 'standing by' : 'starting';
      // A session that ran for a while begins with a short wait again; one that fails at once is tried less and less often.
      if (standingBy || performance.now() - startedAtMs > LAST_WAIT_MS) waitMs = FIRST_WAIT_MS;
      await pause(waitMs, signal);
      waitMs = Math.min(waitMs * 2, LAST_WAIT_MS);
    }
  }
  status.state = 'stopped';
}

/** The last line of this process, for `status`. */
async function noteStop(config: Config, error: CrosswalkError, log: Log): Promise<void> {
  // Without settings there is no Kafka to write to.
  if (error.code === 'config_invalid') return;
  const kafka = createKafka(config.kafka(), log);
  const readProgress = async () => {
    // A first start may be refused before the others are made.
    await kafka.ensureTopics(topicSpecs(config).filter(({ topic }) => topic === stopTopicOf(config)));
    const record = await kafka.readLast(positionTopicOf(config), config.slot);
    return toLsnText(record?.value == null ? 0n : decodePosition(record.value).lsn);
  };
  await recordStop(kafka, config, { process: CONNECTOR, error, readProgress, log });
}

/**
 * What has got done by now, and where that is. The stream goes on while a table cannot be read, so a failure there counts by what was read.
 */
function toProgress(status: ConnectorStatus): [progress: string, place: string] {
  const lsn = `LSN ${toLsnText(status.lsn)}`;
  const { failedRead } = status;
  if (failedRead === null) return [lsn, lsn];
  const { table, rows } = failedRead;
  return [`${table} ${rows}`, `table ${table}, ${rows} rows read`];
}

/** Writes another position in the place of the stored one, as the owner of the slot. Waits while a connector has it. */
export async function amendPosition(
  config: Config,
  amend: Amendment,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  await runSession(config, createConnectorStatus(config.tables), { ...options, amend });
}

/** The position to store, and whether the slot is moved up to it; null: none was ever stored. */
export type Amendment = (
  stored: Position | null,
  control: pg.ClientBase,
) => Promise<{ position: Omit<Position, 'offsets'>; movesSlot: boolean }>;

/** Resources of one session, released last in, first out. */
async function runSession(
  config: Config,
  status: ConnectorStatus,
  options: { log: Log; signal: AbortSignal; amend?: Amendment },
): Promise<void> {
  const { log, signal } = options;
  const session = new AbortController();
  const abort = () => session.abort(new Error('stopped'));
  signal.addEventListener('abort', abort, { once: true });
  const releases: (() => Promise<unknown>)[] = [async () => signal.removeEventListener('abort', abort)];
  let isOver = false;
  /** Has the end of the session release what is being opened, also where it is open only after that. */
  const hold = async <T>(opening: Promise<T>, release: (opened: T) => Promise<unknown>): Promise<T> => {
    const opened = await opening;
    if (isOver) await release(opened).catch(() => undefined);
    else releases.push(() => release(opened));
    return opened;
  };
  try {
    const url = config.legacyUrl();
    const wait = { log, signal: session.signal };
    const capture = captureOf(config);
    const connectLegacy = (name: string) =>
      connect(url, name, `${sourceOptions} -c row_security=off -c synchronous_commit=local`);
    const open = (name: string) =>
      hold(
        untilUp(`legacy database ${addressOf(url)}`, () => connectLegacy(name), wait),
        (client) => client.end(),
      );
    // The servers are asked at once: what one of them takes is not added to what another one does.
    const readLegacy = async () => {
      const control = await open('control');
      const [relations, reader, identity] = await Promise.all([
        readCatalog(control, capture),
        open('snapshot'),
        readIdentity(url),
      ]);
      return { control, relations, reader, identity };
    };
    const kafka = createKafka(config.kafka(), log);
    const [{ control, relations, reader, identity }, clusterId] = await Promise.all([
      readLegacy(),
      untilUp(`Kafka ${kafka.brokers}`, () => kafka.fetchClusterId(), wait),
    ]);
    const bound: Binding = { ...identity, slot: config.slot, clusterId };

    const { url: baseUrl, ...credentials } = config.registry();
    const registry = createRegistry({ baseUrl, ...credentials });
    releases.push(async () => registry.close());
    // One for all tables: many of them do not hold a slab each. Of this session alone: another one cannot write over what a request of this one may still send.
    const slabs = new AvroWriter();
    const registerAll = async () => {
      const [captured, key, value] = await Promise.all([
        Promise.all(relations.map((relation) => register(relation, registry, config, bound.database, slabs))),
        registry.register(`${transactionTopicOf(config)}-key`, transactionKeySchema),
        registry.register(`${transactionTopicOf(config)}-value`, transactionValueSchema),
      ]);
      return { captured, boundaries: createTransactionEncoder({ key, value }) };
    };
    const prepareTopics = async () => {
      const specs = topicSpecs(config);
      await kafka.ensureTopics(specs);
      return kafka.fetchMessageLimits(specs.map((spec) => spec.topic));
    };
    const [limits, registered] = await Promise.all([
      prepareTopics(),
      untilUp(`schema registry ${new URL(baseUrl).host}`, registerAll, wait),
    ]);

    await untilAborted(ensureSlot(control, kafka, config, bound, log), session.signal);
    const writer = await untilUp(
      `Kafka ${kafka.brokers}`,
      () => kafka.createLogWriter(`crosswalk.${config.topicPrefix}.${config.slot}`, config.transactionTimeoutMs),
      wait,
    );
    // An open transaction would keep readers waiting until the broker gives it up.
    releases.push(async () => {
      await writer.abort().catch(() => undefined);
      await writer.close();
    });
    const standBy = async () => {
      if (status.state !== 'standing by')
        log.info({ slot: config.slot }, 'another connector has the slot: standing by');
      status.state = 'standing by';
      await pause(STAND_BY_MS, session.signal);
      session.signal.throwIfAborted();
    };
    const stream = await openStream(config, control, standBy, {
      mostCellBytes: toMostCellBytes(config.tables.flatMap((table) => limits.get(topicOf(config, table)) ?? [])),
      onPart: () => {
        status.lastProgressMs = performance.now();
      },
    });
    releases.push(() => stream.close());
    // The order matters: whoever owns the slot fences an older writer, and only then is the position that it reads the last one.
    await reach?.('position.before');
    await fence(writer, config);
    const readServer = async () => {
      await assertUnchanged(config, control, identity, relations);
      return readServerState(control, config.slot);
    };
    const reading = readServer();
    const [server, found, openKeys] = await Promise.all([
      reading,
      readStoredPosition(kafka, config, bound, reading),
      readOpenKeys(kafka, config),
    ]);
    await reach?.('position.after');
    const stored: Position = found ?? {
      bound,
      lsn: server.confirmedLsn,
      sourceMicros: BigInt(Date.now()) * 1000n,
      unseenXids: [],
      snapshot: {},
      offsets: {},
    };
    const emptyOffsets = Array.from({ length: config.partitions }, () => '0');
    const offsets = {
      ...Object.fromEntries(config.tables.map((table) => [topicOf(config, table), emptyOffsets])),
      // Those of tables that are not captured now, too: they are where a table goes on that is captured again.
      ...stored.offsets,
    };
    const publisher = createPublisher(writer, {
      positionTopic: positionTopicOf(config),
      positionKey: config.slot,
      offsets,
      limits,
      timeoutMs: config.transactionTimeoutMs,
      slabs,
    });
    const deadLetters = createSourceDeadLetters(openKeys, deadLetterTopicOf(config));
    status.deadLettersOpen = deadLetters.open();
    if (options.amend !== undefined) {
      const { position, movesSlot } = await options.amend(found, control);
      await publisher.commit(position);
      if (movesSlot) {
        await stream.close();
        await moveSlot(control, config.slot, position.lsn, session.signal);
      }
      return;
    }
    // Stored before the first event, so that events without a position always mean that a position was lost.
    if (found === null) await publisher.commit(stored);
    const progress = toCapturedProgress(stored.snapshot, config.tables, stored.source);
    const snapshot = createSnapshot({
      client: reader,
      openReader: (name) => hold(connectLegacy(name), (client) => client.end()),
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

    const onBreak = () => void stream.close();
    session.signal.throwIfAborted();
    session.signal.addEventListener('abort', onBreak, { once: true });
    const heartbeat = createHeartbeat(
      control,
      { everyMs: config.heartbeatMs, capture, fingerprint: rememberTold(stored.source, registered.captured), log },
      session,
    );
    releases.push(async () => heartbeat.stop());
    await heartbeat.beat();

    status.lsn = stored.lsn;
    // Time spent waiting for servers is no lack of progress.
    status.lastProgressMs = performance.now();
    status.state = 'streaming';
    log.info({ lsn: toLsnText(stored.lsn), tables: relations.length }, 'streaming');
    const loading = snapshot.run(session.signal).catch((error: unknown) => {
      if (session.signal.aborted) return;
      status.failedRead = snapshot.reading();
      session.abort(toLoadError(error));
    });
    releases.push(() => loading);
    const following = followSignals(kafka, config, snapshot, { log, signal: session.signal });
    releases.push(() => following);
    const trace = createHopTrace(log, config.traceSeconds);
    releases.push(async () => trace?.close());
    await streamChanges({
      config,
      status,
      log,
      control,
      stream,
      publisher,
      deadLetters,
      snapshot,
      heartbeat,
      registry,
      writer: slabs,
      bound,
      stored: {
        ...stored,
        snapshot: progress,
        told: pickTables(stored.told ?? {}, [...Object.keys(progress), ...Object.keys(stored.reread ?? {})]),
      },
      loaded: new Map(registered.captured.map((captured) => [captured.relation.oid, captured])),
      boundaries: registered.boundaries,
      trace,
    });
    if (session.signal.aborted && !signal.aborted) throw session.signal.reason;
  } finally {
    isOver = true;
    session.abort(new Error('session ended'));
    // Bounded: a server that is gone must not keep this process from ending or starting over.
    for (const release of releases.reverse()) {
      const waited = new AbortController();
      await Promise.race([release().catch(() => undefined), pause(RELEASE_TIMEOUT_MS, waited.signal)]);
      waited.abort();
    }
  }
}

/**
 * Opens the stream as soon as the slot is free. It polls for that, because each refused start would be an error in the server's log.
 */
async function openStream(
  config: Config,
  control: pg.Client,
  standBy: () => Promise<void>,
  receive: Pick<Parameters<typeof createReplicationStream>[0], 'mostCellBytes' | 'onPart'>,
): Promise<ReplicationStream> {
  const { slot, publication } = config;
  const { rows } = await control.query(`SELECT FROM pg_settings WHERE name = 'transaction_timeout'`);
  // Servers before PostgreSQL 17 refuse a session that names it.
  const settings = rows.length > 0 ? '-c transaction_timeout=0' : '';
  for (;;) {
    if ((await readSlot(control, slot))?.active !== true) {
      try {
        return await createReplicationStream({ url: config.legacyUrl(), slot, publication, settings, ...receive });
      } catch (error) {
        if (!(error instanceof CrosswalkError) || error.code !== 'slot_busy') throw error;
      }
    }
    await standBy();
  }
}

/** Moves a slot past what is not to be sent. Without a stream nothing is decoded into text, and so nothing that cannot be. */
async function moveSlot(control: pg.Client, slot: string, lsn: bigint, signal: AbortSignal): Promise<void> {
  while ((await readSlot(control, slot))?.active === true) {
    await pause(STAND_BY_MS, signal);
    signal.throwIfAborted();
  }
  await control.query('SELECT pg_replication_slot_advance($1, $2::pg_lsn)', [slot, toLsnText(lsn)]);
}

const pickTables = <T>(values: Readonly<Record<string, T>>, tables: readonly string[]) =>
  Object.fromEntries(Object.entries(values).filter(([table]) => tables.includes(table)));

/** A fingerprint of a version that kept no names of columns: those that the log has known, and that are gone, are gone there too. */
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

/** What was read before the stream was open must still hold: another server may answer under the address by now, or a long wait for the slot lie in between. */
async function assertUnchanged(
  config: Config,
  control: pg.Client,
  identity: Awaited<ReturnType<typeof readIdentity>>,
  relations: readonly Relation[],
): Promise<void> {
  const now = await Promise.all([readIdentity(config.legacyUrl()), readCatalog(control, captureOf(config))]);
  if (JSON.stringify(now) === JSON.stringify([identity, relations])) return;
  throw new CrosswalkError('columns_changed.start', 'The tables, or the server, changed while this connector started');
}

/**
 * Fences every earlier writer with a record behind all that they committed: once it is acknowledged, readers see everything before it. A broker that has crashed shows
 * less for a moment, and an older position would be taken for the last.
 */
async function fence(writer: LogWriter, config: Config): Promise<void> {
  const key = Buffer.from(`${config.slot}.fence`);
  const timestampMs = String(Date.now());
  await writer.begin();
  await writer.send(
    new Map([[positionTopicOf(config), [{ partition: 0, key, value: Buffer.from('{}'), timestampMs }]]]),
  );
  await writer.commit();
}

/** A column that a chunk asks for and that is gone was dropped or renamed: the load goes on with the columns of now. A request that names such a one is refused before. */
function toLoadError(error: unknown): unknown {
  if ((error as { code?: unknown } | null)?.code !== '42703') return error;
  return new CrosswalkError('columns_changed', 'The columns of a table changed during the initial load', {
    cause: error,
  });
}

/** Waits for work that has no signal of its own; on abort throws at once and leaves it to the release of its connection. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  work.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  await Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}
