// Backups: exact for every type and every kind of definition, whole or not there at all, and noticed where they are damaged.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLegacySchema, loadSample } from '../../../pipelines/crm/sample/load.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type BackupOptions, createBackup } from '../../../schemas/backup/create.ts';
import { probeFolder } from '../../../schemas/backup/folder.ts';
import type { Manifest } from '../../../schemas/backup/manifest.ts';
import { verifyBackup } from '../../../schemas/backup/verify.ts';
import { describeCatalog } from '../../support/describe-catalog.ts';
import { createDatabases } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { VALUES } from '../avro-values.ts';
import { makeHostile } from '../values/hostile-settings.ts';
import {
  createTable,
  EXTENSIONS,
  HOSTILE_NAMES,
  insertValues,
  literal,
  literals,
  OWN_COLUMNS,
  OWN_TYPES,
  type ValueColumn,
} from '../values/value-tables.ts';

const HOSTILE_SCHEMA = readFileSync(join(import.meta.dirname, 'hostile-schema.sql'), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'crosswalk-backup-'));
const signal = new AbortController().signal;
const options: Omit<BackupOptions, 'url' | 'schemas'> = { env: process.env, signal, onProgress: () => undefined };
const databases: Awaited<ReturnType<typeof createDatabases>>[] = [];
let folders = 0;
const newFolder = () => join(dir, `backup-${++folders}`);

