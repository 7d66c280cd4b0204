// What brokers compress anew: the Java library writes the batches, createKafka's readers read them.

import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import { topicSpecs } from '../../../connectors/topics.ts';
import { toCrosswalkError } from '../../../runtime/errors.ts';
import { Cluster } from '../../../runtime/kafka/direct/cluster.ts';
import { fetch } from '../../../runtime/kafka/direct/requests.ts';
import { createKafka, type InRecord } from '../../../runtime/kafka.ts';
import { type Codec, codecs } from '../../../runtime/kafka-codecs.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { crm } from '../../support/crm.ts';
import { kafkaSettings } from '../../support/kafka-client.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

const { CompressionCodecs } = kafkajs;
/** What `compression.type` is called, and the number of a batch that has it. */
const names = { gzip: 1, snappy: 2, lz4: 3, zstd: 4, uncompressed: 0 } as const;
type Name = keyof typeof names;

const id = `codecs${randomBytes(4).toString('hex')}`;
const { kafkaBrokers } = stackAddresses();
const kafka = createKafka(kafkaSettings(kafkaBrokers), createLog('silent'));
const client = new kafkajs.Kafka({ brokers: kafkaBrokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
const topicOf = (name: Name) => `${id}.${name}`;
let rig: ConnectorRig;

/** Number of the codec that the batch at an offset of partition 0 is stored with. */
async function readStoredCodec(topic: string, offset: bigint): Promise<number> {
  const cluster = new Cluster(kafkaSettings(kafkaBrokers));
  try {
    const { leader } = (await cluster.locate([topic])).get(topic)![0]!;
    const { partitions } = await cluster.ask(leader, fetch, {
      ...{ maxWaitMs: 5000, maxBytes: 1, topics: [{ topic, partitions: [{ partition: 0, offset, maxBytes: 1 }] }] },
    });
    return partitions[0]!.batches!.readInt16BE(21) & 7;
  } finally {
    cluster.close();
  }
}

beforeAll(async () => {
  await kafka.ensureTopics(
    (Object.keys(names) as Name[]).map((name) => ({
      topic: topicOf(name),
      partitions: 1,
      replicationFactor: 1,
      config: { 'compression.type': name, 'max.message.bytes': '16777216' },
    })),
  );
  rig = await createConnectorRig('codecs', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY, label text); ALTER TABLE docs REPLICA IDENTITY FULL',
    env: { LOG_LEVEL: 'silent' },
  });
});
afterAll(async () => {
  await rig?.drop();
  const admin = client.admin();
  await admin.connect();
  await admin.deleteTopics({ topics: (Object.keys(names) as Name[]).map(topicOf) });
  await admin.disconnect();
});

/** Writes values as one batch, in a transaction; the offset of the first. */
async function write(topic: string, values: readonly Buffer[]): Promise<bigint> {
  const writer = await kafka.createLogWriter(`${topic}.writer`, 60_000);
  try {
    await writer.begin();
    const records = values.map((value, at) => ({
      partition: 0,
      key: Buffer.from(String(at)),
      value,
      timestampMs: String(Date.now()),
    }));
    const [answer] = await writer.send(new Map([[topic, records]]));
    await writer.commit();
    return answer!.baseOffset;
  } finally {
    await writer.close();
  }
}

/** A digest of each value: values are megabytes. */
const digestsOf = (values: readonly Buffer[]) =>
  values.map((value) => `${value.length} ${createHash('sha256').update(value).digest('hex')}`);
const valuesOf = (records: readonly InRecord[]) => digestsOf(records.map(({ value }) => value!));

async function readRange(topic: string, from: bigint, to: bigint): Promise<string[]> {
  const found: InRecord[] = [];
  await kafka.readRanges(topic, new Map([[0, { from, to }]]), {
    signal: new AbortController().signal,
    onBatch: ({ records }) => void found.push(...records),
  });
  return valuesOf(found);
}

/** The batch as each of the readers has it. */
async function readBack(topic: string, from: bigint, count: number): Promise<string[][]> {
  // Waits for the marker that ends the transaction, which the others do not.
  const ranged = await readRange(topic, from, from + BigInt(count));
  const toEnd: InRecord[] = [];
  await kafka.readToEnd(topic, from, (record) => void toEnd.push(record));
  const grouped: InRecord[] = [];
  const crashes: Error[] = [];
  const member = await kafka.createGroupConsumer({
    groupId: `${topic}.${randomBytes(4).toString('hex')}`,
    topics: [topic],
    concurrency: 1,
    sessionTimeoutMs: 10_000,
    onAssigned: () => undefined,
    startOffset: async () => from,
    onBatch: async ({ records }) => {
      grouped.push(...records);
      return null;
    },
    onCrash: (error) => crashes.push(error),
  });
  await waitUntil('the group has the batch', () => grouped.length >= count || crashes.length > 0);
  await member.close();
  expect(crashes).toEqual([]);
  return [ranged, valuesOf(toEnd), valuesOf(grouped)];
}

