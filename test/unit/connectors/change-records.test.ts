import { expect, test } from 'vitest';
import type { Change, Relation } from '../../../changes/change.ts';
import { ChangeRecords } from '../../../connectors/change-records.ts';
import { createSourceDeadLetters } from '../../../connectors/dead-letters.ts';
import type { Captured } from '../../../connectors/encoders.ts';
import { toSourceTransaction } from '../../../connectors/source-transaction.ts';
import { createConnectorStatus } from '../../../connectors/status.ts';
import type { OutRecord } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { createEncoder } from '../../../schemas/avro/encode.ts';

const LIMIT = 2000;
const column = (name: string) => ({ name, typeOid: 25, typeName: 'text', typeModifier: -1 });
const relation: Relation = {
  oid: 9,
  schema: 'public',
  table: 'notes',
  columns: [column('id'), column('body')],
  key: ['id'],
};
const place = { commitLsn: 100n, lsn: 90n, ordinal: 0, xid: 7, commitMicros: 5000n };
const long = 'x'.repeat(LIMIT - 500);

function setUp() {
  const options = { topic: 't', ids: { key: 1, value: 2 }, serverName: 's', databaseName: 'd', connectorVersion: '0' };
  const captured: Captured = {
    ...{ relation, topic: 't', collection: 'public.notes', told: new Set<string>() },
    encoder: createEncoder(relation, options),
  };
  const loaded = new Map([[relation.oid, captured]]);
  const sent: OutRecord[] = [];
  const publisher = { append: (_: string, record: OutRecord) => void sent.push(record), limitOf: () => LIMIT };
  const deadLetters = createSourceDeadLetters([], 'dead');
  const status = createConnectorStatus(['notes']);
  const records = new ChangeRecords({
    ...{ publisher, deadLetters, tables: loaded, loaded, partitions: 4, timeline: 1, status },
    log: createLog('silent'),
  });
  const begin = { kind: 'begin' as const, finalLsn: 100n, commitMicros: 5000n, xid: 7 };
  return { records, sent, deadLetters, status, transaction: toSourceTransaction(begin, 7n, 0n) };
}

const change = (op: Change['op'], before: Change['before'], after: Change['after']): Change => ({
  ...{ ...place, relation, op, before, after },
});

test('an event is counted in its transaction, and a delete has a tombstone', () => {
  const { records, sent, status, transaction } = setUp();
  records.publish(change('c', null, ['1', 'a']), transaction, null);
  records.publish(change('d', ['1', 'a'], null), transaction, null);
  expect(sent.map(({ value }) => value === null)).toEqual([false, false, true]);
  expect(new Set(sent.map(({ key }) => key!.toString('hex'))).size).toBe(1);
  expect({ total: transaction.total, counts: [...transaction.counts] }).toEqual({
    total: 2,
    counts: [['public.notes', 2]],
  });
  expect(status.events).toBe(2);
});

test('what is read is an event, and none of the transaction that it stands in', () => {
  const { records, sent, status, transaction } = setUp();
  const cells = ['1', 'a'];
  records.publish(change('r', null, cells), transaction, { cells, isMissing: false });
  expect(sent).toHaveLength(1);
  expect({ total: transaction.total, events: status.events }).toEqual({ total: 0, events: 1 });
});

test('a row that fits without its old row is told without it', () => {
  const { records, sent, deadLetters, transaction } = setUp();
  records.publish(change('u', ['1', long], ['1', long]), transaction, null);
  expect(sent).toHaveLength(1);
  expect(sent[0]!.value!.length).toBeLessThan(LIMIT);
  expect(sent[0]!.value!.length).toBeGreaterThan(long.length);
  expect(deadLetters.open()).toBe(0);
});

test('a row that does not fit is a dead letter, no event, until a version of it fits', () => {
  const { records, sent, deadLetters, status, transaction } = setUp();
  records.publish(change('c', null, ['1', 'x'.repeat(LIMIT)]), transaction, null);
  expect({ sent, total: transaction.total, events: status.events, deadLetters: status.deadLetters }).toEqual({
    ...{ sent: [], total: 0, events: 0, deadLetters: 1 },
  });
  expect(deadLetters.open()).toBe(1);
  records.publish(change('u', null, ['1', 'a']), transaction, null);
  expect(deadLetters.open()).toBe(0);
  expect(sent).toHaveLength(1);
});
