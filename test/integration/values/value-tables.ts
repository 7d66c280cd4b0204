import pg from 'pg';

/** A column of a table whose row k holds the k-th of the values, beginning again at the first. Null: PostgreSQL fills it. */
export interface ValueColumn {
  readonly name: string;
  readonly type: string;
  /** SQL expressions. */
  readonly values: readonly string[] | null;
}

export function literal(text: string): string {
  return pg.escapeLiteral(text);
}

export function literals(...texts: string[]): string[] {
  return texts.map(literal);
}

/** Types that a legacy schema makes for itself. In `ext`, because no search path needs to have it. */
export const OWN_TYPES = `
  CREATE SCHEMA ext;
  CREATE TYPE ext."mood's ""type""" AS ENUM ('', 'sad', 'größe', 'a b', 'quote '' " \\', 'null', '語😀');
  CREATE TYPE ext.pair AS (a int, "b c" timestamptz);
  CREATE TYPE ext.nest AS (p ext.pair, ps ext.pair[], t text, f float8, y bytea, i interval);
  CREATE TYPE ext.nothing AS ();
  CREATE DOMAIN ext.positive AS int8 CHECK (VALUE > 0);
  CREATE DOMAIN ext.more AS ext.positive NOT NULL;
  CREATE DOMAIN ext.day AS date;
  CREATE DOMAIN ext.flag AS boolean;
  CREATE DOMAIN ext.bytes AS bytea;
  CREATE DOMAIN ext.padded AS char(5);
  CREATE DOMAIN ext.days AS date[];
  CREATE DOMAIN ext.whole AS ext.pair;
  CREATE TYPE ext.floats AS RANGE (subtype = float8, multirange_type_name = ext.floatsets);
  CREATE TYPE ext.texts AS RANGE (subtype = text, collation = "C");`;

/** Columns of those types, and of built-in ones with modifiers. */
export const OWN_COLUMNS: readonly ValueColumn[] = [
  {
    name: 'mood',
    type: `ext."mood's ""type"""`,
    values: literals('', 'sad', 'größe', 'a b', `quote ' " \\`, 'null', '語😀'),
  },
  { name: 'moods', type: `ext."mood's ""type"""[]`, values: [`enum_range(NULL::ext."mood's ""type""")`] },
  {
    name: 'pair',
    type: 'ext.pair',
    values: literals('(,)', '(1,"2025-01-01 00:00:00.5+02")', '(-1,infinity)', '(,"0044-03-15 08:00:00+00 BC")'),
  },
  { name: 'pairs', type: 'ext.pair[]', values: [`ARRAY[NULL, (1, '-infinity'), (NULL, NULL)]::ext.pair[]`] },
  {
    name: 'nest',
    type: 'ext.nest',
    values: [
      `ROW((1, 'epoch'), ARRAY[(2, NULL), NULL]::ext.pair[], E'"(,)\\\\ '' \\t', 0.1::float8 + 0.2, '\\x00ff', '-1 day +1 s')`,
      `ROW(NULL, '{}', '', '-0', '', 'infinity')`,
    ],
  },
  { name: 'nothing', type: 'ext.nothing', values: literals('()') },
  { name: 'positive', type: 'ext.positive', values: literals('1', '9223372036854775807') },
  { name: 'positives', type: 'ext.positive[]', values: literals('{1,NULL,9223372036854775807}') },
  { name: 'more', type: 'ext.more', values: literals('7') },
  { name: 'day', type: 'ext.day', values: literals('2025-12-31', '0044-03-15 BC', 'infinity') },
  { name: 'flag', type: 'ext.flag', values: literals('t', 'f') },
  { name: 'bytes', type: 'ext.bytes', values: literals('', '\\x005c27ff') },
  { name: 'padded', type: 'ext.padded', values: literals('', 'x', ' x', 'größe') },
  { name: 'days', type: 'ext.days', values: literals('{}', '[5:6]={2025-12-31,-infinity}') },
  { name: 'whole', type: 'ext.whole', values: literals('(1,)') },
  { name: 'floats', type: 'ext.floats', values: literals('empty', '[0.1,1e23)', '(-Infinity,NaN]') },
  { name: 'multifloats', type: 'ext.floatsets', values: literals('{}', '{[0.1,0.3),[5e-324,]}', '{(,)}') },
  { name: 'texts', type: 'ext.texts', values: literals('["","a ""b"" \\\\"]', '(,"ü, "]') },
  {
    // Whether a name is written with its schema depends on the search path; `hostile` is one of a hostile database.
    name: 'function',
    type: 'regprocedure',
    values: literals('hostile.format_type(oid,integer)', 'pg_catalog.format_type(oid,integer)'),
  },
  { name: 'char7', type: 'char(7)', values: literals('', 'x', 'größe', '  ') },
  { name: 'varchar5', type: 'varchar(5)', values: literals('', 'x  ', '語語語語語') },
  { name: 'bit7', type: 'bit(7)', values: ["B'1010101'", "B'0000000'"] },
  { name: 'varbit9', type: 'varbit(9)', values: ["B''", "B'101'"] },
  { name: 'money2', type: 'numeric(12,2)', values: literals('0', '-0.005', '9999999999.99', 'NaN') },
  { name: 'rounded', type: 'numeric(3,-2)', values: literals('12345', '-99900') },
  { name: 'tiny', type: 'numeric(3,5)', values: literals('0.00123') },
  { name: 'millis', type: 'timestamp(3)', values: literals('2025-01-01 00:00:00.12349', 'infinity') },
  { name: 'seconds', type: 'timestamptz(0)', values: literals('2025-01-01 23:59:59.5') },
  { name: 'hours', type: 'interval hour to minute', values: literals('12:34:56', '-1 day') },
  { name: 'fraction', type: 'interval second(2)', values: literals('1.005 s') },
  { name: 'identity', type: 'int GENERATED ALWAYS AS IDENTITY', values: null },
  { name: 'serial', type: 'bigserial', values: null },
  { name: 'stored', type: 'text GENERATED ALWAYS AS (upper(varchar5) || money2::text) STORED', values: null },
];

