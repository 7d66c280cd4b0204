// Who changes rows: told by a logical message of the transaction, carried as a header of each of its events.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CONTEXT_HEADER } from '../../../changes/transaction-context.ts';
import { createChangeDecoder } from '../../../projectors/decode.ts';
import type { SourceChange } from '../../../projectors/source-change.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createRegistry } from '../../../schemas/avro/registry.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { readCommitted } from '../../support/read-log.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('context', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY, label text)',
    env: { LOG_LEVEL: 'silent' },
  });
});
afterAll(() => rig?.drop());

const tell = (content: string, isTransactional = true) =>
  rig.legacy.query(`SELECT pg_logical_emit_message($1::boolean, 'crosswalk.context', $2::text)`, [
    String(isTransactional),
    content,
  ]);
const inOne = async (work: () => Promise<unknown>) => {
  await rig.legacy.query('BEGIN');
  await work();
  await rig.legacy.query('COMMIT');
};
const insert = (id: number, label = 'a') => rig.legacy.query('INSERT INTO docs VALUES ($1, $2)', [String(id), label]);

test('each event of the transaction has the context that was told before it, and no other event has one', async () => {
  await insert(1);
  const connector = rig.run();
  await rig.untilCaughtUp();
  await inOne(async () => {
    await insert(10);
    await tell('{"reason":"import","actor":"anna","ip":"192.0.2.7"}');
    await insert(11);
    await rig.legacy.query('UPDATE docs SET id = 12 WHERE id = 1');
    await tell('{"actor":"bert"}');
    await rig.legacy.query('DELETE FROM docs WHERE id = 11');
  });
  await insert(20);
  await inOne(async () => {
    await tell('{"actor":"carl"}');
    await rig.legacy.query('SAVEPOINT s');
    await tell('{"actor":"undone"}');
    await rig.legacy.query('ROLLBACK TO s');
    await insert(21);
  });
  await rig.untilCaughtUp();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const told = log.map(({ key, value, headers }) => [key, value?.op ?? null, headers[CONTEXT_HEADER] ?? null]);
  const anna = '{"actor":"anna","ip":"192.0.2.7","reason":"import"}';
  const bert = '{"actor":"bert","ip":null,"reason":null}';
  expect(told.sort()).toEqual(
    [
      ['{"id":"1"}', 'r', null],
      ['{"id":"10"}', 'c', null],
      ['{"id":"11"}', 'c', anna],
      ['{"id":"1"}', 'd', anna],
      ['{"id":"1"}', null, anna],
      ['{"id":"12"}', 'c', anna],
      ['{"id":"11"}', 'd', bert],
      ['{"id":"11"}', null, bert],
      ['{"id":"20"}', 'c', null],
      ['{"id":"21"}', 'c', '{"actor":"carl","ip":null,"reason":null}'],
    ].sort(),
  );
  expect(connector.status.contextsPassedOver).toBe(0);
  await connector.stop();
});

test('whoever reads the log, a projector or a replay, has the context with the change', async () => {
  const topic = topicOf(rig.config, 'docs');
  const { url: baseUrl, ...credentials } = rig.config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  const records = await readCommitted(rig.config.kafka().brokers.join(','), [topic]);
  const decoder = createChangeDecoder({ name: 'docs', source: 'docs', requires: [] }, registry);
  const changes: SourceChange[] = [];
  for (const { partition, message } of records) {
    const headers = Object.fromEntries(
      Object.entries(message.headers ?? {}).map(([name, value]) => [name, Buffer.from(value as Buffer)]),
    );
    const record = { offset: BigInt(message.offset), key: message.key, value: message.value, headers };
    changes.push(...(await decoder.decode(topic, partition, [record])));
  }
  registry.close();
  const contextOf = (legacyKey: string) => changes.filter((each) => each.legacyKey === legacyKey).at(-1)!.context;
  expect(contextOf('12')).toEqual({ actor: 'anna', ip: '192.0.2.7', reason: 'import' });
  expect(contextOf('11')).toEqual({ actor: 'bert', ip: null, reason: null });
  expect(contextOf('10')).toBeUndefined();
});

test('a message that is no context, or a huge one, ends the one before and harms no row', async () => {
  const connector = rig.run();
  // What the initial load reads has no context.
  await rig.untilCaughtUp();
  for (const [id, content] of [
    [30, 'no JSON'],
    [31, '{"actor":7}'],
    [32, `{"actor":"${'a'.repeat(20_000_000)}"}`],
  ] as const)
    await inOne(async () => {
      await tell('{"actor":"anna"}');
      await tell(content);
      await insert(id);
    });
  // Outside of any transaction it is about nothing.
  await inOne(async () => {
    await tell('{"actor":"anna"}', false);
    await insert(33);
  });
  await rig.untilCaughtUp();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const bad = log.filter(({ key }) => /"3[0-3]"/.test(key));
  expect(bad.map(({ headers }) => headers[CONTEXT_HEADER] ?? null)).toEqual([null, null, null, null]);
  expect(connector.status.contextsPassedOver).toBe(3);
  await connector.stop();
});

test('a row that fills its topic goes without the context rather than not at all', async () => {
  const connector = rig.run();
  await rig.untilCaughtUp();
  const sizes = async (bytes: number, id: number) => {
    await inOne(async () => {
      await tell(JSON.stringify({ actor: 'x'.repeat(400), reason: 'y'.repeat(400) }));
      await insert(id, 'z'.repeat(bytes));
    });
  };
  // What a record of a topic of 16 MiB may have; key and the rest of the event take some hundred bytes, the context more than 800.
  const limit = 16 * 1024 * 1024 - 512 - 65_536 - 32;
  await sizes(limit - 3000, 40);
  await sizes(limit - 700, 41);
  await rig.untilCaughtUp();
  const { log } = await rig.readCheckedLog();
  const found = log.filter(({ key }) => /"4[01]"/.test(key));
  expect(found.map(({ key, headers }) => [key, headers[CONTEXT_HEADER] !== undefined]).sort()).toEqual([
    ['{"id":"40"}', true],
    ['{"id":"41"}', false],
  ]);
  await connector.stop();
});
