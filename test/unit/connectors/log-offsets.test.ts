// Where the next records of the log's partitions will be: what is foretold is what Kafka then does, or nothing is foretold.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLogOffsets } from '../../../connectors/log-offsets.ts';
import type { OutRecord } from '../../../runtime/kafka.ts';

const record = (partition: number): OutRecord => ({ partition, key: null, value: null, timestampMs: '0' });
const sends = (partitions: readonly number[], topic = 't') => new Map([[topic, partitions.map(record)]]);
const at = (partition: number, baseOffset: bigint, topic = 't') => ({ topic, partition, baseOffset });

test('nothing is foretold of a partition that this session has not written to', () => {
  const offsets = createLogOffsets({ t: ['7', '9'] });
  expect(offsets.foretell(sends([0]))).toBeNull();
  expect(offsets.foretell(sends([]))).toEqual({ t: ['7', '9'] });
  offsets.sent(sends([0]), [at(0, 10n)]);
  expect(offsets.reached()).toEqual({ t: ['11', '9'] });
  expect(offsets.foretell(sends([0, 1]))).toBeNull();
  expect(offsets.foretell(sends([0, 0]))).toEqual({ t: ['13', '9'] });
});

test('topics that the position does not name are of no account', () => {
  const offsets = createLogOffsets({ t: ['7'] });
  expect(offsets.foretell(sends([0], 'transactions'))).toEqual({ t: ['7'] });
  offsets.sent(sends([0], 'transactions'), [at(0, 3n, 'transactions')]);
  offsets.committed([{ topic: 'transactions', partition: 0 }]);
  expect(offsets.reached()).toEqual({ t: ['7'] });
});

test('a client that does not know its markers: nothing is foretold across a commit', () => {
  const offsets = createLogOffsets({ t: ['0'] });
  offsets.sent(sends([0]), [at(0, 0n)]);
  offsets.committed(null);
  expect(offsets.foretell(sends([0]))).toBeNull();
});

test('what is foretold is where a log puts it', () => {
  const partitions = 3;
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          sends: fc.array(fc.array(fc.nat(partitions - 1), { maxLength: 5 }), { maxLength: 3 }),
          // Added to the transaction without a record: a marker all the same.
          alsoMarked: fc.array(fc.nat(partitions - 1), { maxLength: 2 }),
        }),
        { maxLength: 12 },
      ),
      fc.array(fc.nat(20), { minLength: partitions, maxLength: partitions }),
      (transactions, lengths) => {
        /** A log: how long each partition is, records and markers. */
        const log = [...lengths];
        const offsets = createLogOffsets({ t: lengths.map(String) });
        for (const { sends: parts, alsoMarked } of transactions) {
          const marked = new Set(alsoMarked);
          for (const part of parts) {
            const foretold = offsets.foretell(sends(part));
            const answers = [...new Set(part)].map((partition) => at(partition, BigInt(log[partition]!)));
            for (const partition of part) {
              log[partition]! += 1;
              marked.add(partition);
            }
            offsets.sent(sends(part), answers);
            if (foretold !== null) expect(offsets.reached()).toEqual(foretold);
            for (const { partition } of answers) expect(offsets.reached().t![partition]).toBe(String(log[partition]));
          }
          for (const partition of marked) log[partition]! += 1;
          offsets.committed([...marked].map((partition) => ({ topic: 't', partition })));
        }
        // A partition that was written to is known from then on.
        const written = [...new Set(transactions.flatMap((each) => each.sends.flat()))];
        expect(offsets.foretell(sends(written))).not.toBeNull();
      },
    ),
  );
});
