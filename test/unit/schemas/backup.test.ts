import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { matchBackups, type VerifiedBackup } from '../../../schemas/backup/coverage.ts';
import type { DdlItem, ItemKind } from '../../../schemas/backup/ddl/item.ts';
import { type Dependency, orderItems } from '../../../schemas/backup/ddl/order.ts';
import { irreplaceableRows } from '../../../schemas/backup/irreplaceable.ts';
import { parseManifest } from '../../../schemas/backup/manifest.ts';
import {
  canBeToldToPgDump,
  dumpDefinitions,
  parseDump,
  parseVersion,
  toPgEnvironment,
} from '../../../schemas/backup/pg-dump.ts';
import { toSetval } from '../../../schemas/backup/restore-script.ts';
import { waitUntil } from '../../support/wait-until.ts';

const item = (id: string, kind: ItemKind, more: Partial<DdlItem> = {}): DdlItem => ({
  ...{ id, kind, name: id, sql: `make ${id}`, aliases: [], after: [], roles: [] },
  ...more,
});
const ids = (items: readonly DdlItem[]) => items.map(({ id }) => id);

describe('the order of definitions', () => {
  test('tables come before the rows with what they need, keys and indexes after them', () => {
    const items = [
      item('fk', 'foreign key', { after: ['pk'] }),
      item('index', 'index'),
      item('pk', 'constraint', { aliases: ['pk index'] }),
      item('of table', 'routine'),
      item('of key', 'view'),
      item('default', 'routine'),
      item('table', 'table', { aliases: ['row type'] }),
      item('schema', 'schema'),
    ];
    const dependencies: Dependency[] = [
      ['table', 'default'],
      ['table', 'schema'],
      ['of table', 'row type'],
      ['of key', 'pk index'],
      ['pk', 'table'],
      ['index', 'table'],
      ['elsewhere', 'table'],
    ];
    const { before, after } = orderItems(items, dependencies);
    expect(ids(before)).toEqual(['schema', 'default', 'table', 'of table']);
    expect(ids(after)).toEqual(['index', 'pk', 'of key', 'fk']);
  });

  test('a circle is refused, with the names of those in it', () => {
    const items = [item('a', 'routine'), item('b', 'table'), item('c', 'table')];
    expect(() =>
      orderItems(items, [
        ['a', 'b'],
        ['b', 'a'],
      ]),
    ).toThrow(/circle: routine a, table b$/);
  });

  test('nothing comes before what it needs, and nothing is lost, whatever depends on what', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<ItemKind>('schema', 'table', 'routine', 'view', 'index', 'constraint', 'comment'), {
          maxLength: 20,
        }),
        fc.array(fc.tuple(fc.nat(19), fc.nat(19)), { maxLength: 40 }),
        (kinds, pairs) => {
          const items = kinds.map((kind, at) => item(String(at), kind));
          // A later one needs an earlier one: no circles.
          const dependencies = pairs
            .filter(([a, b]) => a < b && b < items.length)
            .map(([a, b]) => [String(b), String(a)] as const);
          const { before, after } = orderItems(items, dependencies);
          const order = ids([...before, ...after]);
          expect(order.toSorted()).toEqual(ids(items).toSorted());
          for (const [one, on] of dependencies) expect(order.indexOf(on)).toBeLessThan(order.indexOf(one));
          for (const { id, kind } of items) if (kind === 'table') expect(ids(before)).toContain(id);
        },
      ),
    );
  });
});

