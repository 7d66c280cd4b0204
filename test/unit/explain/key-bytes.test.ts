import { expect, it } from 'vitest';
import type { Relation } from '../../../changes/change.ts';
import { countKeyColumns, encodeKey, parseKeyWords } from '../../../projectors/explain/key-bytes.ts';
import { createEncoder } from '../../../schemas/avro/encode.ts';
import { toKeySchema } from '../../../schemas/avro/relation-schema.ts';
import { HEADER_BYTES } from '../../../schemas/avro/wire.ts';

function relationOf(types: readonly number[]): Relation {
  const columns = types.map((typeOid, index) => ({ name: `k ${index}`, typeOid, typeName: 'x', typeModifier: -1 }));
  return { oid: 1, schema: 'public', table: 't', columns, key: columns.map(({ name }) => name) };
}

/** The bytes that the connector writes for a key. */
function written(relation: Relation, cells: readonly string[]): Buffer {
  const options = { topic: 't', ids: { key: 7, value: 8 }, serverName: 's', databaseName: 'd', connectorVersion: 'v' };
  const place = { commitLsn: 1n, lsn: 1n, ordinal: 0, xid: 1, commitMicros: 0n };
  return createEncoder(relation, options).encodeKey({ relation, op: 'c', before: null, after: cells, ...place })!;
}

const [BOOL, BYTEA, INT8, INT2, INT4, TEXT, FLOAT8, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ, NUMERIC, UUID] = [
  16, 17, 20, 21, 23, 25, 701, 1082, 1083, 1114, 1184, 1266, 1700, 2950,
] as const;

it.each([
  [[UUID], ['5f3a1c9e-0000-4000-8000-000000000001']],
  [[TEXT], ['söme "text", [1]']],
  [[INT4], ['-2147483648']],
  [[INT2], ['-7']],
  [[INT8], ['9223372036854775807']],
  [[NUMERIC], ['1.50']],
  [
    [BOOL, BYTEA],
    ['t', '\\x00ff'],
  ],
  [
    [FLOAT8, DATE],
    ['0.1', '2024-02-29'],
  ],
  [
    [TIME, TIMETZ],
    ['12:00:00.5', '12:00:00+02'],
  ],
  [
    [TIMESTAMP, TIMESTAMPTZ],
    ['2024-01-01 00:00:00.000001', '2024-01-01 00:00:00+00'],
  ],
  [[TIMESTAMPTZ], ['infinity']],
  [
    [UUID, INT4, TEXT],
    ['5f3a1c9e-0000-4000-8000-000000000001', '3', ''],
  ],
])('has the bytes that the connector writes: types %j', (types, cells) => {
  const relation = relationOf(types);
  const schema = JSON.stringify(toKeySchema(relation, 't'));
  const encoded = encodeKey(schema, cells)!;
  expect(encoded.message.subarray(HEADER_BYTES).equals(written(relation, cells).subarray(HEADER_BYTES))).toBe(true);
  expect(encoded.legacyKey).toBe(cells.length === 1 ? cells[0] : JSON.stringify(cells));
  expect(countKeyColumns(schema)).toBe(cells.length);
});

it('spells a key as PostgreSQL does, and refuses what is none', () => {
  const schemaOf = (...types: number[]) => JSON.stringify(toKeySchema(relationOf(types), 't'));
  expect(encodeKey(schemaOf(UUID), ['5F3A1C9E-0000-4000-8000-000000000001'])!.legacyKey).toBe(
    '5f3a1c9e-0000-4000-8000-000000000001',
  );
  expect(encodeKey(schemaOf(INT4), ['007'])!.legacyKey).toBe('7');
  expect(encodeKey(schemaOf(INT4), ['seven'])).toBeNull();
  expect(encodeKey(schemaOf(INT2), ['7.5'])).toBeNull();
  expect(encodeKey(schemaOf(BOOL), ['yes'])).toBeNull();
  expect(encodeKey(schemaOf(INT4, INT4), ['7'])).toBeNull();
});

it('reads words of keys', () => {
  expect(parseKeyWords(['["a"]'], 1)).toEqual(['["a"]']);
  expect(parseKeyWords(['a', 'b'], 2)).toEqual(['a', 'b']);
  expect(parseKeyWords(['["a", "b"]'], 2)).toEqual(['a', 'b']);
  for (const words of [['a'], ['["a"]'], ['["a", 1]'], ['{'], ['a', 'b', 'c']])
    expect(parseKeyWords(words, 2)).toBeNull();
});
