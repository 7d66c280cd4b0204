// Migrations beside an application that writes: nobody is kept waiting, what failed or was killed is done again, and who is in the way is named.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { planUp } from '../../../schemas/migration-plan.ts';
import type { MigrateOptions } from '../../../schemas/migrations.ts';
import { readMigrations as readMigrationsOf } from '../../../schemas/migrations.ts';
import { migrateDown, migrateUp, readMigrations } from '../../support/crm.ts';
import { describeCatalog } from '../../support/describe-catalog.ts';
import { earlierMigrations } from '../../support/earlier-migrations.ts';
import { createDatabases } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

const LOCK_TIMEOUT_MS = 500;
const silent = () => undefined;
const BASE = 'CREATE TABLE crm.things (id int PRIMARY KEY, amount int, note text);';
const SEVERAL_STEPS = `ALTER TABLE crm.things ADD COLUMN IF NOT EXISTS extra text;
ALTER TABLE crm.things DROP CONSTRAINT IF EXISTS things_amount_check, ADD CONSTRAINT things_amount_check CHECK (amount >= 0) NOT VALID;
-- crosswalk: transaction
ALTER TABLE crm.things VALIDATE CONSTRAINT things_amount_check;
-- crosswalk: concurrently
-- Looked up by note.
CREATE INDEX CONCURRENTLY IF NOT EXISTS things_note_idx ON crm.things (note)
  WHERE note IS NOT NULL;
`;
const SEVERAL_STEPS_DOWN = `-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.things_note_idx;
-- crosswalk: transaction
ALTER TABLE crm.things DROP CONSTRAINT IF EXISTS things_amount_check;
ALTER TABLE crm.things DROP COLUMN IF EXISTS extra;
`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
const dirs: string[] = [];
const others: pg.Client[] = [];

/** Migrations of a folder of their own, by name: `001_base` and so on, up and down. */
function migrationsOf(files: Readonly<Record<string, readonly [up: string, down: string]>>) {
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-migrations-'));
  dirs.push(dir);
  for (const schema of ['crosswalk', 'crm']) mkdirSync(join(dir, schema));
  for (const [name, [up, down]] of Object.entries(files)) {
    writeFileSync(join(dir, 'crm', `${name}.up.sql`), up);
    writeFileSync(join(dir, 'crm', `${name}.down.sql`), down);
  }
  return readMigrationsOf(
    { schema: 'crm', folder: join(dir, 'crm') },
    { schema: 'crosswalk', folder: join(dir, 'crosswalk') },
  );
}

async function open(): Promise<pg.Client> {
  const other = await connect(databases.targetUrl, 'application');
  others.push(other);
  return other;
}

const pidOf = async (of: pg.Client) =>
  (await of.query<{ pid: string }>('SELECT pg_backend_pid()::text AS pid')).rows[0]!.pid;

function optionsOf(
  migrations: MigrateOptions['migrations'],
  said: string[],
  more: Partial<MigrateOptions> = {},
): MigrateOptions {
  return {
    migrations,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    observe: () => connect(databases.targetUrl, 'observe'),
    onWait: (message) => said.push(message),
    ...more,
  };
}

/** An application that writes all the time; returns how long each write took. */
function startWriter(writer: pg.Client) {
  const durationsMs: number[] = [];
  let isWriting = true;
  const writing = (async () => {
    for (let at = 1; isWriting; at++) {
      const startedAtMs = performance.now();
      await writer.query('UPDATE crm.things SET amount = amount + 1, note = $2 WHERE id = $1', [
        1 + (at % 5000),
        `changed ${at}`,
      ]);
      durationsMs.push(performance.now() - startedAtMs);
      await sleep(2);
    }
  })();
  return {
    durationsMs,
    async stop() {
      isWriting = false;
      await writing;
    },
  };
}

