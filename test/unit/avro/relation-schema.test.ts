import { describe, expect, test } from 'vitest';
import { toFieldNames } from '../../../schemas/avro/names.ts';
import { toKeySchema, toValueSchema } from '../../../schemas/avro/relation-schema.ts';
import { sampleRelation, type TypeName } from './sample-relation.ts';

describe('schemas', () => {
  const relation = sampleRelation(
    [
      ['id', 'uuid'],
      ['n-o', 'int4'],
    ],
    ['n-o', 'id'],
  );

  test("a key, in Debezium's form", () => {
    expect(toKeySchema(relation, 'my-app.public.sample')).toEqual({
      type: 'record',
      name: 'Key',
      namespace: 'my_app.public.sample',
      fields: [
        { name: 'n_o', type: { type: 'int', 'connect.parameters': { '__debezium.source.column.name': 'n-o' } } },
        { name: 'id', type: { type: 'string', 'connect.version': 1, 'connect.name': 'io.debezium.data.Uuid' } },
      ],
      'connect.name': 'my_app.public.sample.Key',
    });
  });

  test("an envelope, in Debezium's form and order", () => {
    const schema = toValueSchema(relation, 'my-app.public.sample');
    expect(schema).toMatchObject({
      type: 'record',
      name: 'Envelope',
      namespace: 'my_app.public.sample',
      'connect.version': 2,
      'connect.name': 'my_app.public.sample.Envelope',
    });
    expect(schema.fields.map((field) => field.name)).toEqual([
      'before',
      'after',
      'source',
      'transaction',
      'op',
      'ts_ms',
      'ts_us',
      'ts_ns',
    ]);
    expect(schema.fields[1]).toEqual({ name: 'after', type: ['null', 'Value'], default: null });
    const value = (schema.fields[0]!.type as [string, { fields: { default: unknown; type: unknown[] }[] }])[1];
    expect(value).toMatchObject({ name: 'Value', 'connect.name': 'my_app.public.sample.Value' });
    for (const field of value.fields) {
      expect(field.type[0]).toBe('null');
      expect(field.default).toBe(null);
    }
    const source = schema.fields[2]!.type as { fields: { name: string }[] };
    expect(source.fields.map((field) => field.name).join(' ')).toBe(
      'version connector name ts_ms snapshot db sequence ts_us ts_ns schema table txId lsn xmin timeline commit_lsn ordinal',
    );
  });

  test.each<[TypeName, string, string | undefined]>([
    ['bool', 'boolean', undefined],
    ['int2', 'int', undefined],
    ['int4', 'int', undefined],
    ['int8', 'long', undefined],
    ['oid', 'long', undefined],
    ['float4', 'float', undefined],
    ['float8', 'double', undefined],
    ['bytea', 'bytes', undefined],
    ['numeric', 'string', undefined],
    ['text', 'string', undefined],
    ['interval', 'string', undefined],
    ['_text', 'string', undefined],
    ['uuid', 'string', 'io.debezium.data.Uuid'],
    ['json', 'string', 'io.debezium.data.Json'],
    ['jsonb', 'string', 'io.debezium.data.Json'],
    ['xml', 'string', 'io.debezium.data.Xml'],
    ['date', 'string', 'io.debezium.time.IsoDate'],
    ['time', 'string', 'io.debezium.time.IsoTime'],
    ['timetz', 'string', 'io.debezium.time.ZonedTime'],
    ['timestamp', 'string', 'io.debezium.time.IsoTimestamp'],
    ['timestamptz', 'string', 'io.debezium.time.ZonedTimestamp'],
  ])('%s is %s %s', (typeName, avroType, semantic) => {
    const field = toKeySchema(sampleRelation([['id', typeName]]), 'a.b.c')!.fields[0]!.type as
      | string
      | Record<string, unknown>;
    expect(typeof field === 'string' ? field : field.type).toBe(avroType);
    expect(typeof field === 'string' ? undefined : field['connect.name']).toBe(semantic);
  });

  test('an int2 says so', () => {
    expect(toKeySchema(sampleRelation([['id', 'int2']]), 'a.b.c')!.fields[0]!.type).toMatchObject({
      'connect.type': 'int16',
    });
  });
});

describe('names', () => {
  test('allowed ones stay, others are adjusted, and none is used twice', () => {
    expect(toFieldNames(['a_b', 'a-b', 'a b', '1st', 'größe', '__proto__'])).toEqual([
      'a_b',
      'a_b_2',
      'a_b_3',
      '_1st',
      'gr__e',
      '_proto_',
    ]);
  });

  test('a name Avro allows is never taken by an adjusted one, wherever it stands', () => {
    expect(toFieldNames(['a-b', 'a_b', 'a_b_2'])).toEqual(['a_b_3', 'a_b', 'a_b_2']);
  });

  test('a namespace has no part that begins with a digit', () => {
    expect(toValueSchema(sampleRelation([['id', 'int4']]), 'x.public.2024_data').namespace).toBe('x.public._2024_data');
  });
});
