import * as v from 'valibot';
import { type AddressSetting, noteUse } from './address-use.ts';
import { CrosswalkError } from './errors.ts';
import { type Fault, parseFaults } from './faults.ts';
import { parseBrokers, parseHost, parseList, parseRegistryUrl } from './network-address.ts';
import { parseAddress } from './postgres-address.ts';

/** A setting of text that a reader takes, or refuses with a CrosswalkError. */
const readBy = <T>(read: (text: string) => T) =>
  v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return read(dataset.value);
      } catch (error) {
        if (!(error instanceof CrosswalkError)) throw error;
        addIssue({ message: error.message });
        return NEVER;
      }
    }),
  );
const postgresUrl = v.optional(
  readBy((text) => {
    parseAddress(text);
    return text;
  }),
);
const text = v.optional(v.string());
const count = (fallback: number, min: number, max: number) => {
  const isWithin = (value: number) => Number.isInteger(value) && value >= min && value <= max;
  return v.pipe(
    v.optional(v.string(), String(fallback)),
    v.transform(Number),
    v.check(isWithin, `must be a whole number from ${min} to ${max}`),
  );
};
const oneOf = <const T extends readonly string[]>(options: T) =>
  v.picklist(options, `must be one of ${options.join(', ')}`);
const flag = v.pipe(
  v.optional(oneOf(['true', 'false', '1', '0']), 'false'),
  v.transform((value) => value === 'true' || value === '1'),
);
/** Names that become part of SQL identifiers, topics and metric labels. */
const name = (fallback: string) =>
  v.optional(
    v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,40}$/, 'must be lower-case letters, digits and _')),
    fallback,
  );

const schema = v.object({
  LEGACY_DATABASE_URL: postgresUrl,
  LEGACY_OWNER_URL: postgresUrl,
  TARGET_DATABASE_URL: postgresUrl,
  TARGET_OWNER_URL: postgresUrl,
  TARGET_ADMIN_EMAIL: v.optional(v.pipe(v.string(), v.regex(/^[^\s@]+@[^\s@]+$/, 'must be an e-mail address'))),
  TARGET_OPERATOR_URL: postgresUrl,
  RESTORE_DATABASE_URL: postgresUrl,
  KAFKA_BROKERS: v.optional(readBy(parseBrokers)),
  KAFKA_TLS: flag,
  KAFKA_SASL_MECHANISM: v.optional(oneOf(['plain', 'scram-sha-256', 'scram-sha-512'])),
  KAFKA_SASL_USERNAME: text,
  KAFKA_SASL_PASSWORD: text,
  CROSSWALK_KAFKA_CLIENT: v.optional(oneOf(['direct', 'kafkajs']), 'direct'),
  SCHEMA_REGISTRY_URL: v.optional(readBy(parseRegistryUrl)),
  SCHEMA_REGISTRY_USERNAME: text,
  SCHEMA_REGISTRY_PASSWORD: text,
  CROSSWALK_LEGACY_SCHEMA: name('public'),
  CROSSWALK_TABLES: v.optional(
    v.pipe(
      v.string(),
      v.transform(parseList),
      v.check(
        (tables) => tables.length > 0 && tables.every((table) => /^[a-z0-9_]+$/.test(table)),
        'must be table[,table…] of lower-case letters, digits and _',
      ),
    ),
  ),
  CROSSWALK_SLOT: name('crosswalk'),
  CROSSWALK_PUBLICATION: name('crosswalk'),
  CROSSWALK_TOPIC_PREFIX: name('legacy'),
  CROSSWALK_PARTITIONS: count(12, 1, 1000),
  CROSSWALK_REPLICATION_FACTOR: count(-1, -1, 9),
  CROSSWALK_CHUNK_ROWS: count(1000, 1, 100_000),
  CROSSWALK_SNAPSHOT_CONNECTIONS: count(2, 1, 16),
  CROSSWALK_SNAPSHOT_MAX_RATE: count(0, 0, 999_999_999),
  CROSSWALK_SNAPSHOT_MAX_SESSIONS: count(0, 0, 100_000),
  CROSSWALK_SNAPSHOT_TIMEOUT_SECONDS: count(60, 1, 86_400),
  CROSSWALK_BATCH_ROWS: count(250, 1, 100_000),
  CROSSWALK_HEARTBEAT_MS: count(1000, 50, 600_000),
  CROSSWALK_TRANSACTION_TIMEOUT_MS: count(600_000, 100, 86_400_000),
  CROSSWALK_ON_TRUNCATE: v.optional(oneOf(['stop', 'ignore']), 'stop'),
  CROSSWALK_SESSION_TIMEOUT_MS: count(12_000, 1000, 1_800_000),
  CROSSWALK_STALL_SECONDS: count(60, 1, 86_400),
  CROSSWALK_DASHBOARD_SECONDS: count(3600, 0, 604_800),
  CROSSWALK_TRACE_SECONDS: count(0, 0, 3600),
  CROSSWALK_FAULTS: v.optional(v.string(), ''),
  CROSSWALK_LAG_WARNING_SECONDS: count(30, 1, 86_400),
  CROSSWALK_LAG_FAILING_SECONDS: count(300, 1, 864_000),
  CROSSWALK_HTTP_PORT: count(0, 0, 65_535),
  CROSSWALK_HTTP_HOST: v.pipe(v.optional(v.string(), '127.0.0.1'), v.transform(parseHost)),
  LOG_LEVEL: v.optional(oneOf(['trace', 'debug', 'info', 'warn', 'error', 'silent']), 'info'),
});

