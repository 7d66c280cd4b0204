// A connection to Kafka that breaks in the middle of an answer: the rest of it never comes, and the next connection begins anew.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import { startKafka } from '../../../infra/stack/kafka.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { kafkaSettings } from '../../support/kafka-client.ts';
import { openTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

let dir: string;
let proxy: TcpProxy;
let kafka: Awaited<ReturnType<typeof startKafka>>;
beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-cut-')));
  mkdirSync(join(dir, 'logs'));
  const port = await findFreePort();
  proxy = await openTcpProxy(port);
  kafka = await startKafka(dir, {}, () => undefined, { port, advertisedPort: proxy.port });
});
afterAll(async () => {
  await proxy?.close();
  await kafka?.server.stop('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

test('is no part of the answers on the next one', async () => {
  const open = (port: number) => createKafka(kafkaSettings(`127.0.0.1:${port}`), createLog('silent'));
  const topic = 'cut';
  const direct = open(kafka.port);
  await direct.ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
  const writer = await direct.createLogWriter('cut', 60_000);
  const write = async (value: string) => {
    await writer.begin();
    await writer.send(new Map([[topic, [{ partition: 0, key: null, value: Buffer.from(value), timestampMs: '0' }]]]));
    await writer.commit();
  };
  const received: string[] = [];
  const follow = () =>
    open(proxy.port).follow(topic, 0n, {
      onRecord: (record) => received.push(record.value!.toString()),
      onCaughtUp: () => undefined,
    });
  let reader!: Awaited<ReturnType<typeof follow>>;
  // The coordinator of a broker that has just started is loading.
  await waitUntil('it is followed', () =>
    follow().then(
      (opened) => {
        reader = opened;
        return true;
      },
      () => false,
    ),
  );
  try {
    // Within the size, within the correlation id, and within what follows.
    for (const [round, bytes] of [2, 4, 6, 9, 30].entries()) {
      const cut = proxy.cutWithin(bytes);
      await write(`round ${round}`);
      await cut;
      await waitUntil(`the record of round ${round} is read`, () => received.includes(`round ${round}`), 40_000);
    }
    expect([...new Set(received)]).toEqual(['round 0', 'round 1', 'round 2', 'round 3', 'round 4']);
  } finally {
    await reader.close();
    await writer.close();
  }
}, 240_000);
