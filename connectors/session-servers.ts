import type pg from 'pg';
import type { Relation } from '../changes/change.ts';
import { transactionTopicOf } from '../runtime/config.ts';
import { createKafka, type Kafka } from '../runtime/kafka.ts';
import { addressOf, connect, sourceOptions } from '../runtime/postgres.ts';
import { untilUp } from '../runtime/retry.ts';
import { AvroWriter } from '../schemas/avro/avro-writer.ts';
import { createRegistry, type Registry } from '../schemas/avro/registry.ts';
import { createTransactionEncoder, transactionKeySchema, transactionValueSchema } from '../schemas/avro/transaction.ts';
import { readCatalog } from './catalog.ts';
import { type Captured, register } from './encoders.ts';
import type { Binding } from './position.ts';
import type { Session } from './session-resources.ts';
import { readIdentity } from './slot.ts';
import { captureOf } from './source-state.ts';
import { topicSpecs } from './topics.ts';

/** The servers of a session, as found at its start. */
export interface Servers {
  readonly control: pg.Client;
  /** Reads chunks, together with the connections of `openReader`. */
  readonly reader: pg.Client;
  readonly openReader: (name: string) => Promise<pg.Client>;
  readonly relations: readonly Relation[];
  readonly identity: Awaited<ReturnType<typeof readIdentity>>;
  readonly kafka: Kafka;
  readonly bound: Binding;
}

/** Waits for the servers, all in parallel. */
export async function openServers({ config, log, ending, resources }: Session): Promise<Servers> {
  const url = config.legacyUrl();
  const wait = { log, signal: ending.signal };
  const connectLegacy = (name: string) =>
    connect(url, name, `${sourceOptions} -c row_security=off -c synchronous_commit=local`);
  const end = (client: pg.Client) => client.end();
  const open = (name: string) =>
    resources.hold(
      untilUp(`legacy database ${addressOf(url)}`, () => connectLegacy(name), wait),
      end,
    );
  const readLegacy = async () => {
    const control = await open('control');
    const [relations, reader, identity] = await Promise.all([
      readCatalog(control, captureOf(config)),
      open('snapshot'),
      readIdentity(url),
    ]);
    return { control, relations, reader, identity };
  };
  const kafka = createKafka(config.kafka(), log);
  const [legacy, clusterId] = await Promise.all([
    readLegacy(),
    untilUp(`Kafka ${kafka.brokers}`, () => kafka.fetchClusterId(), wait),
  ]);
  return {
    ...legacy,
    openReader: (name) => resources.hold(connectLegacy(name), end),
    kafka,
    bound: { ...legacy.identity, slot: config.slot, clusterId },
  };
}

/** Schemas, encoders and topic limits for events. */
export interface Formats {
  readonly registry: Registry;
  /** Writer for keys and values of events of all tables. */
  readonly slabs: AvroWriter;
  readonly captured: readonly Captured[];
  readonly boundaries: ReturnType<typeof createTransactionEncoder>;
  /** `max.message.bytes` by topic. */
  readonly limits: ReadonlyMap<string, number>;
}

/** Creates the topics and registers the schemas. */
export async function prepareFormats(session: Session, { relations, kafka, bound }: Servers): Promise<Formats> {
  const { config, log, ending, resources } = session;
  const { url: baseUrl, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  resources.add(async () => registry.close());
  // One for all tables, so that many tables do not hold a slab each. One per session, so that another session cannot
  // overwrite what a pending request of this one may still send.
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
    untilUp(`schema registry ${new URL(baseUrl).host}`, registerAll, { log, signal: ending.signal }),
  ]);
  return { registry, slabs, ...registered, limits };
}
