// Changes of keys, types, partitions and storage that send no event: the next look at the catalog sees each, also where it ends as it began.
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SourceFingerprint } from '../../../connectors/source-fingerprint.ts';
import { inspectSource } from '../../../connectors/source-health.ts';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { toErrorLine } from '../../../runtime/errors.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';

const capture = { schema: 'public', tables: ['docs', 'keyed', 'parts', 'numbers'], publication: 'p' };
const RESET = `DROP PUBLICATION IF EXISTS p; DROP TABLE IF EXISTS docs, keyed, parts, numbers, rows, elsewhere CASCADE; DROP TYPE IF EXISTS mood, deep, pair, spans CASCADE;
  CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE deep AS ENUM ('up', 'down');
  CREATE TYPE spans AS RANGE (subtype = deep); CREATE TYPE pair AS (a spans, b text); CREATE DOMAIN pairs AS pair[];
  CREATE TABLE rows (a int, b text);
  CREATE TABLE docs (id integer PRIMARY KEY, label text, a text, pairs pairs, row rows);
  CREATE TABLE keyed (mood mood, code char(10), note text, PRIMARY KEY (mood, code));
  CREATE TABLE parts (id integer PRIMARY KEY, label text) PARTITION BY RANGE (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
  CREATE TABLE numbers (id integer PRIMARY KEY, n integer) PARTITION BY RANGE (id);
  CREATE TABLE numbers_1 PARTITION OF numbers FOR VALUES FROM (0) TO (30);
  INSERT INTO docs SELECT i, 'x' FROM generate_series(1, 5) i; INSERT INTO keyed VALUES ('good', 'x'), ('bad', 'y');
  INSERT INTO parts SELECT i, 'x' FROM generate_series(1, 15) i; INSERT INTO numbers SELECT i FROM generate_series(1, 5) i;
  ALTER TABLE numbers ADD filled integer DEFAULT 1`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let before: SourceFingerprint | undefined;
beforeAll(async () => {
  databases = await createDatabases('silent');
  owner = await connect(databases.legacyUrl, 'owner');
});
afterAll(async () => {
  await owner?.end();
  await databases?.drop();
});
beforeEach(async () => {
  await owner.query(RESET);
  for (const statement of await planSourceSetup(owner, capture)) await owner.query(statement);
  before = await inspectSource(owner, capture, undefined);
});

/** What the next look says; null where it lets the change pass. */
const look = () =>
  inspectSource(owner, capture, before).then(
    () => null,
    (error) => `${error.code}: ${toErrorLine(error)}`,
  );

const VANISHED = '.*rows that are gone without an event';
const REMAKE = 'ALTER TABLE docs DROP CONSTRAINT docs_pkey, ADD PRIMARY KEY (id)';
describe('stops, and names what happened', () => {
  test.each<[string, string, string]>([
    [
      'a name that moves to another column',
      'ALTER TABLE docs DROP label, ADD label text',
      'docs: names of its columns stand for other columns than before \\(label\\).*resnapshot docs`',
    ],
    [
      'a name of the key that moves to another column',
      'ALTER TABLE docs RENAME id TO old; ALTER TABLE docs RENAME label TO id; ALTER TABLE docs RENAME old TO label',
      `docs: names of its columns stand for other columns than before \\(label, id\\).*resnapshot docs\`${VANISHED}`,
    ],
    [
      'an attribute more of a composite type, in an array of a domain',
      'ALTER TYPE pair ADD ATTRIBUTE n text',
      'docs: the attributes of one of its composite types changed.*resnapshot docs`',
    ],
    [
      'an attribute dropped, and another one of its name and type added',
      'ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b text',
      'docs: the attributes of one of its composite types changed',
    ],
    [
      'a column more of a table whose rows are values',
      'ALTER TABLE rows ADD more text',
      'docs: the attributes of one of its composite types changed',
    ],
    [
      'a label of an enum renamed, in a range in a composite type',
      `ALTER TYPE deep RENAME VALUE 'down' TO 'under'`,
      'docs: a label of one of its enum types was renamed',
    ],
    [
      'a label of a key renamed: the old keys stay in the log',
      `ALTER TYPE mood RENAME VALUE 'good' TO 'fine'`,
      `keyed: a label of one of its enum types was renamed.*resnapshot keyed\`${VANISHED}`,
    ],
    [
      'another type of a key',
      'ALTER TABLE keyed ALTER code TYPE varchar(20)',
      `keyed: columns have another type \\(code\\)${VANISHED}`,
    ],
    [
      'a key rewritten',
      `ALTER TABLE docs ALTER id TYPE integer USING id + 1`,
      `docs: .*the table was rewritten and columns changed \\(id\\)${VANISHED}`,
    ],
    [
      'a primary key that was DEFERRABLE for a while',
      `${REMAKE} DEFERRABLE; UPDATE docs SET id = 3 - id WHERE id IN (1, 2); ${REMAKE}`,
      `docs: its primary key was made again${VANISHED}`,
    ],
    ['a DEFERRABLE primary key', `${REMAKE} DEFERRABLE`, '^table_unfit: The primary key of docs is DEFERRABLE'],
    [
      'a partition detached, changed and attached',
      `BEGIN; ALTER TABLE parts DETACH PARTITION parts_2; UPDATE parts_2 SET label = 'other'; ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20); COMMIT`,
      `parts: a partition was detached and attached again${VANISHED}`,
    ],
    [
      'a partition made, filled and truncated',
      `CREATE TABLE parts_9 PARTITION OF parts FOR VALUES FROM (90) TO (100); INSERT INTO parts VALUES (91, 'x'); TRUNCATE parts_9`,
      `parts: a partition was made, and truncated or rewritten${VANISHED}`,
    ],
    [
      'a filled table without TOAST, attached in the transaction that made it',
      'BEGIN; CREATE TABLE elsewhere (id integer NOT NULL, n integer, filled integer); INSERT INTO elsewhere VALUES (31, 1); ALTER TABLE numbers ATTACH PARTITION elsewhere FOR VALUES FROM (30) TO (40); COMMIT',
      'numbers: a partition was attached',
    ],
    [
      'a column dropped and one with a default added, on a partitioned table',
      'ALTER TABLE numbers DROP filled, ADD other integer DEFAULT 2',
      'numbers: rows of partitions were given a value in new columns',
    ],
    ['an unlogged partition', 'ALTER TABLE parts_1 SET UNLOGGED', '^table_unfit: Unlogged, .*parts_1'],
    [
      'unlogged for a while, where the publication names no table',
      `ALTER TABLE docs SET UNLOGGED; INSERT INTO docs VALUES (6); ALTER TABLE docs SET LOGGED`,
      `docs: it was rewritten, as SET UNLOGGED and SET LOGGED do${VANISHED}`,
    ],
  ])('%s', async (name, statements, expected) => {
    if (name.startsWith('unlogged for')) {
      await owner.query(
        'DROP PUBLICATION p; CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)',
      );
      before = await inspectSource(owner, capture, undefined);
    }
    for (const statement of statements.split('; ')) await owner.query(statement);
    const said = await look();
    expect(said).toMatch(/^(source_changed|table_unfit): /);
    expect(said).toMatch(new RegExp(expected));
  });
});

