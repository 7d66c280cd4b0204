// Every change of the source that sends no event is seen by the next look at the catalog, and what changes no data is let pass.
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decodePosition, encodePosition, type Position } from '../../../connectors/position.ts';
import type { SourceFingerprint } from '../../../connectors/source-fingerprint.ts';
import { inspectSource } from '../../../connectors/source-health.ts';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { toErrorLine } from '../../../runtime/errors.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';

const capture = { schema: 'public', tables: ['docs', 'parts'], publication: 'p' };
const RESET = `DROP PUBLICATION IF EXISTS p; DROP TABLE IF EXISTS docs, parts, parts_1, parts_2, outside, elsewhere CASCADE; DROP TYPE IF EXISTS mood;
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE docs (id integer PRIMARY KEY, label text, n integer, mood mood, short varchar(10));
  CREATE TABLE parts (id integer PRIMARY KEY, label text) PARTITION BY RANGE (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
  CREATE TABLE outside (id integer PRIMARY KEY, label text);
  INSERT INTO docs SELECT i, 'x', i, 'good', 'x' FROM generate_series(1, 5) i;
  INSERT INTO parts SELECT i, 'x' FROM generate_series(1, 15) i;
  INSERT INTO outside VALUES (25, 'x')`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let reader: pg.Client;
let before: SourceFingerprint | undefined;
beforeAll(async () => {
  databases = await createDatabases('fingerprint');
  owner = await connect(databases.legacyUrl, 'owner');
  reader = await connect(databases.legacyUrl, 'reader', '-c row_security=off');
});
afterAll(async () => {
  await reader?.end();
  await owner?.end();
  await databases?.drop();
});
beforeEach(async () => {
  await owner.query(RESET);
  for (const statement of await planSourceSetup(owner, capture)) await owner.query(statement);
  const found = await inspectSource(reader, capture, undefined);
  // As the next session reads it.
  const position: Position = {
    bound: { systemId: '1', timeline: 1, database: 'd', slot: 's', clusterId: 'c' },
    lsn: 1n,
    sourceMicros: 1n,
    unseenXids: [],
    snapshot: {},
    offsets: {},
    ...(found ? { source: found } : {}),
  };
  before = decodePosition(encodePosition(position)).source;
  expect(before?.tables).toHaveProperty('docs');
});

/** What the next look says; null where it lets the change pass. */
const look = () =>
  inspectSource(reader, capture, before).then(
    () => null,
    (error) => `${error.code}: ${toErrorLine(error)}`,
  );

