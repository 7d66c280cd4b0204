// How the peer is set: Debezium's PostgreSQL source and its JDBC sink, Avro by way of a schema registry, as an experienced operator would tune them.

/** Properties of a worker or a connector. */
export type Properties = Readonly<Record<string, string | number | boolean>>;

/** What the peer is tuned for: the most rows in a second, or the fewest milliseconds. */
export type Tuning = 'throughput' | 'latency';

/** Names and addresses of one run of the peer. */
export interface PeerPlace {
  readonly run: string;
  readonly brokers: string;
  readonly registryUrl: string;
  /** Databases: the source, and the target. */
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly restPort: number;
  readonly pluginDir: string;
  readonly offsetFile: string;
}

/** A young generation of 2 GB, so that hardly anything outlives it. */
export const jvmOptions: readonly string[] = ['-server', '-Xms3g', '-Xmx3g', '-Xmn2g', '-XX:+UseParallelGC'];

const source: Properties = {
  'max.batch.size': 8192,
  'max.queue.size': 32768,
  'poll.interval.ms': 10,
  'snapshot.fetch.size': 10240,
  'producer.override.compression.type': 'lz4',
  'producer.override.batch.size': 524288,
  'producer.override.linger.ms': 5,
  'producer.override.buffer.memory': 134217728,
};
/** The loop that reads and the queue behind it both wait up to poll.interval.ms. */
const sourceForLatency: Properties = { ...source, 'poll.interval.ms': 1, 'producer.override.linger.ms': 0 };

const sink: Properties = {
  'batch.size': 5000,
  'use.reduction.buffer': true,
  'dialect.postgres.unnest.insert.enabled': true,
  'consumer.override.max.poll.records': 5000,
  'consumer.override.max.partition.fetch.bytes': 33554432,
  'consumer.override.fetch.max.bytes': 67108864,
};

/**
 * The worker's own settings. `registers`: schemas are registered; otherwise they are there already and only looked up. A converter that registers writes the
 * whole schema out as text for every record, which is half of the source's work.
 */
export function workerProperties(place: PeerPlace, registers: boolean): Properties {
  const converter = (which: 'key' | 'value'): Properties => ({
    [`${which}.converter`]: 'io.apicurio.registry.utils.converter.AvroConverter',
    [`${which}.converter.apicurio.registry.url`]: place.registryUrl,
    [`${which}.converter.apicurio.registry.auto-register`]: registers,
    [`${which}.converter.apicurio.registry.find-latest`]: true,
    [`${which}.converter.schemas.enable`]: false,
    [`${which}.converter.apicurio.registry.headers.enabled`]: false,
    [`${which}.converter.apicurio.registry.as-confluent`]: true,
    [`${which}.converter.apicurio.use-id`]: 'contentId',
    ...(registers ? {} : { [`${which}.converter.apicurio.registry.check-period-ms`]: 3_600_000 }),
  });
  return {
    'bootstrap.servers': place.brokers,
    ...converter('key'),
    ...converter('value'),
    'offset.storage.file.filename': place.offsetFile,
    listeners: `http://127.0.0.1:${place.restPort}`,
    'plugin.path': place.pluginDir,
  };
}

/** Topic of the table under test. */
export const peerTopic = (run: string) => `${run}.public.quotes`;

/** The source. `suffix` tells a throw-away one, which only registers the schemas, from the one that is measured. */
export function sourceProperties({ run, sourceUrl }: PeerPlace, tuning: Tuning, suffix = ''): Properties {
  const url = new URL(sourceUrl);
  return {
    name: `${run}_source${suffix}`,
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': 1,
    'plugin.name': 'pgoutput',
    'database.hostname': url.hostname,
    'database.port': url.port,
    'database.user': decodeURIComponent(url.username),
    'database.password': decodeURIComponent(url.password),
    'database.dbname': url.pathname.slice(1),
    'topic.prefix': run,
    'table.include.list': 'public.quotes',
    'slot.name': `${run}${suffix}`,
    'publication.name': `${run}${suffix}`,
    'publication.autocreate.mode': 'filtered',
    'schema.name.adjustment.mode': 'avro',
    ...(tuning === 'latency' ? sourceForLatency : source),
  };
}

/** The sink: upserts into the same table. */
export function sinkProperties({ run, targetUrl }: PeerPlace): Properties {
  const url = new URL(targetUrl);
  return {
    name: `${run}_sink`,
    'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
    'tasks.max': 1,
    topics: peerTopic(run),
    'connection.url': `jdbc:postgresql://${url.host}${url.pathname}?reWriteBatchedInserts=true`,
    'connection.username': decodeURIComponent(url.username),
    'connection.password': decodeURIComponent(url.password),
    'collection.name.format': 'quotes',
    'insert.mode': 'upsert',
    'primary.key.mode': 'record_key',
    'delete.enabled': true,
    ...sink,
  };
}

/** As a .properties file has them. */
export function toPropertiesText(properties: Properties): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('');
}