beforeAll(async () => {
  databases = await createDatabases('locks');
  client = await connect(databases.targetUrl, 'migrate');
});
beforeEach(async () => {
  for (const other of others.splice(0)) await other.end();
  await client.query('DROP SCHEMA IF EXISTS crm CASCADE; DROP SCHEMA IF EXISTS crosswalk CASCADE');
});
afterAll(async () => {
  for (const other of others) await other.end();
  await client?.end();
  await databases?.drop();
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

async function fill(rows: number): Promise<void> {
  await migrateUp(client, silent, { migrations: migrationsOf({ '001_base': [BASE, 'DROP TABLE crm.things;'] }) });
  await client.query(`INSERT INTO crm.things SELECT g, g, 'note ' || g FROM generate_series(1, $1::int) g`, [rows]);
}

const both = () =>
  migrationsOf({ '001_base': [BASE, 'DROP TABLE crm.things;'], '002_steps': [SEVERAL_STEPS, SEVERAL_STEPS_DOWN] });

test('a column, a constraint and an index are added to a filled table while the application writes and somebody holds its lock', async () => {
  await fill(150_000);
  const [writerClient, holder] = [await open(), await open()];
  const pid = await pidOf(holder);
  await holder.query('BEGIN');
  await holder.query(`SELECT count(*) FROM crm.things WHERE note = 'a value that nobody may tell'`);
  const writer = startWriter(writerClient);
  const said: string[] = [];
  const migrating = migrateUp(client, silent, optionsOf(both(), said));
  await waitUntil('three attempts failed', () => said.length >= 3);
  const written = writer.durationsMs.length;
  await holder.query('COMMIT');
  expect(await migrating).toEqual(['crm/002_steps']);
  await waitUntil('writes go on', () => writer.durationsMs.length > written + 20);
  await writer.stop();

  for (const [at, line] of said.slice(0, 3).entries()) {
    expect(line).toMatch(
      new RegExp(
        `^migration crm/002_steps: no lock within ${LOCK_TIMEOUT_MS} ms \\(attempt ${at + 1}\\); pid ${pid} \\(role .*crosswalk-application\\) holds it: idle in transaction, SELECT, for \\d+ s`,
      ),
    );
    expect(line).not.toContain('value that nobody');
  }
  // Three waits of half a second with pauses between: without the limit, one write would have waited through all of them.
  expect(written).toBeGreaterThan(20);
  expect(Math.max(...writer.durationsMs)).toBeLessThan(4 * LOCK_TIMEOUT_MS);
  const { rows } = await client.query(
    `SELECT (SELECT convalidated::text FROM pg_constraint WHERE conname = 'things_amount_check') AS validated,
       (SELECT (indisvalid AND indisready)::text FROM pg_index WHERE indexrelid = 'crm.things_note_idx'::regclass) AS valid`,
  );
  expect(rows).toEqual([{ validated: 'true', valid: 'true' }]);
});

test('an index that waits for old transactions keeps no writer waiting', async () => {
  await fill(5000);
  const [writerClient, old] = [await open(), await open()];
  await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await old.query('SELECT 1');
  const writer = startWriter(writerClient);
  const said: string[] = [];
  const migrating = migrateUp(client, silent, optionsOf(both(), said, { concurrentTimeoutMs: 120_000 }));
  await waitUntil('somebody is told what it waits for', () => said.length >= 1, 30_000);
  expect(said[0]).toMatch(new RegExp(`^index crm.things_note_idx: waiting; pid ${await pidOf(old)} `));
  expect(writer.durationsMs.length).toBeGreaterThan(50);
  await old.query('COMMIT');
  await migrating;
  await writer.stop();
  expect(Math.max(...writer.durationsMs)).toBeLessThan(4 * LOCK_TIMEOUT_MS);
});

test('a lock that is never given ends with an error that names who holds it; what was done stays', async () => {
  await fill(100);
  const holder = await open();
  const pid = await pidOf(holder);
  await holder.query('BEGIN');
  await holder.query(`UPDATE crm.things SET note = 'a value that nobody may tell' WHERE id = 1`);
  const failing = migrateUp(client, silent, optionsOf(both(), [], { attempts: 2, lockTimeoutMs: 150 }));
  await expect(failing).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringMatching(
      new RegExp(
        `^migration crm/002_steps: no lock within 2 attempts of 150 ms; pid ${pid} .* holds it: idle in transaction, UPDATE`,
      ),
    ),
  });
  await expect(failing).rejects.not.toMatchObject({ message: expect.stringContaining('value that nobody') });
  await holder.query('ROLLBACK');
  expect(await migrateUp(client, silent, optionsOf(both(), []))).toEqual(['crm/002_steps']);
});

