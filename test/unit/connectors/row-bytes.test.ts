import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Column, Relation } from '../../../changes/change.ts';
import {
  isBeyondServer,
  isWithin,
  MOST_ROW_BYTES,
  toBytes,
  toLeastBytes,
  toMostCellBytes,
  toRowBytesSql,
} from '../../../changes/row-bytes.ts';
import { createEncoder } from '../../../schemas/avro/encode.ts';
import { sentRow } from './pgoutput-message.ts';

const column = (name: string, typeOid: number): Column => ({ name, typeOid, typeName: 'any', typeModifier: -1 });
const relation: Relation = {
  ...{ oid: 9, schema: 'public', table: 'docs', key: ['id'] },
  columns: [column('id', 23), column('body', 25), column('bytes', 17), column('doc', 3802)],
};
const encoder = createEncoder(relation, {
  ...{ topic: 'docs', ids: { key: 1, value: 2 }, serverName: 'legacy', databaseName: 'app', connectorVersion: '1' },
});
const context = { timeline: 1, snapshot: 'false', transaction: null, processedMs: 0 } as const;
const encoded = (after: (string | null)[]) =>
  encoder.encodeValue(
    { relation, op: 'c', before: null, after, commitLsn: 1n, lsn: 1n, ordinal: 0, xid: 1, commitMicros: 1n },
    context,
  ).length;
const anyText = fc.tuple(fc.string({ unit: 'binary' }), fc.nat(40)).map(([text, times]) => text.repeat(times));
const anyBytea = fc.uint8Array({ maxLength: 200 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`);
const anyRow = fc.tuple(
  fc.constant('1'),
  fc.option(anyText),
  fc.option(anyBytea),
  fc.option(anyText.map((text) => JSON.stringify(text))),
);

test('no row takes less than it is said to at least, and what one takes is told but for a few bytes', () => {
  fc.assert(
    fc.property(anyRow, (row) => {
      const bytes = encoded(row);
      expect(toLeastBytes(relation, row)).toBeLessThanOrEqual(toBytes(relation, row));
      expect(toBytes(relation, row)).toBeLessThanOrEqual(bytes);
      expect(bytes - toBytes(relation, row)).toBeLessThan(600);
      const sent = sentRow(row);
      expect(toLeastBytes(relation, sent)).toBe(toBytes(relation, sent));
      expect(toBytes(relation, sent)).toBeLessThanOrEqual(bytes);
      expect(bytes - toBytes(relation, sent)).toBeLessThan(600);
      // Never said of a row that takes more.
      expect(isWithin(sent, toBytes(relation, sent) - 1)).toBe(false);
    }),
  );
});

test('a cell that was not read counts as what it would take', () => {
  expect(toLeastBytes(relation, sentRow(['1', { tooLarge: 1000 }, { tooLarge: 1002 }, null]))).toBe(1500);
});

test('a cell is only left unread when no topic holds it, whatever its type; keys never are', () => {
  // As text a bytea is twice as long.
  expect(toMostCellBytes([16_000_000, 50_000_000])).toBe(100_000_002);
  expect(toMostCellBytes([1600])).toBeGreaterThan(700 * 1024);
  expect(toMostCellBytes([])).toBeGreaterThan(700 * 1024);
  // Kafka would take it, JavaScript has no string for it.
  expect(toMostCellBytes([2_000_000_000])).toBeLessThan(2 ** 29 - 24);
  expect(2 * MOST_ROW_BYTES + 2).toBeLessThan(2 ** 29 - 24);
});

test('columns that cannot be large are not measured', () => {
  const { bytes } = toRowBytesSql(relation, ['id', 'body', 'bytes', 'doc'], 1000);
  expect(bytes).not.toMatch(/\bid\b/);
  expect(bytes).toContain('octet_length(body)');
  expect(bytes).toContain('octet_length(bytes)');
  expect(bytes).toContain('pg_column_size(doc)');
});

test('what PostgreSQL has no memory for, in words of 15 and 18', () => {
  expect(isBeyondServer({ code: '54000', message: 'out of memory' })).toBe(true);
  expect(isBeyondServer({ code: 'XX000', message: 'invalid memory alloc request size 1258291203' })).toBe(true);
  expect(isBeyondServer({ code: 'XX000', message: 'unexpected chunk number' })).toBe(false);
  expect(isBeyondServer({ code: '53200', message: 'out of memory' })).toBe(false);
  expect(isBeyondServer(null)).toBe(false);
});
