import { type Config, positionTopicOf, topicOf, transactionTopicOf } from '../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { createKafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf, connect } from '../runtime/postgres.ts';
import { pause, untilUp } from '../runtime/retry.ts';
import { createRegistry } from '../schemas/avro/registry.ts';
import { createTransactionEncoder, transactionKeySchema, transactionValueSchema } from '../schemas/avro/transaction.ts';
import { readCatalog, readSlot } from './catalog.ts';
import { type Captured, register } from './encoders.ts';
import { streamChanges } from './flow.ts';
import { createHeartbeat } from './heartbeat.ts';
import { parseLsn, toLsnText } from './lsn.ts';
import type { Binding } from './position.ts';
import { createPublisher } from './publish.ts';
import { createReplicationStream } from './replication.ts';
import { ensureSlot, readIdentity } from './slot.ts';
import { createSnapshot } from './snapshot/snapshot.ts';
import type { ConnectorStatus } from './status.ts';
import { readStoredPosition } from './stored-position.ts';
import { topicSpecs } from './topics.ts';

/** Longer than any pause of a broker; a source transaction that takes longer to send is a case for a person. */
const KAFKA_TRANSACTION_TIMEOUT_MS = 600_000;
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
  while (!signal.aborted) {
    const startedAtMs = performance.now();
    try {
      await runSession(config, status, options);
    } catch (thrown) {
      if (signal.aborted) break;
      const error = toCrosswalkError(thrown, 'connector');
      if (!error.retry) throw error;
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

/** Resources of one session, released last in, first out. */
async function runSession(
  config: Config,
  status: ConnectorStatus,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  const session = new AbortController();
  const abort = () => session.abort(new Error('stopped'));
  signal.addEventListener('abort', abort, { once: true });
  const releases: (() => Promise<unknown>)[] = [async () => signal.removeEventListener('abort', abort)];
  try {
    const url = config.legacyUrl();
    const wait = { log, signal: session.signal };
    const control = await untilUp(
      `legacy database ${addressOf(url)}`,
      () => connect(url, 'control', '-c row_security=off -c synchronous_commit=local'),
      wait,
    );
    releases.push(() => control.end());
    const reader = await untilUp(
      `legacy database ${addressOf(url)}`,
      () => connect(url, 'snapshot', '-c row_security=off -c synchronous_commit=local'),
      wait,
    );
    releases.push(() => reader.end());
    const relations = await readCatalog(control, {
      schema: config.legacySchema,
      tables: config.tables,
      publication: config.publication,
    });

    const kafka = createKafka(config.kafka(), log);
    const clusterId = await untilUp(`Kafka ${kafka.brokers}`, () => kafka.fetchClusterId(), wait);
    await kafka.ensureTopics(topicSpecs(config));
    const identity = await readIdentity(url);
    const bound: Binding = { ...identity, slot: config.slot, clusterId };

    const { url: baseUrl, ...credentials } = config.registry();
    const registry = createRegistry({ baseUrl, ...credentials });
    releases.push(async () => registry.close());
    const registered = await untilUp(
      `schema registry ${new URL(baseUrl).host}`,
      async () => {
        const captured: Captured[] = [];
        for (const relation of relations) captured.push(await register(relation, registry, config, bound.database));
        const boundaries = createTransactionEncoder({
          key: await registry.register(`${transactionTopicOf(config)}-key`, transactionKeySchema),
          value: await registry.register(`${transactionTopicOf(config)}-value`, transactionValueSchema),
        });
        return { captured, boundaries };
      },
      wait,
    );

    await untilAborted(ensureSlot(control, kafka, config, log), session.signal);
    const stream = await createReplicationStream({ url, slot: config.slot, publication: config.publication });
    releases.push(() => stream.close());
    // The order matters: whoever owns the slot fences an older writer, and only then is the position that it reads the last one.
    const writer = await untilUp(
      `Kafka ${kafka.brokers}`,
      () => kafka.createLogWriter(`crosswalk.${config.topicPrefix}.${config.slot}`, KAFKA_TRANSACTION_TIMEOUT_MS),
      wait,
    );
    // An open transaction would keep readers waiting until the broker gives it up.
    releases.push(async () => {
      await writer.abort().catch(() => undefined);
      await writer.close();
    });
    await writer.begin();
    await writer.abort();
    const slot = await readSlot(control, config.slot);
    const found = await readStoredPosition(kafka, config, bound, parseLsn(slot?.confirmedLsn ?? '0/0'));
    const stored = found ?? {
      bound,
      lsn: parseLsn(slot?.confirmedLsn ?? '0/0'),
      sourceMicros: BigInt(Date.now()) * 1000n,
      unseenXids: [],
      snapshot: {},
      offsets: {},
    };
    const offsets = Object.fromEntries(
      config.tables.map((table) => {
        const topic = topicOf(config, table);
        return [topic, stored.offsets[topic] ?? Array.from({ length: config.partitions }, () => '0')];
      }),
    );
    const publisher = createPublisher(writer, {
      positionTopic: positionTopicOf(config),
      positionKey: config.slot,
      offsets,
    });
    // Stored before the first event, so that events without a position always mean that a position was lost.
    if (found === null) await publisher.commit(stored);
    const snapshot = createSnapshot({
      client: reader,
      relations,
      progress: stored.snapshot,
      chunkRows: config.chunkRows,
      log,
    });

    const onBreak = () => void stream.close();
    session.signal.throwIfAborted();
    session.signal.addEventListener('abort', onBreak, { once: true });
    const heartbeat = createHeartbeat(control, config.heartbeatMs, session);
    releases.push(async () => heartbeat.stop());
    await heartbeat.beat();

    // Time spent waiting for servers is no lack of progress.
    status.lastProgressMs = performance.now();
    status.state = 'streaming';
    log.info({ lsn: toLsnText(stored.lsn), tables: relations.length }, 'streaming');
    const loading = snapshot.run(session.signal).catch((error: unknown) => {
      if (!session.signal.aborted) session.abort(toLoadError(error));
    });
    releases.push(() => loading);
    await streamChanges({
      config,
      status,
      log,
      control,
      stream,
      publisher,
      snapshot,
      heartbeat,
      registry,
      bound,
      stored,
      loaded: new Map(registered.captured.map((captured) => [captured.relation.oid, captured])),
      boundaries: registered.boundaries,
    });
    if (session.signal.aborted && !signal.aborted) throw session.signal.reason;
  } finally {
    session.abort(new Error('session ended'));
    // Bounded: a server that is gone must not keep this process from ending or starting over.
    for (const release of releases.reverse()) {
      const waited = new AbortController();
      await Promise.race([release().catch(() => undefined), pause(RELEASE_TIMEOUT_MS, waited.signal)]);
      waited.abort();
    }
  }
}

/** A column that a chunk asks for and that is gone was dropped or renamed: the load goes on with the columns of now. */
function toLoadError(error: unknown): unknown {
  if ((error as { code?: unknown } | null)?.code !== '42703') return error;
  return new CrosswalkError(
    'columns_changed',
    'The columns of a table changed during the initial load',
    'The load goes on with the new columns.',
    error,
  );
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
