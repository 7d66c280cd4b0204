import fc from 'fast-check';

/** Texts that PostgreSQL reads as values of a type, in every form that the type has. */
const pad = (value: number, length: number) => String(value).padStart(length, '0');
const number = (min: number, max: number) => fc.integer({ min, max });
const digits = (max: number) =>
  fc.array(fc.constantFrom(...'0123456789'), { minLength: 1, maxLength: max }).map((all) => all.join(''));
const text = fc
  .string({
    unit: fc.oneof(fc.constantFrom(...` "'\\,{}()[]<>&|!:*=%$\n\t\u0001`), unitOf('binary'), unitOf('grapheme')),
    maxLength: 60,
  })
  .map((value) => value.replaceAll('\0', '0').toWellFormed());
const oneLine = text.map((value) => `t${value.replace(/[^\p{L}\p{N} ]/gu, '')}`);
const integer = (bits: bigint) =>
  fc.oneof(
    fc.bigInt(-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n),
    fc.constantFrom(-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n, 0n),
  );
const double = fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value)));
const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 }).map(String);
const numeric = fc.oneof(
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0.000', '1e-300', '-1e300'),
  fc.tuple(fc.constantFrom('', '-'), digits(40), fc.constantFrom('', '.'), digits(40)).map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom('', '-'), digits(500), digits(500))
    .map(([sign, whole, fraction]) => `${sign}${whole}.${fraction}`),
);
const clock = fc
  .tuple(number(0, 23), number(0, 59), number(0, 59), number(0, 999_999))
  .map(([h, m, s, micros]) => `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(micros, 6)}`);
const days = (lastYear: number) =>
  fc
    .tuple(
      fc.oneof(number(1, 9999), number(1900, 2100), number(1, lastYear)),
      number(1, 12),
      number(1, 28),
      fc.boolean(),
    )
    .map(([year, month, day, isBefore]) => ({
      day: `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`,
      era: isBefore && year < 4700 ? ' BC' : '',
    }));
const infinity = fc.constantFrom('infinity', '-infinity');
const zone = fc
  .tuple(fc.constantFrom('+', '-'), number(0, 14), number(0, 59), number(0, 59))
  .map(([sign, h, m, s]) => `${sign}${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}`);
const timestamp = fc.oneof(
  infinity,
  fc.tuple(days(290_000), clock).map(([{ day, era }, time]) => `${day} ${time}${era}`),
);
const timestamptz = fc.oneof(
  infinity,
  fc.tuple(days(290_000), clock, zone).map(([{ day, era }, time, offset]) => `${day} ${time}${offset}${era}`),
);
const interval = fc
  .tuple(number(-170_000, 170_000), number(-99, 99), number(-9999, 9999), fc.constantFrom('', '-'), clock)
  .map(([years, months, all, sign, time]) => `${years} years ${months} mons ${all} days ${sign}${time}`);
const bytes = fc.uint8Array({ maxLength: 300 }).map((all) => `\\x${Buffer.from(all).toString('hex')}`);
const bits = fc.array(fc.constantFrom('0', '1'), { maxLength: 70 }).map((all) => all.join(''));
const json = fc.oneof(
  fc.json().map((value) => value.replaceAll('\\u0000', '0')),
  fc
    .tuple(digits(30), digits(30), text)
    .map(([whole, fraction, key]) => `{${JSON.stringify(key)}: [1${whole}.${fraction}, -1${whole}e-7]}`),
);
const point = fc.tuple(finite, finite).map(([x, y]) => `(${x},${y})`);
const points = fc.array(point, { minLength: 1, maxLength: 5 });
const quoted = (value: string) => `"${value.replace(/["\\]/g, '\\$&')}"`;
const arrayOf = (element: fc.Arbitrary<string>) =>
  fc.oneof(
    fc.constant('{}'),
    fc.tuple(fc.array(fc.option(element), { minLength: 1, maxLength: 6 }), number(-9, 9)).map(([elements, from]) => {
      const all = elements.map((value) => (value === null ? 'NULL' : quoted(value))).join(',');
      return `[${from}:${from + elements.length - 1}]={${all}}`;
    }),
    fc.tuple(element, element, element).map(([a, b, c]) => `{{{${quoted(a)},NULL}},{{${quoted(b)},${quoted(c)}}}}`),
  );
const octet = number(0, 255);
const v4 = fc.tuple(octet, octet, octet, octet).map((all) => all.join('.'));