export interface KafkaSettings {
  /** Each once, as host:port; IPv6 as [::1]:9092. */
  readonly brokers: readonly string[];
  readonly tls: boolean;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  /** The client of our own, as by default, or the one on kafkajs. */
  readonly client?: 'direct' | 'kafkajs';
}
export interface RegistrySettings {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
}

/** What a pipeline says of the databases. */
export interface PipelineTables {
  /** Legacy tables that are captured, unless CROSSWALK_TABLES names others. */
  readonly sources: readonly string[];
  readonly targetSchema: string;
  readonly projections: readonly { readonly source: string }[];
  /** Table of values without a valid form, in the target schema. */
  readonly rejects?: string;
  readonly foldedRejects?: readonly string[];
  readonly tenants: { /** Table with a row for each tenant. */ readonly table?: string };
}

/** A table of values without a valid form. `isFolded`: of merged rows, which stay where they are deleted. */
export interface RejectsTable {
  readonly name: string;
  readonly isFolded: boolean;
}

/** Everything that can be set, checked. Addresses are asked for when first needed: a command that needs no Kafka runs without one. */
export interface Config {
  readonly legacyUrl: () => string;
  readonly legacyOwnerUrl: () => string;
  readonly targetUrl: () => string;
  readonly targetOwnerUrl: () => string;
  /** Address of the first account of the new application, for the migration that names it; null: that migration's own. */
  readonly adminEmail: string | null;
  /** Of people who look at gates and set stages. */
  readonly targetOperatorUrl: () => string;
  /** An empty database to restore backups into; null: one is made where it is needed. */
  readonly restoreUrl: string | null;
  readonly kafka: () => KafkaSettings;
  readonly registry: () => RegistrySettings;
  readonly legacySchema: string;
  readonly tables: readonly string[];
  /** Those that projections read, whether they run here or elsewhere. */
  readonly projectedTables: readonly string[];
  /** Of the new tables. */
  readonly targetSchema: string;
  /** In the target schema. */
  readonly rejectsTables: readonly RejectsTable[];
  readonly tenantsTable: string | null;
  readonly slot: string;
  readonly publication: string;
  readonly topicPrefix: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly chunkRows: number;
  /** Connections that read chunks of a table at once. */
  readonly snapshotConnections: number;
  /** Rows per second that the initial load and snapshots read at most, where a snapshot names no other rate; 0: as fast as it goes. */
  readonly snapshotMaxRate: number;
  /** Reading rests while more sessions of the legacy server than these, crosswalk's left out, are in a transaction; 0: it never does. */
  readonly snapshotMaxSessions: number;
  /** How long one statement of a requested snapshot may take. */
  readonly snapshotTimeoutSeconds: number;
  readonly batchRows: number;
  readonly heartbeatMs: number;
  /** How long Kafka keeps a transaction of the connector open: longer than any source transaction takes to send. */
  readonly transactionTimeoutMs: number;
  /** What the connector does when a captured table is truncated: stop for a person's decision, or leave the new rows as they are. */
  readonly onTruncate: 'stop' | 'ignore';
  /** For how long the partitions of a killed or frozen projector rest before the others take them over. */
  readonly sessionTimeoutMs: number;
  /** A process that has work and gets nothing done for so long ends, to be started again. */
  readonly stallSeconds: number;
  /** How old the figures of the dashboard may be before they are refreshed; 0: they are only refreshed after a load and a rebuild. */
  readonly dashboardSeconds: number;
  /** How often a process logs how long changes take from hop to hop; 0: never. */
  readonly traceSeconds: number;
  /** Faults to inject into this process: for tests only. */
  readonly faults: readonly Fault[];
  readonly lagWarningSeconds: number;
  readonly lagFailingSeconds: number;
  /** 0: no HTTP server. */
  readonly httpPort: number;
  readonly httpHost: string;
  readonly logLevel: string;
}

