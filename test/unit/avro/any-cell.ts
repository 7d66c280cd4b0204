import fc from 'fast-check';
import { toFloat4Text, toFloat8Text } from '../../../schemas/avro/float-text.ts';
import { OIDS, type TypeName } from './sample-relation.ts';

export const TYPE_NAMES = Object.keys(OIDS) as TypeName[];

const two = (max: number, min = 0) => fc.integer({ min, max }).map((value) => String(value).padStart(2, '0'));
const fraction = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 1, max: 999_999 }).map((micros) => `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`),
);
const time = fc.tuple(two(23), two(59), two(59), fraction).map(([h, m, s, f]) => `${h}:${m}:${s}${f}`);
const date = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), two(12, 1), two(28, 1))
  .map(([year, month, day]) => `${String(year).padStart(4, '0')}-${month}-${day}`);
const farDate = fc
  .tuple(fc.integer({ min: 10_000, max: 294_276 }), two(12, 1), two(28, 1))
  .map((parts) => parts.join('-'));
const infinity = fc.constantFrom('infinity', '-infinity');
const offset = fc
  .tuple(fc.constantFrom('+', '-'), two(15), fc.constantFrom('', ':30', ':45', ':00:07', ':15:30'))
  .map((parts) => parts.join(''));
const text = fc.string({ unit: 'grapheme', maxLength: 120 }).filter((value) => !value.includes('\0'));
const integer = (bits: bigint) => fc.bigInt(-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n).map(String);
const digits = fc.stringMatching(/^[1-9][0-9]{0,40}$/);
// With digits, spaces and an order of keys that a parser would not give back.
const document = fc.oneof(
  fc.json(),
  digits.map((whole) => `{"b": ${whole}.50, "a": [1e2, -0, ${whole}]}`),
);

const CELLS: Record<TypeName, fc.Arbitrary<string>> = {
  bool: fc.constantFrom('t', 'f'),
  bytea: fc.uint8Array({ maxLength: 200 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  int2: integer(16n),
  int4: integer(32n),
  int8: fc.oneof(integer(64n), integer(54n), integer(8n)),
  oid: fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(String),
  float4: fc.float().map((value) => toFloat4Text(value)),
  float8: fc.double().map((value) => toFloat8Text(value)),
  numeric: fc.oneof(
    fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '0.00', '-0.10'),
    fc.tuple(digits, digits).map((parts) => parts.join('.')),
  ),
  uuid: fc.uuid(),
  json: document,
  jsonb: document,
  xml: text.map((value) => `<a>${value.replace(/[<&>]/g, '')}</a>`),
  text,
  varchar: text,
  bpchar: text.map((value) => value.padEnd(20)),
  _text: fc.array(text).map((values) => `{${values.map((value) => JSON.stringify(value)).join(',')}}`),
  interval: fc.constantFrom('00:00:00', '1 year 2 mons -3 days +04:05:06.789', '-178000000 years', '24:00:00'),
  date: fc.oneof(
    date,
    farDate,
    infinity,
    date.map((value) => `${value} BC`),
  ),
  time: fc.oneof(time, fc.constant('24:00:00')),
  timetz: fc.tuple(fc.oneof(time, fc.constant('24:00:00')), offset).map((parts) => parts.join('')),
  timestamp: timestamps(''),
  timestamptz: timestamps('+00'),
};

/** Text of the type as PostgreSQL writes it under the pinned output settings. */
export function anyCell(typeName: TypeName): fc.Arbitrary<string> {
  return CELLS[typeName];
}

function timestamps(zone: string): fc.Arbitrary<string> {
  const plain = (days: fc.Arbitrary<string>) => fc.tuple(days, time).map(([day, clock]) => `${day} ${clock}${zone}`);
  return fc.oneof(
    plain(date),
    plain(farDate),
    infinity,
    plain(date).map((value) => `${value} BC`),
  );
}
