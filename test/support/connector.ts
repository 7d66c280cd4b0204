import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import pg from 'pg';
import { parseLsn } from '../../changes/lsn.ts';
import { runConnector } from '../../connectors/connect.ts';
import { decodePosition, type Position } from '../../connectors/position.ts';
import { planSourceSetup } from '../../connectors/source-setup.ts';
import { captureOf } from '../../connectors/source-state.ts';
import { type ConnectorStatus, createConnectorStatus } from '../../connectors/status.ts';
import { topicSpecs } from '../../connectors/topics.ts';
import { createLegacySchema } from '../../pipelines/crm/sample/load.ts';
import { type Config, positionTopicOf, topicOf, transactionTopicOf } from '../../runtime/config.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { findDifferences, findFaults } from './check-log.ts';
import { parseConfig } from './crm.ts';
import { kafkaClientEnv } from './kafka-client.ts';
import { type LogRecord, readBoundaries, readLog } from './read-log.ts';
import { createDatabases, stackAddresses } from './stack.ts';
import { waitUntil } from './wait-until.ts';

/** A connector that runs in this process. */
export interface RunningConnector {
  readonly status: ConnectorStatus;
  /** What the run ended with: null after a stop, or the error it stopped with. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

/** A legacy database of its own, captured under a slot and topic prefix of its own. */
export interface ConnectorRig {
  readonly env: Readonly<Record<string, string>>;
  readonly config: Config;
  /** On the legacy database, with the connector's settings: every value is PostgreSQL's text. */
  readonly legacy: pg.Client;
  /** Runs a connector here. `overrides` are variables of the environment. */
  run(overrides?: Readonly<Record<string, string>>): RunningConnector;
  readPosition(): Promise<Position | null>;
  /** Waits until the log holds everything committed by now, initial load included. */
  untilCaughtUp(timeoutMs?: number): Promise<void>;
  /** The log, after checking it: the same rows as the tables, and no fault in it. */
  readCheckedLog(timeoutMs?: number): Promise<{ log: LogRecord[]; differences: string[]; faults: string[] }>;
  deletePositionTopic(): Promise<void>;
  /** Removes topics, slot and databases. */
  drop(): Promise<void>;
}

/** Statements in `schema` are run before the tables are published; the sample's tables by default. `legacyUrl`: an empty database elsewhere, `kafkaBrokers`, `registryUrl`: another Kafka, another registry. */
export async function createConnectorRig(
  name: string,
  options: {
    tables?: readonly string[];
    schema?: string;
    legacyUrl?: string;
    kafkaBrokers?: string;
    /** Whether replica identity and publication are left as `schema` makes them. */
    isSetUp?: boolean;
    registryUrl?: string;
    env?: Readonly<Record<string, string>>;
  } = {},
): Promise<ConnectorRig> {
  const { kafkaBrokers, registryUrl } = options;
  const stack = {
    ...stackAddresses(),
    ...(kafkaBrokers ? { kafkaBrokers } : {}),
    ...(registryUrl ? { registryUrl } : {}),
  };
  const databases = await createDatabases(name);
  const legacyUrl = options.legacyUrl ?? databases.legacyUrl;
  const id = `${name}_${randomBytes(4).toString('hex')}`;
  const env = {
    LEGACY_DATABASE_URL: legacyUrl,
    TARGET_DATABASE_URL: databases.targetUrl,
    KAFKA_BROKERS: stack.kafkaBrokers,
    ...kafkaClientEnv,
    SCHEMA_REGISTRY_URL: stack.registryUrl,
    CROSSWALK_SLOT: id,
    CROSSWALK_TOPIC_PREFIX: id,
    CROSSWALK_PARTITIONS: '3',
    CROSSWALK_CHUNK_ROWS: '200',
    CROSSWALK_HEARTBEAT_MS: '200',
    LOG_LEVEL: 'warn',
    ...(options.tables ? { CROSSWALK_TABLES: options.tables.join(',') } : {}),
    ...options.env,
  };
  const config = parseConfig(env);
  const legacy = await connect(legacyUrl, 'test');
  if (options.schema === undefined) await withClient(legacyUrl, createLegacySchema);
  else await legacy.query(options.schema);
  if (options.isSetUp !== true)
    for (const statement of await planSourceSetup(legacy, captureOf(config))) await legacy.query(statement);
  const kafka = createKafka(config.kafka(), createLog('silent'));
  const running: RunningConnector[] = [];

  async function readPosition(): Promise<Position | null> {
    const record = await kafka.readLast(positionTopicOf(config), config.slot).catch((error: unknown) => {
      // A topic that is just being created has no leader for a moment.
      if ((error as { retriable?: boolean }).retriable) return null;
      throw error;
    });
    return record?.value == null ? null : decodePosition(record.value);
  }

  return {
    env,
    config,
    legacy,
    readPosition,
    run(overrides = {}) {
      const own = parseConfig({ ...env, ...overrides });
      const status = createConnectorStatus(own.tables);
      const stopping = new AbortController();
      const ended = runConnector(own, status, { log: createLog(own.logLevel), signal: stopping.signal }).then(
        () => null,
        (error: unknown) => error,
      );
      const connector = {
        status,
        ended,
        stop: async () => {
          stopping.abort(new Error('test'));
          const error = await ended;
          if (error !== null) throw error;
        },
      };
      running.push(connector);
      return connector;
    },
    async untilCaughtUp(timeoutMs = 90_000) {
      const { rows } = await legacy.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      const lsn = parseLsn(rows[0]!.lsn);
      const isThere = async () => {
        const position = await readPosition();
        return (
          position !== null &&
          position.lsn >= lsn &&
          config.tables.every((table) => position.snapshot[table]?.done === true)
        );
      };
      const own = running[running.length - 1];
      let ended: unknown;
      void own?.ended.then((error) => {
        ended = error;
      });
      await waitUntil(
        'the log is caught up',
        async () => {
          if (ended != null) throw ended;
          if (own !== undefined && own.status.lsn < lsn) return false;
          return await isThere();
        },
        timeoutMs,
        100,
      );
    },
    async readCheckedLog(timeoutMs) {
      const topics = config.tables.map((table) => topicOf(config, table));
      const log = await readLog(stack, topics, timeoutMs);
      const boundaries = await readBoundaries(stack, transactionTopicOf(config), timeoutMs);
      return {
        log,
        differences: await findDifferences(legacy, log, config.tables),
        faults: findFaults(log, boundaries),
      };
    },
    deletePositionTopic: () => deleteTopics(stack.kafkaBrokers, [positionTopicOf(config)]),
    async drop() {
      await Promise.all(running.map((connector) => connector.stop().catch(() => undefined)));
      await legacy.end();
      await databases.drop();
      await deleteTopics(
        stack.kafkaBrokers,
        topicSpecs(config).map((spec) => spec.topic),
      );
    },
  };
}

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Deletes those of the topics that exist; resolves once they are gone. */
const deleteTopics = (brokers: string, topics: readonly string[]) =>
  deleteTopicsWith(brokers, (topic) => topics.includes(topic));

/** Deletes the topics of which the name is such. */
export async function deleteTopicsWith(brokers: string, isOne: (topic: string) => boolean): Promise<void> {
  const admin = new kafkajs.Kafka({
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    const remaining = async () => (await admin.listTopics()).filter(isOne);
    const existing = await remaining();
    if (existing.length > 0) await admin.deleteTopics({ topics: existing });
    await waitUntil('the topics are gone', async () => (await remaining()).length === 0);
  } finally {
    await admin.disconnect();
  }
}