/** Two empty databases: one to fill, one to restore into. */
async function createPair(): Promise<{ from: string; into: string }> {
  const pair = await createDatabases('backup');
  databases.push(pair);
  return { from: pair.legacyUrl, into: pair.targetUrl };
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(url, 'test');
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Rows as text in an order of their own, asked of another session with pinned settings than the backup's. */
async function readRows(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ONLY ${table} AS t ORDER BY 1`);
  return rows.map(({ row }) => row);
}

afterAll(async () => {
  rmSync(dir, { recursive: true, force: true });
  for (const pair of databases) await pair.drop();
});

describe('every value', () => {
  const builtIn = (type: string) => `pg_catalog.${pg.escapeIdentifier(type)}`;
  const scalars: ValueColumn[] = Object.entries(VALUES).map(([type, values]) => ({
    name: `c_${type}`,
    type: builtIn(type),
    values: literals(...values),
  }));
  const arrays: ValueColumn[] = Object.entries(VALUES).map(([type, values]) => {
    const array = `${builtIn(type)}[]`;
    const all = `ARRAY[${[...values.map(literal), 'NULL'].join(', ')}]::${array}`;
    const shifted = `('[-2:${values.length - 2}]=' || (${all})::text)::${array}`;
    return { name: `a_${type}`, type: array, values: [literal('{}'), all, shifted, `ARRAY[${all}, ${all}]::${array}`] };
  });
  const tricky: ValueColumn[] = [
    { name: 'number', type: 'numeric', values: literals('NaN', 'Infinity', '-0.00', `1${'0'.repeat(200)}.5`) },
    { name: 'real', type: 'float8', values: literals('NaN', '-Infinity', '-0', '5e-324', '0.1', '1e23') },
    { name: 'day', type: 'date', values: literals('0044-03-15 BC', 'infinity', '-infinity', '5874897-12-31') },
    {
      name: 'at',
      type: 'timestamptz',
      values: literals('4714-11-24 00:00:00+00 BC', 'infinity', '2025-03-30 02:30:00.123456+02'),
    },
    { name: 'bytes', type: 'bytea', values: literals('', '\\x00ff5c27', '\\x5c2e') },
    { name: 'words', type: 'text', values: literals('', '\\.', '\\N', 'a\tb\nc\rd\be', `'"\\''`, '語😀', ' ') },
    {
      name: 'many',
      type: 'text[]',
      values: literals('{}', '{NULL,"NULL","","a,b","{","\\\\","\\""}', '[0:1][2:3]={{a,b},{c,NULL}}'),
    },
    { name: 'document', type: 'jsonb', values: literals('null', '{"a": "\\u0001 \\\\ \\""}', '1e1000') },
  ];
  const names: ValueColumn[] = HOSTILE_NAMES.map((name) => ({ name, type: 'text', values: literals(name, '') }));
  const tables = { scalars, arrays, tricky, names };

  /** What the types send in PostgreSQL's binary form, by row and column: no text, and nothing that the backup uses. */
  async function readBinary(client: pg.Client, table: string): Promise<Record<string, string>[]> {
    const { rows: columns } = await client.query<{ name: string; send: string }>(
      `SELECT a.attname AS name, CASE WHEN coalesce(p.proname, 'textsend') = 'textsend' OR e.typsend = 0 THEN 'textsend(text' ELSE p.oid::regproc || '(' END AS send FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem LEFT JOIN pg_proc p ON p.oid = t.typsend
       WHERE a.attrelid = $1::regclass AND a.attnum > 0 ORDER BY a.attnum`,
      [table],
    );
    const sent = columns.map(({ name, send }) => {
      const [call, cast] = send.split('(');
      const column = pg.escapeIdentifier(name);
      return `md5(${call}(${column}${cast === '' ? '' : `::${cast}`})) AS ${column}`;
    });
    const { rows } = await client.query<Record<string, string>>(`SELECT ${sent.join(', ')} FROM ${table} ORDER BY id`);
    return rows;
  }

  test('comes back as its type sends it, written by a hostile database and read in a friendly one', async () => {
    const urls = await createPair();
    await withClient(urls.from, async (client) => {
      await client.query('CREATE SCHEMA "order"');
      for (const [name, columns] of Object.entries(tables)) {
        await client.query(createTable(`"order".${name}`, 'id', columns));
        for (const statement of insertValues(`"order".${name}`, columns, 1)) await client.query(statement);
      }
      await makeHostile(client);
    });
    const folder = newFolder();
    await createBackup(folder, { url: urls.from, schemas: ['order'], ...options });
    const verified = await verifyBackup(folder, { url: urls.into, ...options });
    expect(verified).toMatchObject({ ok: true, notCompared: null, differences: [] });
    const friendly = '-c default_transaction_read_only=off -c search_path=pg_catalog -c standard_conforming_strings=on';
    const [before, after] = [await connect(urls.from, 'test', friendly), await connect(urls.into, 'test', friendly)];
    try {
      for (const [name, columns] of Object.entries(tables)) {
        const expected = await readBinary(before, `"order".${name}`);
        expect(expected.length).toBeGreaterThan(2);
        expect(Object.keys(expected[0]!)).toHaveLength(columns.length + 2);
        expect(await readBinary(after, `"order".${name}`)).toEqual(expected);
      }
    } finally {
      await before.end();
      await after.end();
    }
  });

  test('of types that the schema or an extension makes', async () => {
    const urls = await createPair();
    const before = await withClient(urls.from, async (client) => {
      await client.query(
        `CREATE SCHEMA hostile; CREATE FUNCTION hostile.format_type(oid, int4) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$`,
      );
      await client.query(OWN_TYPES);
      const columns = [...OWN_COLUMNS];
      for (const [extension, own] of Object.entries(EXTENSIONS)) {
        const isThere = await client.query(`CREATE EXTENSION ${extension} SCHEMA ext`).then(
          () => true,
          () => false,
        );
        if (isThere) columns.push(...own);
      }
      await client.query(createTable('ext.own', 'id', columns));
      for (const statement of insertValues('ext.own', columns, 1)) await client.query(statement);
      return await readRows(client, 'ext.own');
    });
    expect(before.length).toBeGreaterThan(3);
    const folder = newFolder();
    await createBackup(folder, { url: urls.from, schemas: ['ext', 'hostile'], ...options });
    expect(await verifyBackup(folder, { url: urls.into, ...options })).toMatchObject({ ok: true, differences: [] });
    expect(await withClient(urls.into, (client) => readRows(client, 'ext.own'))).toEqual(before);
  });
});

