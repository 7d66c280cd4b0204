import { expect, test } from 'vitest';
import { decodePosition } from '../../../connectors/position.ts';
import { createDecoder, createKeyDecoder } from '../../../schemas/avro/decode.ts';
import { schemaIdOf } from '../../../schemas/avro/wire.ts';
import { KEY, KEY_SCHEMA, VALUE, VALUE_SCHEMA } from '../../support/written-before.ts';

test('an event that an earlier version wrote, by the schema that it registered', () => {
  const [key, value] = [Buffer.from(KEY, 'base64'), Buffer.from(VALUE, 'base64')];
  expect([schemaIdOf(key), schemaIdOf(value)]).toEqual([7, 8]);
  expect(createKeyDecoder(JSON.stringify(KEY_SCHEMA)).decode(key)).toEqual({ id: '1' });
  expect(createDecoder(JSON.stringify(VALUE_SCHEMA)).decode(value)).toEqual({
    op: 'u',
    before: {
      id: '1',
      note: 'ä',
      at: '2024-12-31 23:59:59.123456+00',
      price: '1.50',
      'n-o': '9223372036854775807',
    },
    after: { id: '1', note: null, at: 'infinity', price: 'NaN', 'n-o': null },
    source: {
      schema: 'public',
      table: 'docs',
      timeline: 1,
      commitLsn: 23_803_720n,
      ordinal: 3,
      lsn: 23_803_664n,
      txId: 750,
      tsUs: 1_735_718_400_123_456n,
      snapshot: 'false',
    },
    transaction: { id: '750:23804744', totalOrder: 4, dataCollectionOrder: 2 },
  });
});

test('a position that the first version stored', () => {
  const record = `{"v":1,"bound":{"systemId":"7","timeline":1,"database":"legacy","slot":"crosswalk","clusterId":"k"},"lsn":"1/6B374D8","sourceMicros":"1735718400123456",
    "unseenXids":["4294967300"],"snapshot":{"docs":{"done":false,"lastKey":["41"],"rows":41}},"offsets":{"legacy.public.docs":["3","0"]}}`;
  expect(decodePosition(Buffer.from(record))).toEqual({
    bound: { systemId: '7', timeline: 1, database: 'legacy', slot: 'crosswalk', clusterId: 'k' },
    lsn: 0x1_06b3_74d8n,
    sourceMicros: 1_735_718_400_123_456n,
    unseenXids: ['4294967300'],
    snapshot: { docs: { done: false, lastKey: ['41'], rows: 41 } },
    offsets: { 'legacy.public.docs': ['3', '0'] },
  });
});

test('a position of a later version is refused', () => {
  expect(() => decodePosition(Buffer.from('{"v":2}'))).toThrow(
    expect.objectContaining({ code: 'position_mismatch', message: expect.stringContaining('has version 2') }),
  );
});
