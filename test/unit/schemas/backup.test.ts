import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findCover, type VerifiedBackup } from '../../../schemas/backup/coverage.ts';
import type { DdlItem, ItemKind } from '../../../schemas/backup/ddl/item.ts';
import { type Dependency, orderItems } from '../../../schemas/backup/ddl/order.ts';
import { irreplaceableRows } from '../../../schemas/backup/irreplaceable.ts';
import { parseManifest } from '../../../schemas/backup/manifest.ts';
import { parseDump, parseVersion, toPgEnvironment } from '../../../schemas/backup/pg-dump.ts';
import { toSetval } from '../../../schemas/backup/restore-script.ts';

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
    expect(toPgEnvironment('postgres://me:p%40ss@[::1]:5433/a%20b?sslmode=verify-full')).toEqual({
      PGHOST: '::1',
      PGPORT: '5433',
      PGUSER: 'me',
      PGPASSWORD: 'p@ss',
      PGDATABASE: 'a b',
      PGSSLMODE: 'verify-full',
    });
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
    expect(findCover([backup()], database, [users(2, '1/1')])?.dir).toBe('/b');
    expect(
      findCover([backup()], database, [
        users(2, '1/1'),
        { table: 'crosswalk.merge_key', rows: 9, irreplaceable: null },
      ]),
    ).not.toBeNull();
    expect(
      findCover([backup()], database, [{ table: 'crm.leads', rows: 7, irreplaceable: { rows: 0, checksum: '0/0' } }]),
    ).not.toBeNull();
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
    expect(findCover(backups, database, holdings)).toBeNull();
  });

  test('projected rows come from the log; everything that is not known to is irreplaceable', () => {
    expect(irreplaceableRows('crm', 'leads', ['id', 'origin'])).toBe(`origin = 'app'`);
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