describe('every definition', () => {
  const SCHEMAS = ['odd "schema', 'public'];
  let urls: { from: string; into: string };
  let folder: string;

  beforeAll(async () => {
    urls = await createPair();
    await withClient(urls.from, (client) => client.query(HOSTILE_SCHEMA));
    folder = newFolder();
    await createBackup(folder, { url: urls.from, schemas: SCHEMAS, ...options });
  });

  test('comes back as it was, with its rows', async () => {
    const verified = await verifyBackup(folder, { url: urls.into, ...options });
    expect(verified).toMatchObject({ ok: true, differences: [], skipped: [] });
    await expectSame(urls);
    // An oracle that would not see a difference would prove nothing.
    await withClient(urls.into, (client) =>
      client.query(`ALTER TABLE "odd ""schema".parent ALTER COLUMN note DROP DEFAULT`),
    );
    const before = await withClient(urls.from, (client) => describeCatalog(client, SCHEMAS));
    expect(await withClient(urls.into, (client) => describeCatalog(client, SCHEMAS))).not.toEqual(before);
  });

  test('and the same by psql alone', async () => {
    // Where there is no psql there is nothing to prove.
    if (spawnSync('psql', ['--version']).status !== 0) return;
    const { into } = await createPair();
    const restored = spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', 'restore.sql', into], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(`${restored.status} ${restored.stderr}`).toBe('0 ');
    await expectSame({ from: urls.from, into });
  });

  async function expectSame({ from, into }: { from: string; into: string }): Promise<void> {
    const before = await withClient(from, (client) => describeCatalog(client, SCHEMAS));
    expect(before.length).toBeGreaterThan(200);
    expect(before.filter((line) => line.startsWith('NULL'))).toEqual([]);
    expect(await withClient(into, (client) => describeCatalog(client, SCHEMAS))).toEqual(before);
    for (const table of ['parent', 'serials', 'parts_old', 'parts_new_1', 'parts_new_rest', 'nothing_at_all']) {
      const name = `"odd ""schema".${table}`;
      const rows = await withClient(from, (client) => readRows(client, name));
      expect(rows.length).toBeGreaterThan(0);
      expect(await withClient(into, (client) => readRows(client, name))).toEqual(rows);
    }
    // Sequences go on where they were.
    const next = `SELECT nextval('"odd ""schema".counter'), nextval('"odd ""schema".serials_id_seq'), nextval(pg_get_serial_sequence('"odd ""schema".parent', 'id'))`;
    const taken = await withClient(into, (client) => client.query(next));
    expect(taken.rows).toEqual([{ nextval: '115' }]);
  }

  test('that cannot be written is refused, and named', async () => {
    const { from } = await createPair();
    await withClient(from, (client) =>
      client.query(`CREATE SCHEMA odd; CREATE TABLE odd.parent (id int); CREATE TABLE odd.child () INHERITS (odd.parent);
        CREATE AGGREGATE odd.total (int) (sfunc = int4pl, stype = int); CREATE TABLE odd.fine (id int)`),
    );
    await expect(createBackup(newFolder(), { url: from, schemas: ['odd'], ...options })).rejects.toMatchObject({
      code: 'backup_invalid',
      message: 'Cannot be written without pg_dump: aggregate odd.total(integer), table odd.child',
    });
    await withClient(from, (client) =>
      client.query(
        `CREATE SCHEMA other; CREATE TABLE other.a (id int PRIMARY KEY); CREATE SCHEMA needing; CREATE TABLE needing.b (id int REFERENCES other.a)`,
      ),
    );
    await expect(createBackup(newFolder(), { url: from, schemas: ['needing'], ...options })).rejects.toMatchObject({
      message: expect.stringContaining('index other.a_pkey'),
    });
  });
});