/** By type: what `text::type` takes. A range's ends are in no order, so they are made by functions of the server (`rangeColumns`). */
export const INPUTS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  bool: fc.constantFrom('t', 'f'),
  int2: integer(16n).map(String),
  int4: integer(32n).map(String),
  int8: integer(64n).map(String),
  oid: number(0, 2 ** 32 - 1).map(String),
  float4: fc.float().map((value) => (Object.is(value, -0) ? '-0' : String(value))),
  float8: double,
  numeric,
  'numeric(20,4)': fc.tuple(fc.constantFrom('', '-'), digits(15), digits(8)).map(([sign, a, b]) => `${sign}${a}.${b}`),
  money: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((cents) => `${cents / 100n}`),
  text,
  'varchar(80)': text,
  'char(70)': text,
  name: text,
  bytea: bytes,
  'bit(9)': bits.map((value) => value.padEnd(9, '0').slice(0, 9)),
  varbit: bits,
  uuid: fc.uuid(),
  json,
  jsonb: json,
  xml: text.map((value) => `<a b="1">${value.replace(/[<&>]|[^\p{L}\p{N}\p{P} \n]/gu, '')}</a>`),
  date: fc.oneof(
    infinity,
    days(5_000_000).map(({ day, era }) => day + era),
  ),
  time: clock,
  timetz: fc.tuple(clock, zone).map((parts) => parts.join('')),
  timestamp,
  'timestamp(2)': timestamp,
  timestamptz,
  interval: fc.oneof(infinity, interval),
  inet: fc.oneof(
    fc.tuple(v4, number(0, 32)).map((parts) => parts.join('/')),
    fc
      .tuple(
        fc.ipV6().filter((value) => !value.includes('.')),
        number(0, 128),
      )
      .map((parts) => parts.join('/')),
  ),
  macaddr: fc
    .array(octet, { minLength: 6, maxLength: 6 })
    .map((all) => all.map((value) => pad(value, 3).slice(1)).join(':')),
  pg_lsn: fc
    .tuple(number(0, 2 ** 31), number(0, 2 ** 31))
    .map((all) => all.map((value) => value.toString(16)).join('/')),
  xid8: fc.bigInt(0n, 2n ** 64n - 1n).map(String),
  point,
  lseg: fc.tuple(point, point).map(([a, b]) => `[${a},${b}]`),
  box: fc.tuple(point, point).map((all) => all.join(',')),
  path: fc.tuple(points, fc.boolean()).map(([all, isOpen]) => (isOpen ? `[${all.join(',')}]` : `(${all.join(',')})`)),
  polygon: points.map((all) => `(${all.join(',')})`),
  circle: fc
    .tuple(point, fc.double({ min: 0, max: 1e100, noNaN: true }))
    .map(([center, radius]) => `<${center},${radius}>`),
  'text[]': arrayOf(text),
  'numeric[]': arrayOf(numeric),
  'timestamptz[]': arrayOf(timestamptz),
  'bytea[]': arrayOf(bytes),
  'interval[]': arrayOf(interval),
  'float8[]': arrayOf(double),
  'ext.pair': fc.tuple(integer(32n), timestamptz).map(([a, b]) => `(${a},${quoted(b)})`),
  'ext.nest': fc
    .tuple(text, double, bytes, interval)
    .map(([t, f, y, i]) => `(,,${quoted(t)},${f},${quoted(y)},${quoted(i)})`),
  'ext.padded': oneLine.map((value) => value.slice(0, 5)),
};

/** Columns that the server makes of two others: ranges, multiranges and text search. */
export const MADE: Readonly<Record<string, string>> = {
  numrange: `numrange(least(a.numeric, b.numeric), greatest(a.numeric, b.numeric), '[]')`,
  tstzrange: 'tstzrange(least(a.timestamptz, b.timestamptz), greatest(a.timestamptz, b.timestamptz))',
  daterange: 'daterange(least(a.date, b.date), NULL)',
  int8range: 'int8range(least(a.int8, b.int8), greatest(a.int8, b.int8))',
  tsmultirange:
    'tsmultirange(tsrange(NULL, least(a.timestamp, b.timestamp)), tsrange(greatest(a.timestamp, b.timestamp), NULL))',
  tsvector: `to_tsvector('simple', a.text || ' ' || b.text)`,
  tsquery: `plainto_tsquery('simple', a.text) || phraseto_tsquery('simple', b.text)`,
};

function unitOf(unit: 'binary' | 'grapheme'): fc.Arbitrary<string> {
  return fc.string({ unit, minLength: 1, maxLength: 1 });
}