test('storage whose changes the log need not tell is refused, by what handles it and not by its name', async () => {
  const { rows } = await owner.query(`SELECT FROM pg_am WHERE amname = 'second_heap'`);
  if (rows.length === 0) await owner.query('CREATE ACCESS METHOD second_heap TYPE TABLE HANDLER heap_tableam_handler');
  await owner.query(
    'CREATE TABLE elsewhere (id integer PRIMARY KEY) USING second_heap; ALTER TABLE elsewhere REPLICA IDENTITY FULL; ALTER PUBLICATION p ADD TABLE elsewhere',
  );
  expect(await inspectSource(owner, { ...capture, tables: ['elsewhere'] }, undefined)).toHaveProperty(
    'tables.elsewhere',
  );
  await owner.query(`UPDATE pg_am SET amhandler = 'brinhandler'::regproc WHERE amname = 'second_heap'`);
  await expect(inspectSource(owner, { ...capture, tables: ['elsewhere'] }, undefined)).rejects.toThrow(
    'Stored by an access method other than heap',
  );
  await owner.query(`UPDATE pg_am SET amhandler = 'heap_tableam_handler'::regproc WHERE amname = 'second_heap'`);
});

describe('lets pass', () => {
  test.each([
    [
      'a label more, a composite type renamed, an enum type moved',
      `ALTER TYPE deep ADD VALUE 'left'; ALTER TYPE pair RENAME TO couple; ALTER TYPE couple RENAME TO pair; CREATE SCHEMA s; ALTER TYPE mood SET SCHEMA s; ALTER TYPE s.mood SET SCHEMA public; DROP SCHEMA s`,
    ],
    ['an index of the key made again without a new key', 'REINDEX INDEX CONCURRENTLY docs_pkey'],
    [
      'partitions that begin empty',
      'CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30); CREATE TABLE numbers_2 PARTITION OF numbers FOR VALUES FROM (30) TO (40); CREATE TABLE numbers_3 PARTITION OF numbers (n DEFAULT 5) FOR VALUES FROM (40) TO (50) PARTITION BY RANGE (id); CREATE TABLE numbers_4 PARTITION OF numbers_3 FOR VALUES FROM (40) TO (45)',
    ],
    ['VACUUM FULL where the publication names the table', 'VACUUM FULL docs'],
    [
      'a table that is described, analyzed and frozen',
      'COMMENT ON TABLE docs IS $$x$$; ANALYZE docs; VACUUM FREEZE docs; VACUUM FREEZE pg_inherits',
    ],
  ])('%s', async (_, statements) => {
    for (const statement of statements.split('; ')) await owner.query(statement);
    expect(await look()).toBe(null);
  });
});
