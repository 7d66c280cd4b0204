// The benchmark of the application's queries: at a tiny size every query is answered, by rows of its tenant, and by the indexes that are made for it.
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { measureQueries, type QueriesMeasured } from '../../bench/queries/measure-queries.ts';
import { connect } from '../../runtime/postgres.ts';
import { migrateUp } from '../support/crm.ts';
import { createDatabases } from '../support/stack.ts';

const PLAN = {
  ...{ leads: 1000, tenants: 4, executions: 5 },
  ...{ sessions: 5, queriesPerSession: 5, pauseMs: 2, imports: 1 },
};

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let measured: QueriesMeasured;

beforeAll(async () => {
  databases = await createDatabases('bench_queries');
  owner = await connect(databases.targetUrl, 'test');
  await migrateUp(owner, () => undefined);
  measured = await measureQueries(owner, databases.targetUrl, PLAN, {
    say: () => undefined,
    signal: new AbortController().signal,
  });
});
afterAll(async () => {
  await owner?.end();
  await databases?.drop();
});

it('answers every query, each time', () => {
  expect(measured.queries.length).toBeGreaterThan(15);
  for (const { name, errors, rows, ms } of measured.queries) {
    expect({ name, errors, isAnswered: rows > 0 }).toEqual({ name, errors: 0, isAnswered: true });
    expect(ms.max).toBeGreaterThan(0);
  }
});

it('finds each lead that it asks for by its id, and the answers of 1,000 checks', () => {
  const rowsOf = (wanted: string) => measured.queries.find(({ name }) => name === wanted)!.rows;
  expect(rowsOf('lead by id')).toBe(PLAN.executions);
  expect(rowsOf('1,000 do-not-call checks')).toBe(1000 * PLAN.executions);
  expect(rowsOf('import of 1,000 leads')).toBe(1000);
});

it('tells the indexes, those too that only a function reads', () => {
  const indexesOf = (wanted: string) => measured.queries.find(({ name }) => name === wanted)!.indexes;
  expect(indexesOf('one do-not-call check')).toContain('dnc_list_key_idx');
  expect(indexesOf('lead by id')).toEqual(['leads_pkey']);
});

it('leaves no login behind', async () => {
  const { rows } = await owner.query(
    `SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname ~ '^bench_[0-9a-f]{12}$'
       AND m.roleid = 'crosswalk_app'::regrole`,
  );
  expect(rows).toEqual([]);
});