describe('stops, and names what happened and the way on', () => {
  const cases: [string, string, RegExp][] = [
    [
      'ADD COLUMN DEFAULT',
      `ALTER TABLE docs ADD extra text DEFAULT 'y'`,
      /docs: rows were given a value in new columns \(extra\).*resnapshot docs`/,
    ],
    [
      'ADD COLUMN with a default that differs by row',
      'ALTER TABLE docs ADD extra float DEFAULT random()',
      /docs: the table was rewritten and columns changed \(extra\).*resnapshot docs`/,
    ],
    [
      'ADD COLUMN DEFAULT, then VACUUM FULL',
      `ALTER TABLE docs ADD extra text DEFAULT 'y'; VACUUM FULL docs`,
      /docs: the table was rewritten and columns changed \(extra\)/,
    ],
    [
      'ALTER TYPE USING',
      'ALTER TABLE docs ALTER n TYPE bigint USING n * 2',
      /docs: columns have another type \(n\).*resnapshot docs`/,
    ],
    [
      'ALTER TYPE USING, of the same type',
      'ALTER TABLE docs ALTER n TYPE integer USING n * 2',
      /docs: the table was rewritten and columns changed \(n\).*resnapshot docs`/,
    ],
    [
      'a type whose text differs without a rewrite',
      `ALTER TABLE docs ALTER n TYPE oid USING n::oid`,
      /docs: columns have another type \(n\)/,
    ],
    [
      'a label of an enum renamed',
      `ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'`,
      /docs: a label of one of its enum types was renamed.*resnapshot docs`/,
    ],
    [
      'DROP and CREATE PUBLICATION',
      'DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE docs, parts WITH (publish_via_partition_root = true)',
      /docs, public\.parts: the publication was dropped and created again.*resnapshot docs parts`.*rows that are gone/,
    ],
    ['DROP PUBLICATION', 'DROP PUBLICATION p', /publication_missing: .*no publication p.*CREATE PUBLICATION/],
    [
      'publish without update and delete',
      `ALTER PUBLICATION p SET (publish = 'insert')`,
      /leaves out every update, delete, truncate.*SET \(publish = /,
    ],
    [
      'publish without, and with them again',
      `ALTER PUBLICATION p SET (publish = 'insert'); ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate')`,
      /the publication was altered/,
    ],
    [
      'partitions published as themselves',
      'ALTER PUBLICATION p SET (publish_via_partition_root = false)',
      /does not publish partitions as their table: parts.*publish_via_partition_root = true/,
    ],
    [
      'a row filter',
      'ALTER PUBLICATION p SET TABLE docs WHERE (id > 3), parts',
      /leaves out rows or columns of docs.*DROP TABLE.*ADD TABLE/,
    ],
    [
      'a row filter, and none again',
      'ALTER PUBLICATION p SET TABLE docs WHERE (id > 3), parts; ALTER PUBLICATION p SET TABLE docs, parts',
      /docs: it was taken out of the publication and put back.*resnapshot docs`/,
    ],
    ['a column list', 'ALTER PUBLICATION p SET TABLE docs (id, label), parts', /leaves out rows or columns of docs/],
    [
      'a table taken out of the publication',
      'ALTER PUBLICATION p DROP TABLE docs',
      /Not in publication p: docs.*ADD TABLE/,
    ],
    [
      'a table taken out and put back',
      'ALTER PUBLICATION p DROP TABLE docs; ALTER PUBLICATION p ADD TABLE docs',
      /docs: it was taken out of the publication and put back/,
    ],
    [
      'another table under its name',
      'ALTER TABLE docs RENAME TO elsewhere; ALTER TABLE outside RENAME TO docs; ALTER TABLE docs REPLICA IDENTITY FULL; ALTER PUBLICATION p ADD TABLE docs',
      /docs: the table was replaced by another one/,
    ],
    [
      'another primary key',
      'ALTER TABLE docs DROP CONSTRAINT docs_pkey, ALTER n SET NOT NULL, ADD PRIMARY KEY (n)',
      /docs: its primary key has other columns.*start the log anew/,
    ],
    ['another replica identity', 'ALTER TABLE docs REPLICA IDENTITY DEFAULT', /Not REPLICA IDENTITY FULL: docs/],
    [
      'ATTACH PARTITION',
      'ALTER TABLE parts ATTACH PARTITION outside FOR VALUES FROM (20) TO (30)',
      /parts: a partition was attached.*resnapshot parts`/,
    ],
    [
      'ATTACH PARTITION in the transaction that made it',
      `BEGIN; CREATE TABLE parts_4 (id integer NOT NULL, label text); INSERT INTO parts_4 VALUES (31, 'x'); ALTER TABLE parts ATTACH PARTITION parts_4 FOR VALUES FROM (30) TO (40); COMMIT`,
      /parts: a partition was attached/,
    ],
    [
      'DETACH PARTITION',
      'ALTER TABLE parts DETACH PARTITION parts_2',
      /parts: a partition was detached or dropped.*rows that are gone/,
    ],
    [
      'TRUNCATE of a partition',
      'TRUNCATE parts_2',
      /parts: a partition was truncated or rewritten.*rows that are gone/,
    ],
    [
      'ADD COLUMN DEFAULT to partitions',
      `ALTER TABLE parts ADD extra text DEFAULT 'y'`,
      /parts: rows of partitions were given a value in new columns/,
    ],
  ];
  test.each(cases)('%s', async (_, statements, expected) => {
    await runEach(statements);
    const said = await look();
    expect(said).toMatch(/^(source_changed|publication_missing|replica_identity): [^\n]*$/);
    expect(said).toMatch(expected);
  });
});

test('row-level security that applies to the role is refused, and one that does not is let pass', async () => {
  const role = `${new URL(databases.legacyUrl).pathname.slice(1)}_role`;
  await owner.query(
    `CREATE ROLE ${role}; GRANT SELECT ON docs, parts TO ${role}; ALTER TABLE docs ENABLE ROW LEVEL SECURITY`,
  );
  expect(await look()).toBe(null);
  await reader.query(`SET ROLE ${role}`);
  expect(await look()).toMatch(/^permission_denied: Row-level security hides rows of docs from role .*BYPASSRLS/);
  await reader.query('RESET ROLE');
  await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});

describe('lets pass', () => {
  test.each([
    ['ADD COLUMN', 'ALTER TABLE docs ADD extra text'],
    ['ADD COLUMN DEFAULT NULL', 'ALTER TABLE docs ADD extra text DEFAULT NULL'],
    ['a default for rows to come', `ALTER TABLE docs ADD extra text; ALTER TABLE docs ALTER extra SET DEFAULT 'y'`],
    ['RENAME COLUMN', 'ALTER TABLE docs RENAME label TO name'],
    ['DROP COLUMN', 'ALTER TABLE docs DROP label'],
    ['a longer varchar', 'ALTER TABLE docs ALTER short TYPE varchar(20)'],
    ['varchar as text', 'ALTER TABLE docs ALTER short TYPE text'],
    ['VACUUM FULL', 'VACUUM FULL docs'],
    ['CLUSTER', 'CLUSTER docs USING docs_pkey'],
    ['TRUNCATE, which has its event', 'TRUNCATE docs'],
    [
      'indexes, constraints, grants, statistics',
      'CREATE INDEX ON docs (label); ALTER TABLE docs ADD CHECK (id > 0); GRANT SELECT (label) ON docs TO PUBLIC; ANALYZE docs; REINDEX TABLE docs',
    ],
    ['a freeze of the catalog', 'VACUUM FREEZE pg_attribute; VACUUM FREEZE pg_publication; VACUUM FREEZE pg_class'],
    ['a new label of an enum', `ALTER TYPE mood ADD VALUE 'better'`],
    ['a table more in the publication', 'ALTER PUBLICATION p ADD TABLE outside'],
    ['a partition created empty', 'CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30)'],
    ['an inheriting table', 'CREATE TABLE elsewhere () INHERITS (docs)'],
  ])('%s', async (_, statements) => {
    await runEach(statements);
    expect(await look()).toBe(null);
  });
});

test('a look does not wait for a table that is locked', async () => {
  await owner.query('BEGIN; LOCK TABLE docs, parts, parts_1 IN ACCESS EXCLUSIVE MODE');
  try {
    await reader.query(`SET statement_timeout = '10s'`);
    expect(await look()).toBe(null);
  } finally {
    await owner.query('ROLLBACK');
  }
});

/** VACUUM and ALTER TYPE … ADD VALUE stand alone. */
async function runEach(statements: string): Promise<void> {
  for (const statement of statements.split('; ')) await owner.query(statement);
}