describe.each(Object.keys(names) as Name[])('a topic with compression.type=%s', (name) => {
  const topic = topicOf(name);

  test('is read by every reader, small and in batches of many blocks', async () => {
    const text = Buffer.from('a row of a legacy table, as often as it takes '.repeat(40_000));
    const batches = [
      [Buffer.from('v')],
      [Buffer.alloc(0), Buffer.from('x'.repeat(100_000))],
      [randomBytes(3_000_000)],
      [text, randomBytes(70_000), text],
      Array.from({ length: 5000 }, (_, at) => Buffer.from(`{"id":${at},"label":"row ${at}"}`)),
    ];
    for (const values of batches) {
      const from = await write(topic, values);
      const expected = digestsOf(values);
      for (const found of await readBack(topic, from, values.length)) expect(found).toEqual(expected);
      // The broker has done it: we send zstd.
      expect(await readStoredCodec(topic, from)).toBe(names[name]);
    }
  }, 120_000);

  test('gives back whatever bytes are written', async () => {
    const piece = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 400 }));
    const value = fc
      .array(piece, { maxLength: 6 })
      .map((pieces) => Buffer.concat(pieces.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))));
    const batches = fc.sample(fc.array(value, { minLength: 1, maxLength: 12 }), { numRuns: 20, seed: 20260701 });
    const begins: bigint[] = [];
    for (const values of batches) begins.push(await write(topic, values));
    const end = begins.at(-1)! + BigInt(batches.at(-1)!.length);
    expect(await readRange(topic, begins[0]!, end)).toEqual(digestsOf(batches.flat()));
  }, 120_000);
});

test('a connector goes on behind its own records, and the log is whole, however topics are compressed', async () => {
  const specs = topicSpecs(rig.config);
  const types: Name[] = ['lz4', 'snappy', 'lz4', 'snappy', 'gzip'];
  await kafka.ensureTopics(
    specs.map((spec, at) => ({
      ...spec,
      replicationFactor: 1,
      config: { ...spec.config, 'compression.type': types[at % types.length]! },
    })),
  );
  for (let round = 0; round < 2; round += 1) {
    await rig.legacy.query(
      `INSERT INTO docs SELECT ${round} * 1000 + i, repeat(md5(i::text), 20) FROM generate_series(1, 500) i`,
    );
    const connector = rig.run();
    await rig.untilCaughtUp();
    await connector.stop();
  }
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  expect(log.length).toBeGreaterThanOrEqual(1000);

  const checks = await examine({
    pipeline: crm,
    config: rig.config,
    log: createLog('silent'),
    signal: new AbortController().signal,
  });
  const ofTopics = checks.filter(({ area, name }) => area === 'Kafka' && name === 'topics');
  expect(ofTopics.map(({ state }) => state)).toEqual(specs.map(() => 'warning'));
  expect(ofTopics[0]).toMatchObject({
    what: `Topic ${specs[0]!.topic} has compression.type=lz4: Kafka compresses anew what the connector sends`,
    remedy: `Run kafka-configs --alter --topic ${specs[0]!.topic} --add-config compression.type=producer.`,
  });
}, 180_000);

test('records that cannot be decompressed end the process with one line', async () => {
  // Of the library, and of what it was given at its start.
  const held = [CompressionCodecs, codecs as Record<number, () => Codec>];
  const lz4 = codecs[3]!;
  try {
    // As on a machine, or after an update of Kafka, where the codec is not there.
    for (const [codec, message] of [
      [codecs[5]!, /^Records are compressed with codec 5, which is not known here$/],
      [() => ({ ...lz4(), decompress: () => lz4().decompress(Buffer.from('no frame')) }), /^Records are no valid lz4$/],
    ] as const) {
      for (const of of held) of[3] = codec;
      const connector = rig.run();
      expect(toCrosswalkError(await connector.ended, 'connector')).toMatchObject({
        code: 'topic_misconfigured',
        waits: false,
        message: expect.stringMatching(message),
        remedy: expect.stringContaining('compression.type=producer'),
      });
    }
  } finally {
    for (const of of held) of[3] = lz4;
  }
  await rig.legacy.query(`INSERT INTO docs VALUES (9999, 'after')`);
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  const { differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
}, 120_000);
