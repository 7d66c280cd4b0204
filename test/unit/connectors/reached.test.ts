import { expect, test } from 'vitest';
import { createReached } from '../../../connectors/reached.ts';
import { toSourceTransaction } from '../../../connectors/source-transaction.ts';

const bound = { systemId: '7', timeline: 1, history: [], database: 'legacy', slot: 's', clusterId: 'k' };
const stored = { bound, lsn: 100n, sourceMicros: 1n, last: '3:90', unseenXids: [], snapshot: {}, offsets: {} };
const transaction = (xid: number, finalLsn: bigint) =>
  toSourceTransaction({ kind: 'begin', finalLsn, commitMicros: 1000n * finalLsn, xid }, BigInt(xid), stored.lsn);

test('a keepalive and a transaction move it forward, and nothing moves it back', () => {
  const reached = createReached(stored);
  reached.pass(120n);
  expect(reached.position()).toMatchObject({ lsn: 120n, sourceMicros: 1n, last: '3:90' });
  reached.pass(110n);
  expect(reached.position().lsn).toBe(120n);
  reached.passTransaction(transaction(5, 130n), 140n);
  expect(reached.position()).toMatchObject({ lsn: 140n, sourceMicros: 130_000n, last: '5:130' });
  reached.passTransaction(transaction(6, 125n), 135n);
  expect(reached.position()).toMatchObject({ lsn: 140n, last: '5:130' });
});

test('it is ahead until it is written', () => {
  const reached = createReached(stored);
  expect(reached.isAhead()).toBe(false);
  reached.pass(120n);
  expect(reached.isAhead()).toBe(true);
  reached.written(120n);
  expect(reached.isAhead()).toBe(false);
});

test('what is sent again moves nothing, and must end with what was stored', () => {
  const same = createReached(stored);
  same.passTransaction(transaction(3, 90n), 100n);
  expect(same.position().lsn).toBe(100n);
  same.passTransaction(transaction(5, 130n), 140n);
  expect(same.position().lsn).toBe(140n);

  const another = createReached(stored);
  another.passTransaction(transaction(4, 95n), 100n);
  expect(() => another.pass(110n)).toThrow(/last one before the stored position/);
  expect(() => another.passTransaction(transaction(5, 130n), 140n)).toThrow(/last one before the stored position/);
});
