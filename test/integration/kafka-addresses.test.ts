import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { type Certificates, createCertificates } from '../support/certificates.ts';
import { kafkaClientEnv, kafkaSettings } from '../support/kafka-client.ts';
import { type OwnKafka, startOwnKafka } from '../support/own-kafka.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const host = hasIpv6 ? '[::1]' : '127.0.0.1';
if (!hasIpv6) console.log('no IPv6 on loopback: the brokers listen on 127.0.0.1, and only unit tests know of IPv6');

let certificates: Certificates;
let plain: OwnKafka;
let secured: OwnKafka;
let plainPort: number;
let securedPort: number;
beforeAll(async () => {
  certificates = createCertificates();
  certificates.authority('good');
  // Of the IP address alone: it proves nothing to somebody who asked for localhost.
  certificates.signed('broker', 'good', 'broker', `IP:${host.replace(/[[\]]/g, '')}`);
  const pem = certificates.file('broker.pem');
  writeFileSync(
    pem,
    ['broker.key', 'broker.crt'].map((name) => readFileSync(certificates.file(name), 'utf8')).join(''),
  );
  plainPort = await findFreePort();
  plain = await startOwnKafka({}, { host, port: plainPort, advertisedPort: plainPort });
  securedPort = await findFreePort();
  secured = await startOwnKafka({}, { host, port: securedPort, advertisedPort: securedPort, pem });
});
afterAll(async () => {
  await Promise.all([plain?.close(), secured?.close()]);
  certificates?.remove();
});

test('brokers at an IPv6 address are found, and so is the leader of a topic', async () => {
  const brokers = `${host}:${plainPort}, ${host}:${plainPort},`;
  const kafka = createKafka(kafkaSettings(brokers), createLog('silent'));
  expect(kafka.brokers).toBe(`${host}:${plainPort}`);
  expect(await kafka.fetchClusterId()).toMatch(/./);
  const topic = 'addresses';
  await kafka.ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
  const writer = await kafka.createLogWriter('addresses', 60_000);
  try {
    await writer.begin();
    const record = { partition: 0, key: null, value: Buffer.from('x'), timestampMs: '1' };
    expect(await writer.send(new Map([[topic, [record]]]))).toMatchObject([{ baseOffset: 0n }]);
    await writer.commit();
  } finally {
    await writer.close();
  }
});

/** What a process that trusts the authority from its start hears from the broker: the id of its cluster, or why not. */
async function askSecured(broker: string): Promise<string> {
  const script = `
    import { parseConfig } from './runtime/config.ts';
    import { toCrosswalkError } from './runtime/errors.ts';
    import { createKafka } from './runtime/kafka.ts';
    import { createLog } from './runtime/log.ts';
    import crm from './pipelines/crm/pipeline.ts';
    const kafka = createKafka(parseConfig(process.env, crm).kafka(), createLog('silent'));
    await kafka.fetchClusterId().then((id) => console.log('cluster', id), (error) => console.log(toCrosswalkError(error, 'Kafka').message));
    process.exit(0);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: {
      ...{ PATH: process.env.PATH, KAFKA_BROKERS: broker, ...kafkaClientEnv, KAFKA_TLS: 'true', NODE_NO_WARNINGS: '1' },
      NODE_EXTRA_CA_CERTS: certificates.file('good.crt'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  await once(child, 'close');
  return said.trim();
}

test('with TLS the certificate is checked against the address that was asked for', async () => {
  expect(await askSecured(`${host}:${securedPort}`)).toMatch(/^cluster /);
  // The same broker under a name that its certificate does not hold.
  const proxy = createServer((client) => {
    const broker = connect(securedPort, host.replace(/[[\]]/g, ''));
    for (const socket of [client, broker]) socket.on('error', () => undefined);
    client.pipe(broker).pipe(client);
  }).listen(0, 'localhost');
  await once(proxy, 'listening');
  try {
    const { port } = proxy.address() as AddressInfo;
    expect(await askSecured(`localhost:${port}`)).toMatch(/altnames: Host: localhost/);
  } finally {
    proxy.close();
  }
});
