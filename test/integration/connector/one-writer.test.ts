// Kafka's transactions keep aborted records from readers only where one transactional id writes a partition: whatever writes the log does so under the connector's.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { topicSpecs } from '../../../connectors/topics.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { readCommitted } from '../../support/read-log.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('writer', {
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, body text STORAGE EXTERNAL); INSERT INTO docs VALUES (1, repeat('x', 17000000))`,
    env: { LOG_LEVEL: 'silent' },
  });
});
afterAll(() => rig?.drop());

test('one connector after the other, a resnapshot, dead letters, boundaries and positions: one producer in every partition', async () => {
  for (let round = 2; round <= 4; round++) {
    const connector = rig.run();
    await rig.legacy.query(`INSERT INTO docs VALUES ($1, 'small')`, [String(round)]);
    await rig.untilCaughtUp();
    await connector.stop();
    if (round === 3) {
      const resnapshot = startCli(['resnapshot', 'docs'], { NODE_NO_WARNINGS: '1', ...rig.env });
      expect(await resnapshot.ended, resnapshot.stderr()).toBe(0);
    }
  }
  const written = await readCommitted(
    rig.env.KAFKA_BROKERS!,
    topicSpecs(rig.config).map(({ topic }) => topic),
  );
  const producers = written.map(({ topic, message }) => ({
    topic,
    // The library decodes it and its types leave it out.
    id: (message as unknown as { batchContext: { producerId: string } }).batchContext.producerId,
  }));
  expect(new Set(producers.map(({ topic }) => topic.slice(rig.config.topicPrefix.length)))).toEqual(
    new Set(['.public.docs', '.transaction', `.crosswalk.position.${rig.config.slot}`, '.crosswalk.dead_letter']),
  );
  expect(producers.every(({ id }) => /^\d+$/.test(id))).toBe(true);
  expect(new Set(producers.map(({ id }) => id)).size).toBe(1);
});
