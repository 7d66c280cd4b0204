// A broker that lets nobody in without a login, by each mechanism.

import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { assertDone } from '../../runtime/kafka/direct/broker-errors.ts';
import type { ByteReader, ByteWriter } from '../../runtime/kafka/direct/bytes.ts';
import { Cluster } from '../../runtime/kafka/direct/cluster.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { parseConfig } from '../support/crm.ts';
import { kafkaClientEnv, kafkaSettings } from '../support/kafka-client.ts';
import { type OwnKafka, startOwnKafka } from '../support/own-kafka.ts';
import { waitUntil } from '../support/wait-until.ts';

/** With what must be escaped in a name. */
const USER = 'al,i=ce';
const password = randomBytes(12).toString('hex');
const module = 'org.apache.kafka.common.security';

let broker: OwnKafka;
let address: string;
beforeAll(async () => {
  const port = await findFreePort();
  address = `127.0.0.1:${port}`;
  broker = await startOwnKafka(
    {
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT',
      'listener.name.proxied.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.proxied.plain.sasl.jaas.config': `${module}.plain.PlainLoginModule required user_alice="${password}";`,
      'listener.name.proxied.scram-sha-256.sasl.jaas.config': `${module}.scram.ScramLoginModule required;`,
      'listener.name.proxied.scram-sha-512.sasl.jaas.config': `${module}.scram.ScramLoginModule required;`,
    },
    { port, advertisedPort: port },
  );
  const cluster = new Cluster(kafkaSettings(broker.brokers));
  await cluster.fetchMetadata([]);
  try {
    for (const [mechanism, hash, bytes] of [
      [1, 'sha256', 32],
      [2, 'sha512', 64],
    ] as const) {
      const salt = randomBytes(16);
      const salted = pbkdf2Sync(password, salt, 4096, bytes, hash);
      await cluster.askAny(alterCredentials, { mechanism, salt, salted });
    }
  } finally {
    cluster.close();
  }
}, 120_000);
afterAll(() => broker?.close());

const bytesOf = (bytes: Buffer) => Buffer.concat([Buffer.from([bytes.length + 1]), bytes]);
/** The first version of AlterUserScramCredentials, lengths of which take one byte here. */
const alterCredentials = {
  ...{ key: 51, version: 0 },
  encode: (writer: ByteWriter, asked: { mechanism: number; salt: Buffer; salted: Buffer }) => {
    writer
      .int8(0)
      .int8(1)
      .int8(2)
      .raw(bytesOf(Buffer.from(USER)))
      .int8(asked.mechanism)
      .int32(4096);
    writer.raw(bytesOf(asked.salt)).raw(bytesOf(asked.salted)).int8(0).int8(0);
  },
  decode: (reader: ByteReader) => {
    reader.int8();
    reader.int32();
    reader.int8();
    const userBytes = reader.int8() - 1;
    reader.at += userBytes;
    assertDone(reader.int16());
  },
};

const open = (mechanism: string, user: string, secret: string) =>
  createKafka(
    parseConfig({
      ...{ KAFKA_BROKERS: address, KAFKA_SASL_MECHANISM: mechanism, ...kafkaClientEnv },
      ...{ KAFKA_SASL_USERNAME: user, KAFKA_SASL_PASSWORD: secret },
    }).kafka(),
    createLog('silent'),
  );

describe.each([
  ['plain', 'alice'],
  ['scram-sha-256', USER],
  ['scram-sha-512', USER],
])('%s', (mechanism, user) => {
  test('lets in who knows the password, to write and to read', async () => {
    const kafka = open(mechanism, user, password);
    const topic = `logins-${mechanism}`;
    await kafka.ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
    const writer = await kafka.createLogWriter(topic, 60_000);
    await writer.begin();
    await writer.send(
      new Map([[topic, [{ partition: 0, key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: '1' }]]]),
    );
    await writer.commit();
    await writer.close();
    // Shown once the transaction is complete, a moment after its commit.
    await waitUntil(
      'it is read',
      async () => (await kafka.readLast(topic, 'k').catch(() => null))?.value?.toString() === 'v',
    );
  });

  test('and nobody else, which is not tried again', async () => {
    for (const [name, secret] of [
      [user, `${password}x`],
      ['nobody', password],
    ] as const) {
      const error = await open(mechanism, name, secret)
        .fetchClusterId()
        .catch((thrown: unknown) => toCrosswalkError(thrown, 'Kafka'));
      expect(error).toMatchObject({ code: 'auth_failed', waits: false });
      expect(JSON.stringify(error) + (error as Error).message).not.toContain(password);
    }
  });
});