describe('a folder', () => {
  let urls: { from: string; into: string };
  let folder: string;
  let scratch: string;

  beforeAll(async () => {
    urls = await createPair();
    const legacy = new pg.Client({ connectionString: urls.from });
    await legacy.connect();
    await createLegacySchema(legacy);
    await loadSample(legacy, { seed: 1, contacts: 200, quotes: 200 });
    await legacy.end();
    folder = newFolder();
    await createBackup(folder, { url: urls.from, schemas: ['public'], extra: { 'more.sql': '-- more' }, ...options });
    scratch = (await createPair()).into;
  });

  test('is for its owner only, has a list of sums that sha256sum reads, and tells of the server', () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true });
    expect(files.filter((entry) => entry.isFile()).length).toBeGreaterThan(15);
    for (const entry of files) {
      const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777;
      expect(`${entry.name} ${mode.toString(8)}`).toBe(`${entry.name} ${entry.isFile() ? '600' : '700'}`);
    }
    for (const line of readFileSync(join(folder, 'SHA256SUMS'), 'utf8').trim().split('\n')) {
      const [sum, name] = line.split('  ');
      expect(
        createHash('sha256')
          .update(readFileSync(join(folder, name!)))
          .digest('hex'),
      ).toBe(sum);
    }
    const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Record<string, unknown>;
    expect(manifest).toMatchObject({
      schemas: ['public'],
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      server: { version: expect.stringMatching(/^\d+/), encoding: 'UTF8' },
      tables: expect.arrayContaining([
        expect.objectContaining({
          name: 'contacts',
          all: { rows: 200, checksum: expect.stringMatching(/^-?\d+\/-?\d+$/) },
        }),
      ]),
    });
  });

  test('that holds something is refused, and left as it is', async () => {
    const filled = newFolder();
    mkdirSync(filled);
    writeFileSync(join(filled, 'mine'), 'mine');
    await expect(createBackup(filled, { url: urls.from, schemas: ['public'], ...options })).rejects.toMatchObject({
      code: 'backup_invalid',
      message: expect.stringContaining('is not empty'),
    });
    expect(readdirSync(filled)).toEqual(['mine']);
    const empty = newFolder();
    mkdirSync(empty);
    await createBackup(empty, { url: urls.from, schemas: ['public'], ...options });
    expect(readdirSync(empty)).toContain('manifest.json');
  });

  test('of backups is tried before one is begun, and nothing is left of that', async () => {
    const parent = join(newFolder(), 'a/b');
    await probeFolder(parent);
    expect(existsSync(dirname(dirname(parent)))).toBe(false);
    mkdirSync(parent, { recursive: true });
    await probeFolder(parent);
    expect(readdirSync(parent)).toEqual([]);
    writeFileSync(join(parent, 'file'), '');
    for (const dir of [join(parent, 'file'), join(parent, 'file/c')])
      await expect(probeFolder(dir)).rejects.toMatchObject({ code: 'backup_invalid' });
    await expect(probeFolder(folder)).rejects.toMatchObject({ message: `${folder} is a backup itself` });
  });

  test('is not there at all when the backup is given up half way', async () => {
    const stopping = new AbortController();
    const left = newFolder();
    await expect(
      createBackup(left, {
        ...{ url: urls.from, schemas: ['public'], env: process.env, signal: stopping.signal },
        onProgress: (step) => {
          if (step === 'copying') stopping.abort(new Error('given up'));
        },
      }),
    ).rejects.toThrow();
    expect(readdirSync(dir).filter((name) => name.includes(`backup-${folders}`))).toEqual([]);
  });

  /** A copy of the backup with something done to it. */
  function tampered(change: (copy: string) => void): string {
    const copy = newFolder();
    mkdirSync(join(copy, 'data'), { recursive: true });
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) {
        const name = join(entry.parentPath, entry.name).slice(folder.length + 1);
        writeFileSync(join(copy, name), readFileSync(join(folder, name)));
      }
    change(copy);
    return copy;
  }
  /** Writes other bytes, and their sum. */
  function rewrite(copy: string, file: string, bytes: string | Buffer): void {
    writeFileSync(join(copy, file), bytes);
    const sums = readFileSync(join(copy, 'SHA256SUMS'), 'utf8');
    const sum = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(copy, 'SHA256SUMS'), sums.replace(new RegExp(`^[0-9a-f]{64}(?=  ${file}$)`, 'm'), sum));
  }
  const flip = (file: string, at: number) => {
    const bytes = readFileSync(file);
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    writeFileSync(file, bytes);
  };

  test.each<[string, (copy: string) => void, string]>([
    ['a bit of a row', (copy) => flip(join(copy, 'data/0005.copy.gz'), -9), 'file data/0005.copy.gz is damaged'],
    [
      'a file that was cut',
      (copy) => truncateSync(join(copy, 'data/0003.copy.gz'), 20),
      'file data/0003.copy.gz is damaged',
    ],
    ['a file that is gone', (copy) => rmSync(join(copy, 'data/0003.copy.gz')), 'file data/0003.copy.gz is missing'],
    ['a bit of a definition', (copy) => flip(join(copy, 'definitions.json'), 500), 'file definitions.json is damaged'],
    ['another manifest', (copy) => flip(join(copy, 'manifest.json'), 300), 'file manifest.json is damaged'],
    [
      'a file more',
      (copy) => writeFileSync(join(copy, 'data/0099.copy.gz'), ''),
      'file data/0099.copy.gz is not of this backup',
    ],
    ['a bit of the sums', (copy) => flip(join(copy, 'SHA256SUMS'), 10), 'is damaged'],
    ['sums that were cut', (copy) => truncateSync(join(copy, 'SHA256SUMS'), 400), 'is damaged'],
    ['no sums', (copy) => rmSync(join(copy, 'SHA256SUMS')), 'is no backup'],
  ])('with %s is noticed before anything is restored', async (_, change, message) => {
    await expect(verifyBackup(tampered(change), { url: scratch, ...options })).rejects.toMatchObject({
      code: 'backup_invalid',
      message: expect.stringContaining(message),
    });
    const tables = await withClient(scratch, (client) =>
      client.query(`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`),
    );
    expect(tables.rowCount).toBe(0);
  });

  test('whose rows are others than the manifest says, although all sums fit, is noticed by the comparison', async () => {
    const { into } = await createPair();
    const copy = tampered((copy) => {
      const { tables } = JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8')) as {
        tables: { name: string; file: string }[];
      };
      const { file } = tables.find(({ name }) => name === 'quotes')!;
      const text = gunzipSync(readFileSync(join(copy, file))).toString();
      // Two letters of one value change places: the same length, the same rows by count.
      const changed = text.replace(/([A-Z])([a-z])/, '$2$1');
      expect(changed).not.toBe(text);
      const bytes = gzipSync(changed);
      rewrite(copy, file, bytes);
    });
    const verified = await verifyBackup(copy, { url: into, ...options });
    expect(verified.ok).toBe(false);
    expect(verified.differences).toEqual(['public.quotes: 200 rows, but not the same']);
    expect(verified.tables.filter(({ isEqual }) => !isEqual).map(({ table }) => table)).toEqual(['public.quotes']);
  });

  test('whose definitions cannot be compared is not said to have equal ones', async () => {
    const manifestOf = (copy: string) => JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8')) as Manifest;
    const { server, definedBy } = manifestOf(folder);
    const changed = (change: (manifest: Manifest) => object) =>
      tampered((copy) => rewrite(copy, 'manifest.json', JSON.stringify(change(manifestOf(copy)))));
    const verify = async (copy: string, more: Partial<BackupOptions> = {}) =>
      await verifyBackup(copy, { url: (await createPair()).into, ...options, ...more });

    const byAnother = changed((manifest) => ({ ...manifest, definedBy: `pg_dump ${server.major}.999` }));
    expect(await verify(byAnother)).toMatchObject({
      ok: true,
      notCompared: expect.stringContaining(`pg_dump ${server.major}.999 wrote those of the backup`),
    });
    const older = changed((manifest) => ({ ...manifest, server: { ...server, major: server.major - 1 } }));
    expect(await verify(older)).toMatchObject({
      ok: true,
      notCompared: expect.stringContaining(`this one has ${server.major}`),
    });
    // A pg_dump that was not there when the catalog was read changes nothing.
    if (definedBy !== 'catalog') return;
    const bin = newFolder();
    mkdirSync(bin);
    writeFileSync(join(bin, 'pg_dump'), `#!/bin/sh\necho 'pg_dump (PostgreSQL) ${server.major}.1'\n`, { mode: 0o755 });
    expect(await verify(folder, { env: { PATH: bin } })).toMatchObject({ ok: true, notCompared: null });
  });

  test('is restored into an empty database only, and never into its own', async () => {
    await expect(verifyBackup(folder, { url: urls.from, ...options })).rejects.toMatchObject({
      message: expect.stringContaining('is the one that this backup was taken of'),
    });
    const { into } = await createPair();
    await withClient(into, (client) => client.query('CREATE TABLE mine (id int)'));
    await expect(verifyBackup(folder, { url: into, ...options })).rejects.toMatchObject({
      message: expect.stringContaining('holds something in schema public already'),
    });
  });
});

