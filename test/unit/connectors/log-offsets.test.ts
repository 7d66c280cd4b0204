// Predicted offsets are the ones that the log then assigns, or nothing is predicted.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLogOffsets, type LogOffsets } from '../../../connectors/log-offsets.ts';
import type { OutRecord } from '../../../runtime/kafka.ts';

const record = (partition: number): OutRecord => ({ partition, key: null, value: null, timestampMs: '0' });
const sends = (partitions: readonly number[], topic = 't') => new Map([[topic, partitions.map(record)]]);
const at = (partition: number, baseOffset: bigint, topic = 't') => ({ topic, partition, baseOffset });

/** Transactions of one record each in partition 0, from this offset on; returns the offset behind the last marker. */
function prove(offsets: LogOffsets, from: bigint, transactions = 4): bigint {
  let offset = from;
  for (let transaction = 0; transaction < transactions; transaction++, offset += 2n) {
    offsets.sent(sends([0]), [at(0, offset)]);
    offsets.committed([{ topic: 't', partition: 0 }]);
  }
  return offset;
}

test('nothing is predicted before three transactions have begun behind the marker of the one before', () => {
  const offsets = createLogOffsets({ t: ['0', '0'] });
  let offset = 10n;
  for (let transaction = 1; transaction <= 4; transaction++) {
    expect(offsets.predict(sends([0]))).toBeNull();
    offset = prove(offsets, offset, 1);
  }
  expect(offsets.predict(sends([0]))).toEqual({ t: [String(offset + 1n), '0'] });
});

test('nor of a partition that this session has not written to', () => {
  const offsets = createLogOffsets({ t: ['7', '9'] });
  expect(offsets.predict(sends([]))).toBeNull();
  const next = prove(offsets, 10n);
  expect(offsets.predict(sends([0, 1]))).toBeNull();
  expect(offsets.predict(sends([0, 0]))).toEqual({ t: [String(next + 2n), '9'] });
  expect(offsets.predict(sends([]))).toEqual(offsets.reached());
});

test('nor ever again after records at other offsets than expected', () => {
  const offsets = createLogOffsets({ t: ['0'] });
  const next = prove(offsets, 0n);
  offsets.sent(sends([0]), [at(0, next + 1n)]);
  offsets.committed([{ topic: 't', partition: 0 }]);
  expect(offsets.reached()).toEqual({ t: [String(next + 2n)] });
  prove(offsets, next + 3n, 10);
  expect(offsets.predict(sends([0]))).toBeNull();
});

test('nor with a client that does not know its markers', () => {
  const offsets = createLogOffsets({ t: ['0'] });
  for (let transaction = 0; transaction < 10; transaction++) {
    offsets.sent(sends([0]), [at(0, BigInt(2 * transaction))]);
    offsets.committed(null);
    expect(offsets.predict(sends([0]))).toBeNull();
  }
});

test('topics that the position does not name are ignored', () => {
  const offsets = createLogOffsets({ t: ['7'] });
  expect(offsets.predict(sends([0], 'transactions'))).toEqual({ t: ['7'] });
  offsets.sent(sends([0], 'transactions'), [at(0, 3n, 'transactions')]);
  offsets.committed([{ topic: 'transactions', partition: 0 }]);
  expect(offsets.reached()).toEqual({ t: ['7'] });
});

test('predictions come true, and none is made for a log whose transactions take more offsets than their markers', () => {
  const partitions = 3;
  let predicted = 0;
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          sends: fc.array(fc.array(fc.nat(partitions - 1), { minLength: 1, maxLength: 5 }), {
            minLength: 1,
            maxLength: 3,
          }),
          // Added to the transaction without a record: a marker all the same.
          alsoMarked: fc.array(fc.nat(partitions - 1), { maxLength: 2 }),
        }),
        { minLength: 5, maxLength: 20 },
      ),
      fc.array(fc.nat(20), { minLength: partitions, maxLength: partitions }),
      // As some brokers do it: an offset at the beginning of a transaction, too.
      fc.boolean(),
      (transactions, lengths, takesMore) => {
        /** How long each partition is, records and markers. */
        const log = [...lengths];
        const offsets = createLogOffsets({ t: lengths.map(String) });
        for (const { sends: parts, alsoMarked } of transactions) {
          const marked = new Set<number>();
          for (const part of parts) {
            const told = offsets.predict(sends(part));
            for (const partition of part) if (!marked.has(partition) && takesMore) log[partition]! += 1;
            const answers = [...new Set(part)].map((partition) => at(partition, BigInt(log[partition]!)));
            for (const partition of part) {
              log[partition]! += 1;
              marked.add(partition);
            }
            offsets.sent(sends(part), answers);
            if (told !== null) expect(offsets.reached()).toEqual(told);
            if (told !== null) predicted += 1;
            for (const { partition } of answers) expect(offsets.reached().t![partition]).toBe(String(log[partition]));
          }
          for (const partition of alsoMarked) marked.add(partition);
          for (const partition of marked) log[partition]! += 1;
          offsets.committed([...marked].map((partition) => ({ topic: 't', partition })));
        }
        if (takesMore) expect(offsets.predict(sends([0]))).toBeNull();
      },
    ),
  );
  expect(predicted).toBeGreaterThan(100);
});