/** Columns of the extensions' types, as far as the server has the extensions. */
export const EXTENSIONS: Readonly<Record<string, readonly ValueColumn[]>> = {
  hstore: [
    { name: 'hstore', type: 'ext.hstore', values: literals('', 'a=>1, "b c"=>NULL', '"=>"=>"\\"\\\\", ü=>"NULL"') },
  ],
  citext: [
    { name: 'citext', type: 'ext.citext', values: literals('', 'MiXed GRÖSSE ') },
    { name: 'citexts', type: 'ext.citext[]', values: literals('{a,A,NULL,"N,"}') },
  ],
  ltree: [
    { name: 'ltree', type: 'ext.ltree', values: literals('', 'Top.Child_1.x') },
    { name: 'lquery', type: 'ext.lquery', values: literals('*.a{2,}.!b*@|c%') },
  ],
  cube: [{ name: 'cube', type: 'ext.cube', values: literals('(0.1,2),(3e-10,-4)') }],
  seg: [{ name: 'seg', type: 'ext.seg', values: literals('1.50 .. ~7', '3(+-)1') }],
  isn: [{ name: 'isbn', type: 'ext.isbn13', values: literals('978-0-393-04002-9') }],
  intarray: [{ name: 'query', type: 'ext.query_int', values: literals('1&(2|!3)') }],
};

/** Names that no schema language has, that two of them make one name in Avro, or that mean something to a program. */
export const HOSTILE_NAMES: readonly string[] = [
  ' ',
  'a b',
  'a-b',
  'a_b',
  'a.b',
  'a_b_2',
  'a\nb',
  '1st',
  '_1st',
  'select',
  'SELECT',
  'quote"d',
  "it's",
  '\\',
  '$1',
  '%s',
  '?',
  'größe',
  'Größe',
  'gr__e',
  '語',
  '😀',
  '__proto__',
  '_proto_',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'before',
  'source',
  'Value',
  'pg_current_snapshot',
  'x'.repeat(63),
  'é'.repeat(31),
  'ë'.repeat(31),
];

export function createTable(table: string, key: string, columns: readonly ValueColumn[]): string {
  const defined = columns.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${type}`);
  return `CREATE TABLE ${table} (id int, version int DEFAULT 0, ${defined.join(', ')}, PRIMARY KEY (${key}))`;
}

/** Statements that insert rows from `from` on: one with each column's k-th value, as many as the longest list, and one of nulls. */
export function insertValues(table: string, columns: readonly ValueColumn[], from: number): string[] {
  const given = columns.filter((column) => column.values !== null);
  const names = given.map(({ name }) => pg.escapeIdentifier(name)).join(', ');
  const height = Math.max(...given.map(({ values }) => values!.length));
  const rows = Array.from({ length: height }, (_, row) =>
    given.map(({ type, values }) => `(${values![row % values!.length]})::${type}`),
  );
  rows.push(given.map(({ name }) => (name === 'more' ? '1' : 'NULL')));
  return rows.map((cells, row) => `INSERT INTO ${table} (id, ${names}) VALUES (${from + row}, ${cells.join(', ')})`);
}

/** A statement that gives every row the values of the row after it. */
export function rotateValues(table: string, columns: readonly ValueColumn[], from: number, to: number): string {
  const names = columns.filter((column) => column.values !== null).map(({ name }) => pg.escapeIdentifier(name));
  return `UPDATE ${table} t SET (version, ${names.join(', ')}) = ROW (s.version + 10, ${names.map((name) => `s.${name}`).join(', ')})
    FROM ${table} s WHERE t.id BETWEEN ${from} AND ${to} AND s.id = CASE WHEN t.id = ${to} THEN ${from} ELSE t.id + 1 END`;
}