/** Reads the configuration from an environment, for a pipeline. Throws `config_invalid` that names every wrong variable, never its value. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>, pipeline: PipelineTables): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = v.safeParse(schema, given);
  if (!parsed.success) {
    const wrong = parsed.issues.map((issue) => `${v.getDotPath(issue)} ${issue.message}`).join('; ');
    throw new CrosswalkError('config_invalid.environment', `Configuration: ${wrong}`);
  }
  const values = parsed.output;
  const required = <K extends keyof typeof values>(key: K): NonNullable<(typeof values)[K]> => {
    const value = values[key];
    if (value !== undefined) return value;
    throw new CrosswalkError('config_invalid.unset', `Configuration: ${key} is not set`, { setting: key });
  };
  const address = (wanted: AddressSetting, otherwise: AddressSetting = wanted) => {
    const from = values[wanted] === undefined ? otherwise : wanted;
    return noteUse(required(from), { wanted, from });
  };
  const restoreUrl = values.RESTORE_DATABASE_URL;
  return {
    legacyUrl: () => address('LEGACY_DATABASE_URL'),
    legacyOwnerUrl: () => address('LEGACY_OWNER_URL', 'LEGACY_DATABASE_URL'),
    targetUrl: () => address('TARGET_DATABASE_URL'),
    targetOwnerUrl: () => address('TARGET_OWNER_URL', 'TARGET_DATABASE_URL'),
    targetOperatorUrl: () => address('TARGET_OPERATOR_URL', 'TARGET_DATABASE_URL'),
    restoreUrl: restoreUrl === undefined ? null : address('RESTORE_DATABASE_URL'),
    adminEmail: values.TARGET_ADMIN_EMAIL ?? null,
    kafka: () => ({
      brokers: required('KAFKA_BROKERS'),
      tls: values.KAFKA_TLS,
      client: values.CROSSWALK_KAFKA_CLIENT,
      ...(values.KAFKA_SASL_MECHANISM
        ? {
            sasl: {
              mechanism: values.KAFKA_SASL_MECHANISM,
              username: required('KAFKA_SASL_USERNAME'),
              password: required('KAFKA_SASL_PASSWORD'),
            },
          }
        : {}),
    }),
    registry: () => ({
      url: required('SCHEMA_REGISTRY_URL'),
      ...(values.SCHEMA_REGISTRY_USERNAME
        ? { username: values.SCHEMA_REGISTRY_USERNAME, password: required('SCHEMA_REGISTRY_PASSWORD') }
        : {}),
    }),
    legacySchema: values.CROSSWALK_LEGACY_SCHEMA,
    tables: values.CROSSWALK_TABLES ?? pipeline.sources,
    projectedTables: [...new Set(pipeline.projections.map(({ source }) => source))],
    targetSchema: pipeline.targetSchema,
    rejectsTables: [
      ...(pipeline.rejects === undefined ? [] : [{ name: pipeline.rejects, isFolded: false }]),
      ...(pipeline.foldedRejects ?? []).map((name) => ({ name, isFolded: true })),
    ],
    tenantsTable: pipeline.tenants.table ?? null,
    slot: values.CROSSWALK_SLOT,
    publication: values.CROSSWALK_PUBLICATION,
    topicPrefix: values.CROSSWALK_TOPIC_PREFIX,
    partitions: values.CROSSWALK_PARTITIONS,
    replicationFactor: values.CROSSWALK_REPLICATION_FACTOR,
    chunkRows: values.CROSSWALK_CHUNK_ROWS,
    snapshotConnections: values.CROSSWALK_SNAPSHOT_CONNECTIONS,
    snapshotMaxRate: values.CROSSWALK_SNAPSHOT_MAX_RATE,
    snapshotMaxSessions: values.CROSSWALK_SNAPSHOT_MAX_SESSIONS,
    snapshotTimeoutSeconds: values.CROSSWALK_SNAPSHOT_TIMEOUT_SECONDS,
    batchRows: values.CROSSWALK_BATCH_ROWS,
    heartbeatMs: values.CROSSWALK_HEARTBEAT_MS,
    transactionTimeoutMs: values.CROSSWALK_TRANSACTION_TIMEOUT_MS,
    onTruncate: values.CROSSWALK_ON_TRUNCATE,
    sessionTimeoutMs: values.CROSSWALK_SESSION_TIMEOUT_MS,
    stallSeconds: values.CROSSWALK_STALL_SECONDS,
    dashboardSeconds: values.CROSSWALK_DASHBOARD_SECONDS,
    traceSeconds: values.CROSSWALK_TRACE_SECONDS,
    faults: parseFaults(values.CROSSWALK_FAULTS),
    lagWarningSeconds: values.CROSSWALK_LAG_WARNING_SECONDS,
    lagFailingSeconds: values.CROSSWALK_LAG_FAILING_SECONDS,
    httpPort: values.CROSSWALK_HTTP_PORT,
    httpHost: values.CROSSWALK_HTTP_HOST,
    logLevel: values.LOG_LEVEL,
  };
}

/** Topic of a legacy table, as Debezium names it. */
export function topicOf(config: Pick<Config, 'topicPrefix' | 'legacySchema'>, table: string): string {
  return `${config.topicPrefix}.${config.legacySchema}.${table}`;
}

/** Topic of the connector's positions; its key is the slot. */
export function positionTopicOf(config: Pick<Config, 'topicPrefix' | 'slot'>): string {
  return `${config.topicPrefix}.crosswalk.position.${config.slot}`;
}

/** Topic of transaction boundaries, as Debezium names it. */
export function transactionTopicOf(config: Pick<Config, 'topicPrefix'>): string {
  return `${config.topicPrefix}.transaction`;
}

/** Topic of the connector's dead letters: changes too large for their topic. Its key is topic and row, a tombstone settles it. */
export function deadLetterTopicOf(config: Pick<Config, 'topicPrefix'>): string {
  return `${config.topicPrefix}.crosswalk.dead_letter`;
}

/** Topic of what people ask of the connector; its key is the slot. Written by the command line alone. */
export function signalTopicOf(config: Pick<Config, 'topicPrefix'>): string {
  return `${config.topicPrefix}.crosswalk.signal`;
}