test('a backup is one moment: what moves between tables while it is taken is in it once', async () => {
  const { from, into } = await createPair();
  await withClient(from, (client) =>
    client.query(`CREATE TABLE a (id int PRIMARY KEY, amount int); CREATE TABLE filler AS SELECT g AS id, repeat('x', 500) AS text FROM generate_series(1, 40000) g; CREATE TABLE z (id int PRIMARY KEY, amount int);
      INSERT INTO a SELECT g, 100 FROM generate_series(1, 50) g; INSERT INTO z SELECT g, 100 FROM generate_series(1, 50) g`),
  );
  const mover = await connect(from, 'test');
  let moves = 0;
  let isMoving = true;
  const moving = (async () => {
    while (isMoving) {
      const [id, amount] = [(moves % 50) + 1, (moves % 7) + 1];
      await mover.query(
        `BEGIN; UPDATE a SET amount = amount - ${amount} WHERE id = ${id}; UPDATE z SET amount = amount + ${amount} WHERE id = ${id}; COMMIT`,
      );
      moves++;
    }
  })();
  try {
    await waitUntil('moves', () => moves > 20);
    const movesBefore = moves;
    const folder = newFolder();
    await createBackup(folder, { url: from, schemas: ['public'], ...options });
    expect(moves).toBeGreaterThan(movesBefore);
    expect((await verifyBackup(folder, { url: into, ...options })).ok).toBe(true);
  } finally {
    isMoving = false;
    await moving;
    await mover.end();
  }
  const { rows } = await withClient(into, (client) =>
    client.query<{ sum: string; moved: string }>(
      'SELECT (SELECT sum(amount) FROM a) + (SELECT sum(amount) FROM z) AS sum, (SELECT count(*) FROM a WHERE amount <> 100) AS moved',
    ),
  );
  expect(rows[0]!.sum).toBe('10000');
  expect(Number(rows[0]!.moved)).toBeGreaterThan(0);
});