describe('an index that is left behind invalid', () => {
  const readValid = async () =>
    (
      await client.query<{ valid: string }>(
        `SELECT indisvalid::text AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = 'things_note_idx'`,
      )
    ).rows;

  test('by a build that failed is dropped and built again', async () => {
    await fill(100);
    await client.query(`UPDATE crm.things SET note = 'twice' WHERE id < 3`);
    const unique = migrationsOf({
      '001_base': [BASE, 'DROP TABLE crm.things;'],
      '002_unique': [
        '-- crosswalk: concurrently\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_note_idx ON crm.things (note);\n',
        '-- crosswalk: concurrently\nDROP INDEX CONCURRENTLY IF EXISTS crm.things_note_idx;\n',
      ],
    });
    await expect(migrateUp(client, silent, optionsOf(unique, []))).rejects.toMatchObject({ code: '23505' });
    expect(await readValid()).toEqual([{ valid: 'false' }]);
    await client.query(`UPDATE crm.things SET note = 'once' WHERE id = 1`);
    expect(await migrateUp(client, silent, optionsOf(unique, []))).toEqual(['crm/002_unique']);
    expect(await readValid()).toEqual([{ valid: 'true' }]);
    expect(await migrateDown(client, 1, silent, optionsOf(unique, []))).toEqual(['crm/002_unique']);
    expect(await readValid()).toEqual([]);
  });

  test('by a session that was killed in the middle is built again, and by a plan too', async () => {
    await fill(5000);
    const old = await open();
    await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await old.query('SELECT 1');
    const killed = await open();
    const pid = await pidOf(killed);
    const migrating = migrateUp(killed, silent, optionsOf(both(), [])).catch((error: unknown) => error);
    await waitUntil('the build waits', async () => {
      const { rows } = await client.query(
        `SELECT FROM pg_stat_activity WHERE pid = $1::int AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX CONCURRENTLY%'`,
        [pid],
      );
      return rows.length === 1;
    });
    await client.query('SELECT pg_terminate_backend($1::int, 10000)', [pid]);
    expect(await migrating).toBeInstanceOf(Error);
    await old.query('COMMIT');
    expect(await readValid()).toEqual([{ valid: 'false' }]);
    // As a plain client would: one statement after another.
    for (const { sql } of await planUp(client, optionsOf(both(), [])))
      for (const statement of sql.split(/;\n/)) await client.query(statement);
    expect(await readValid()).toEqual([{ valid: 'true' }]);
    expect(await migrateUp(client, silent, optionsOf(both(), []))).toEqual([]);
  });
});

test('two at once: one builds while the other waits, without a deadlock', async () => {
  await fill(20_000);
  const [first, second] = [await open(), await open()];
  const said: string[] = [];
  const applied = await Promise.all([first, second].map((one) => migrateUp(one, silent, optionsOf(both(), said))));
  expect(applied.flat()).toEqual(['crm/002_steps']);
});

test("the project's own migrations of several steps do no harm when they are run again", async () => {
  await migrateUp(client, silent);
  const before = await describeCatalog(client, ['crm', 'crosswalk']);
  const several = readMigrations().filter(({ up }) => /^-- crosswalk: (?:concurrently|transaction)/m.test(up));
  for (const { schema, number } of several)
    await client.query('DELETE FROM crosswalk.migration WHERE schema = $1 AND number = $2', [schema, number]);
  expect(await migrateUp(client, silent)).toHaveLength(several.length);
  expect(await describeCatalog(client, ['crm', 'crosswalk'])).toEqual(before);
});

test('a database of an earlier version comes to the same schema as a new one', async () => {
  const first = earlierMigrations().filter(({ schema, number }) => number <= (schema === 'crm' ? 4 : 1));
  expect(await migrateUp(client, silent, { migrations: first })).toHaveLength(5);
  await migrateUp(client, silent);
  const upgraded = await describeCatalog(client, ['crm', 'crosswalk']);
  await client.query('DROP SCHEMA crm CASCADE; DROP SCHEMA crosswalk CASCADE');
  await migrateUp(client, silent);
  expect(upgraded).toEqual(await describeCatalog(client, ['crm', 'crosswalk']));
});