describe('pg_dump', () => {
  test.each([
    ['pg_dump (PostgreSQL) 18.1\n', 18, '18.1'],
    ['pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n', 15, '15.18'],
    ['pg_dump (PostgreSQL) 19beta2\n', 19, '19beta2'],
    ['pg_dump (PostgreSQL) 17.2\n', 18, null],
    ['pg_dump (PostgreSQL) 19.0\n', 18, null],
    ['something else 18', 18, null],
  ])('%j is taken for a server of version %i: %s', (text, major, version) => {
    expect(parseVersion(text, major)).toBe(version);
  });

  test('is told the address by variables, so that nobody sees the password', () => {
    expect(
      toPgEnvironment(
        'postgres://me:p%40ss@[::1]:5433/a%20b?sslmode=verify-full&sslrootcert=/tls/ca%20+.crt&sslcert=/c&sslkey=/k&sslcrl=/l' +
          '&options=-c%20role=x&ssl_min_protocol_version=TLSv1.3&channel_binding=require&keepalives=0&connect_timeout=3',
      ),
    ).toEqual({
      PGHOST: '::1',
      PGPORT: '5433',
      PGUSER: 'me',
      PGPASSWORD: 'p@ss',
      PGDATABASE: 'a b',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/tls/ca +.crt',
      PGSSLCERT: '/c',
      PGSSLKEY: '/k',
      PGSSLCRL: '/l',
      PGOPTIONS: '-c role=x',
      PGSSLMINPROTOCOLVERSION: 'TLSv1.3',
      PGCHANNELBINDING: 'require',
      PGCONNECT_TIMEOUT: '3',
    });
    expect(toPgEnvironment('postgres://me@here/db')).toMatchObject({ PGSSLMODE: 'prefer', PGPORT: '5432' });
  });

  test('is not asked where no variable says what the address does', () => {
    const key = 'sslcert=/c&sslkey=/k';
    expect(canBeToldToPgDump('postgres://me@here/db')).toBe(true);
    expect(canBeToldToPgDump(`postgres://me@here/db?${key}`)).toBe(true);
    expect(canBeToldToPgDump(`postgres://me@here/db?${key}&sslpassword=x`)).toBe(false);
    expect(canBeToldToPgDump('postgres://me@here/db?sslmode=verify-full')).toBe(false);
    expect(canBeToldToPgDump('postgres://me@here/db?sslmode=verify-full&sslrootcert=/ca')).toBe(true);
  });

  /** A program of that name, which writes its arguments to a file and does what it is told. */
  function standIn(script: string): { env: { PATH: string }; args: () => string[]; isStarted: () => boolean } {
    const dir = mkdtempSync(join(tmpdir(), 'crosswalk-pg-dump-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const file = join(dir, 'args');
    writeFileSync(join(dir, 'pg_dump'), `#!/bin/sh\nprintf '%s\\n' "$@" >> ${file}\n${script}\n`, { mode: 0o755 });
    return {
      env: { PATH: dir },
      args: () => readFileSync(file, 'utf8').trim().split('\n'),
      isStarted: () => existsSync(file),
    };
  }
  const dumpBy = (env: { PATH: string }, signal = new AbortController().signal) =>
    dumpDefinitions('postgres://me:secret@nowhere/db', ['crm'], '1-1', env, signal);

  test('waits for no lock for ever, and says so when it got none', async () => {
    const { env, args } = standIn('');
    await dumpBy(env);
    expect(args().filter((one) => one === '--lock-wait-timeout=10000')).toHaveLength(2);
    expect(args().join(' ')).not.toContain('secret');
    const locked = standIn(
      'echo "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout" >&2; exit 1',
    );
    await expect(dumpBy(locked.env)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringMatching(/^pg_dump/),
    });
    const failing = standIn('echo "pg_dump: error: no" >&2; exit 1');
    await expect(dumpBy(failing.env)).rejects.toMatchObject({
      code: 'backup_invalid',
      message: 'pg_dump failed: pg_dump: error: no',
    });
  });

  test('is ended when the backup is given up', async () => {
    const { env, isStarted } = standIn('exec /bin/sleep 3600');
    const stopping = new AbortController();
    const dump = dumpBy(env, stopping.signal);
    const given = expect(dump).rejects.toThrow('given up');
    await waitUntil('pg_dump runs', isStarted);
    stopping.abort(new Error('given up'));
    await given;
  });

  test('its output is split at its headings, without what only psql knows', () => {
    const text = `--
-- PostgreSQL database dump
--

\\restrict abc

-- Dumped from database version 18.1
SET check_function_bodies = false;

--
-- Name: crm; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA crm;


--
-- Name: f(); Type: FUNCTION; Schema: crm; Owner: -
--

CREATE FUNCTION crm.f() RETURNS void LANGUAGE sql AS $$
-- Name: not; Type: a; heading
SELECT $$;


--
-- PostgreSQL database dump complete
--

\\unrestrict abc
`;
    expect(parseDump(text).map(({ name, sql }) => [name, sql])).toEqual([
      ['settings', 'SET check_function_bodies = false;'],
      ['schema crm', 'CREATE SCHEMA IF NOT EXISTS crm;'],
      [
        'function f()',
        'CREATE FUNCTION crm.f() RETURNS void LANGUAGE sql AS $$\n-- Name: not; Type: a; heading\nSELECT $$;',
      ],
    ]);
  });
});

describe('what a drop would lose', () => {
  const database = { name: 'crm', systemId: '1' };
  const backup = (more: Partial<VerifiedBackup> = {}): VerifiedBackup => ({
    ...{ dir: '/b', digest: 'd', database: 'crm', systemId: '1', takenAt: 't' },
    tables: {
      'crm.users': { rows: 2, checksum: '1/1' },
      'crosswalk.merge_key': null,
      'crm.leads': { rows: 0, checksum: '0/0' },
    },
    ...more,
  });
  const users = (rows: number, checksum: string) => ({ table: 'crm.users', rows, irreplaceable: { rows, checksum } });

  test('is covered by a backup of this database with exactly these rows', () => {
    expect(matchBackups([backup()], database, [users(2, '1/1')]).map(({ dir }) => dir)).toEqual(['/b']);
    expect(
      matchBackups([backup()], database, [
        users(2, '1/1'),
        { table: 'crosswalk.merge_key', rows: 9, irreplaceable: null },
      ]),
    ).toHaveLength(1);
    expect(
      matchBackups([backup()], database, [
        { table: 'crm.leads', rows: 7, irreplaceable: { rows: 0, checksum: '0/0' } },
      ]),
    ).toHaveLength(1);
  });

  test.each([
    ['another row', [backup()], [users(2, '1/2')]],
    ['more rows', [backup()], [users(3, '1/1')]],
    ['a table that it has not', [backup()], [{ table: 'crm.other', rows: 1, irreplaceable: null }]],
    ['another database', [backup({ database: 'other' })], [users(2, '1/1')]],
    ['another server', [backup({ systemId: '2' })], [users(2, '1/1')]],
    [
      'parts in two backups',
      [backup(), backup({ tables: { 'crm.other': null } })],
      [users(2, '1/1'), { table: 'crm.other', rows: 1, irreplaceable: null }],
    ],
  ])('and not with %s', (_, backups, holdings) => {
    expect(matchBackups(backups, database, holdings)).toEqual([]);
  });

  test('projected rows come from the log; everything that is not known to is irreplaceable', () => {
    expect(irreplaceableRows('crm', 'leads', ['id', 'origin', 'mapping_version'])).toBe(`origin = 'app'`);
    expect(irreplaceableRows('crm', 'users', ['id'])).toBe('true');
    expect(irreplaceableRows('crosswalk', 'consumer_offset', ['projection'])).toBeNull();
    expect(irreplaceableRows('crosswalk', 'stage_log', ['number'])).toBe('true');
    expect(irreplaceableRows('public', 'leads', ['id', 'origin'])).toBe('true');
  });
});

test('a sequence is set by its quoted name', () => {
  expect(toSetval({ schema: 'a', name: `it's "odd"`, lastValue: '9223372036854775807', isCalled: false })).toBe(
    `SELECT setval('"a"."it''s ""odd"""'::regclass, 9223372036854775807, false)`,
  );
});

test('a manifest of another kind is refused in words', () => {
  for (const text of ['', '{}', '{"format": 2}', 'null'])
    expect(() => parseManifest(text)).toThrow('manifest.json is not that of a backup');
});
