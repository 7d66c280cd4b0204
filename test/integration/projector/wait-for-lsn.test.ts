// Writers of the legacy database that wait in the new one for their own write, with crosswalk.wait_for_lsn, and read it at once.

import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { createPositionTable, type LogPosition } from '../../../projectors/log-position.ts';
import { runProjectors } from '../../../projectors/project.ts';
import { createProjectionStatus } from '../../../projectors/status.ts';
import { waitForLsn } from '../../../projectors/wait.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { allProjections } from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const WAITS = Number(process.env.CROSSWALK_WAITS ?? 600);
const WRITERS = 20;
type Role = 'crosswalk_app' | 'crosswalk_reader';

describe('with the whole pipeline', () => {
  let rig: ConnectorRig;
  let owner: pg.Client;
  let projector: { stop(): Promise<void> };
  const clients: pg.Client[] = [];

  beforeAll(async () => {
    rig = await createConnectorRig('wait');
    owner = await openTarget(rig.env.TARGET_DATABASE_URL!);
    rig.run();
    await rig.untilCaughtUp(120_000);
    projector = startProjector();
    const { lsn } = await write(rig.legacy, [`INSERT INTO workspaces (id, name) VALUES ('first', 'first')`]);
    expect(await wait(owner, lsn, '60 seconds')).toBe(true);
  });
  afterAll(async () => {
    await projector?.stop();
    await Promise.all(clients.map((client) => client.end()));
    await owner?.end();
    await rig?.drop();
  });

  function startProjector(): { stop(): Promise<void> } {
    const statuses = new Map(allProjections.map(({ name }) => [name, createProjectionStatus(name)]));
    const stopping = new AbortController();
    const options = { log: createLog('silent'), signal: stopping.signal };
    const ended = runProjectors(rig.config, allProjections, createTenants({}), statuses, options);
    // Whoever stops it is told.
    ended.catch(() => undefined);
    return {
      stop: () => {
        stopping.abort();
        return ended;
      },
    };
  }

  /** A login of the new application, or of a reader, that sees rows of this tenant. */
  async function openReader(role: Role, tenant: string): Promise<pg.Client> {
    const client = await connect(rig.env.TARGET_DATABASE_URL!, 'app');
    clients.push(client);
    await client.query(`SET ROLE ${role}`);
    await client.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant]);
    return client;
  }

  /** One transaction; the LSN is read as soon as it has committed. */
  async function write(client: pg.ClientBase, statements: readonly string[]): Promise<{ lsn: string }> {
    await client.query(['BEGIN', ...statements, 'COMMIT'].join(';'));
    return (await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')).rows[0]!;
  }

  async function wait(client: pg.ClientBase, lsn: string, timeout = '30 seconds'): Promise<boolean> {
    const { rows } = await client.query<{ applied: string }>('SELECT crosswalk.wait_for_lsn($1, $2) AS applied', [
      lsn,
      timeout,
    ]);
    return rows[0]!.applied === 't';
  }

  const readOne = async (client: pg.ClientBase, sql: string) =>
    (await client.query<{ value: string | null }>(sql)).rows[0]?.value ?? null;
  /** Whoever has locked the offsets of a projection holds it up. */
  const lockOffsets = (projection: string) =>
    `SELECT FROM crosswalk.consumer_offset WHERE projection = '${projection}' FOR UPDATE`;

  /** A write with what must be read after it. */
  interface Round {
    readonly statements: readonly string[];
    readonly reads: readonly { readonly sql: string; readonly expected: string | null }[];
  }

  /** The rounds of one writer: rows of several topics, together and by themselves, new, changed and deleted ones, and rows that wait for their parent. */
  function createRounds(role: Role, tenant: string, writer: number): (round: number) => Round {
    const name = (round: number) => `writer ${writer} round ${round}`;
    const quotes: string[] = [];
    const rename = (round: number): Round => ({
      statements: [`UPDATE workspaces SET name = '${name(round)}' WHERE id = '${tenant}'`],
      reads: [{ sql: `SELECT name AS value FROM crm.tenants WHERE id = '${tenant}'`, expected: name(round) }],
    });
    const notesOf = (id: string) =>
      `SELECT notes AS value FROM crm.quotes_new WHERE id = '${id}' AND deleted_at IS NULL`;
    const quote = (round: number): Round => {
      const id = randomUUID();
      quotes.push(id);
      const columns = '(id, company_id, customer_name, status, total, notes)';
      return {
        statements: [
          `INSERT INTO quotes ${columns} VALUES ('${id}', '${tenant}', 'C', 'sent', 12.50, '${name(round)}')`,
        ],
        reads: [{ sql: notesOf(id), expected: name(round) }],
      };
    };
    const contact = (round: number): Round => {
      const id = randomUUID();
      const columns = '(id, workspace_id, firstname)';
      return {
        statements: [`INSERT INTO contacts ${columns} VALUES ('${id}', '${tenant}', '${name(round)}')`],
        reads: [{ sql: `SELECT firstname AS value FROM crm.contacts WHERE id = '${id}'`, expected: name(round) }],
      };
    };
    const both = (round: number): Round => {
      const parts = [rename(round), quote(round), contact(round)];
      return { statements: parts.flatMap((part) => part.statements), reads: parts.flatMap((part) => part.reads) };
    };
    const remove = (round: number): Round => {
      const id = quotes.shift();
      if (id === undefined) return quote(round);
      return { statements: [`DELETE FROM quotes WHERE id = '${id}'`], reads: [{ sql: notesOf(id), expected: null }] };
    };
    /** The contact may be applied before its status, which comes through another topic: then it is parked. */
    const withParent = (round: number): Round => {
      const [option, id] = [1000 + writer * 1_000_000 + round, randomUUID()];
      return {
        statements: [
          `INSERT INTO status_options (id, workspace_id, name) VALUES (${option}, '${tenant}', '${name(round)}')`,
          `INSERT INTO contacts (id, workspace_id, lead_status_id) VALUES ('${id}', '${tenant}', ${option})`,
        ],
        reads: [{ sql: `SELECT id::text AS value FROM crm.contacts WHERE id = '${id}'`, expected: id }],
      };
    };
    // What the application sees of a tenant from its beginning; a reader sees everything.
    const kinds = role === 'crosswalk_app' ? [rename, contact] : [rename, quote, contact, both, remove];
    return (round) =>
      (round + writer) % 25 === 24 ? withParent(round) : kinds[(round + writer) % kinds.length]!(round);
  }

  test(`${WAITS} reads after a wait show the write, with a projector that is restarted in between`, async () => {
    const waitedMs: number[] = [];
    const stale: string[] = [];
    let started = 0;
    const startedAtMs = performance.now();
    const writers = Array.from({ length: Math.min(WRITERS, WAITS) }, async (_, writer) => {
      const tenant = randomUUID();
      const legacy = await connect(rig.env.LEGACY_DATABASE_URL!, 'writer');
      clients.push(legacy);
      const role = writer % 2 === 0 ? 'crosswalk_app' : 'crosswalk_reader';
      const reader = await openReader(role, tenant);
      await legacy.query(`INSERT INTO workspaces (id, name) VALUES ('${tenant}', 'new')`);
      const roundOf = createRounds(role, tenant, writer);
      for (let round = 0; started < WAITS; round++) {
        started += 1;
        const { statements, reads } = roundOf(round);
        const { lsn } = await write(legacy, statements);
        const waitingSinceMs = performance.now();
        const isApplied = await wait(reader, lsn, '60 seconds');
        waitedMs.push(performance.now() - waitingSinceMs);
        if (!isApplied) throw new Error(`round ${round} of writer ${writer}: ${lsn} is not applied after a minute`);
        for (const { sql, expected } of reads) {
          const found = await readOne(reader, sql);
          if (found !== expected) stale.push(`${lsn}: ${sql}: ${found} instead of ${expected}`);
        }
      }
    });
    const restart = async () => {
      await waitUntil('half of the rounds', () => started >= WAITS / 2, 600_000);
      await projector.stop();
      projector = startProjector();
    };
    await Promise.all([...writers, restart()]);

    const seconds = (performance.now() - startedAtMs) / 1000;
    const inOrder = waitedMs.toSorted((a, b) => a - b);
    const percentile = (share: number) => `${inOrder[Math.floor(share * (inOrder.length - 1))]!.toFixed(0)} ms`;
    console.log(
      `${waitedMs.length} waits, ${stale.length} stale reads, ${seconds.toFixed(1)} s; wait p50 ${percentile(0.5)}, p99 ${percentile(0.99)}, longest ${percentile(1)}`,
    );
    expect(stale).toEqual([]);
    expect(waitedMs.length).toBe(WAITS);
  }, 900_000);

  test('false while no projector runs; the next one answers who waits', async () => {
    const reader = await openReader('crosswalk_app', 'away');
    const before = await write(rig.legacy, [`INSERT INTO workspaces (id, name) VALUES ('away', 'before')`]);
    expect(await wait(reader, before.lsn)).toBe(true);
    await projector.stop();
    const during = await write(rig.legacy, [`UPDATE workspaces SET name = 'during' WHERE id = 'away'`]);
    const startedAtMs = performance.now();
    expect(await wait(reader, during.lsn, '300 milliseconds')).toBe(false);
    expect(performance.now() - startedAtMs).toBeGreaterThan(290);
    expect(await wait(reader, during.lsn, '0')).toBe(false);
    expect(await wait(reader, before.lsn, '0')).toBe(true);

    const waiting = wait(reader, during.lsn);
    projector = startProjector();
    expect(await waiting).toBe(true);
    expect(await readOne(reader, `SELECT name AS value FROM crm.tenants WHERE id = 'away'`)).toBe('during');
  });

  test('false while the log holds the change and a projection has not reached it', async () => {
    const reader = await openReader('crosswalk_app', 'held');
    const { lsn } = await withHolder(async (holder) => {
      await holder.query(`BEGIN; ${lockOffsets('workspaces')}`);
      const written = await write(rig.legacy, [`INSERT INTO workspaces (id, name) VALUES ('held', 'held')`]);
      await untilRecorded(written.lsn);
      expect(await wait(reader, written.lsn, '300 milliseconds')).toBe(false);
      expect(await isAppliedLsnBehind(written.lsn)).toBe(true);
      return written;
    });
    expect(await wait(reader, lsn)).toBe(true);
    expect(await readOne(reader, `SELECT name AS value FROM crm.tenants WHERE id = 'held'`)).toBe('held');
    expect(await isAppliedLsnBehind(lsn)).toBe(false);
  });

  test('false while the change is parked', async () => {
    const reader = await openReader('crosswalk_app', 'parked');
    const id = randomUUID();
    const { lsn } = await withHolder(async (holder) => {
      // The parent is held up until its child is parked, and nobody tries the child again.
      await holder.query(`SELECT pg_advisory_lock(hashtext('crosswalk.parked'), hashtext('contacts'))`);
      await holder.query(`BEGIN; ${lockOffsets('status_options')}`);
      const written = await write(rig.legacy, [
        `INSERT INTO status_options (id, workspace_id, name) VALUES (77, 'parked', 'Parent')`,
        `INSERT INTO contacts (id, workspace_id, lead_status_id) VALUES ('${id}', 'parked', 77)`,
      ]);
      const isParked = async () => (await owner.query('SELECT FROM crosswalk.parked_change')).rowCount === 1;
      await waitUntil('the child is parked', isParked);
      await holder.query('ROLLBACK');
      await untilRecorded(written.lsn);
      await waitUntil('everything is read', async () => {
        const first = `SELECT offsets FROM crosswalk.log_position WHERE lsn >= '${written.lsn}' ORDER BY lsn LIMIT 1`;
        return (await readOne(owner, `SELECT crosswalk.is_past(offsets)::text AS value FROM (${first}) l`)) === 'true';
      });
      expect(await readOne(owner, 'SELECT name AS value FROM crm.status_options WHERE id = 77')).toBe('Parent');
      expect(await wait(reader, written.lsn, '300 milliseconds')).toBe(false);
      expect(await isAppliedLsnBehind(written.lsn)).toBe(true);
      expect(await isParked()).toBe(true);
      // Of a load, what is read is newer than the mark that the command waits for.
      const kafka = createKafka(rig.config.kafka(), createLog('silent'));
      const command = { lsn: 1n, timeoutMs: 3000, signal: new AbortController().signal };
      await expect(waitForLsn(rig.config, kafka, owner, allProjections, command)).rejects.toMatchObject({
        code: 'not_reached',
        message: expect.stringContaining('applied'),
      });
      return written;
    });
    expect(await wait(reader, lsn)).toBe(true);
    expect(await readOne(reader, `SELECT id::text AS value FROM crm.contacts WHERE id = '${id}'`)).toBe(id);
  });

  test('projecting goes on where positions cannot be recorded, and waiting once they can', async () => {
    await owner.query('ALTER TABLE crosswalk.log_position RENAME TO elsewhere');
    const { lsn } = await write(rig.legacy, [`INSERT INTO workspaces (id, name) VALUES ('unseen', 'unseen')`]);
    try {
      const sql = `SELECT name AS value FROM crm.tenants WHERE id = 'unseen'`;
      await waitUntil('the row is there', async () => (await readOne(owner, sql)) === 'unseen');
    } finally {
      await owner.query('ALTER TABLE crosswalk.elsewhere RENAME TO log_position');
    }
    expect(await wait(owner, lsn)).toBe(true);
  });

  /** A connection whose locks hold a projection up for as long as `work` takes. */
  async function withHolder<T>(work: (holder: pg.Client) => Promise<T>): Promise<T> {
    const holder = await connect(rig.env.TARGET_DATABASE_URL!, 'holder');
    try {
      return await work(holder);
    } finally {
      await holder.end();
    }
  }

  const isAppliedLsnBehind = async (lsn: string) =>
    (await readOne(owner, `SELECT (crosswalk.applied_lsn() < '${lsn}')::text AS value`)) === 'true';

  /** Until a position that covers the LSN is recorded. */
  async function untilRecorded(lsn: string): Promise<void> {
    const isRecorded = async () =>
      (await owner.query('SELECT FROM crosswalk.log_position WHERE lsn >= $1', [lsn])).rowCount! > 0;
    await waitUntil(`${lsn} is recorded`, isRecorded);
  }
});

describe('in a target database', () => {
  let databases: Awaited<ReturnType<typeof createDatabases>>;
  let owner: pg.Client;
  const recorders: pg.Client[] = [];

  beforeAll(async () => {
    databases = await createDatabases('positions');
    owner = await openTarget(databases.targetUrl);
    for (let n = 0; n < 3; n++) {
      const recorder = await connect(databases.targetUrl, 'recorder');
      await recorder.query('SET ROLE crosswalk_projector');
      recorders.push(recorder);
    }
  });
  afterAll(async () => {
    for (const recorder of recorders) await recorder.end();
    await owner?.end();
    await databases?.drop();
  });

  /** The `n`th position: everything before LSN 0/n is in the log up to offset n. */
  const positionAt = (n: number, isLoaded = true): LogPosition => ({
    lsn: `0/${n.toString(16)}`,
    offsets: { t: [String(n), '0'] },
    isLoaded,
  });
  const recorded = async () =>
    (await owner.query<{ lsn: string }>('SELECT lsn FROM crosswalk.log_position ORDER BY log_position.lsn')).rows.map(
      ({ lsn }) => Number.parseInt(lsn.slice(2), 16),
    );
  const appliedLsn = async () =>
    (await owner.query<{ lsn: string | null }>('SELECT crosswalk.applied_lsn() AS lsn')).rows[0]!.lsn;
  const reach = (projection: string, next: number, client = owner) =>
    client.query(
      `INSERT INTO crosswalk.consumer_offset (projection, topic, partition, next_offset) VALUES ($1, 't', 0, $2)
       ON CONFLICT (projection, topic, partition) DO UPDATE SET next_offset = excluded.next_offset`,
      [projection, next],
    );

  test('rows are bounded: the newest takes the place of the last one, and what is applied goes', async () => {
    const table = createPositionTable(recorders[0]!, { rows: 4, pruneEveryMs: 0 });
    expect(await appliedLsn()).toBe(null);
    for (const n of [1, 2, 3]) expect(await table.record(positionAt(n, false))).toBe(true);
    // Of the initial load the last one is kept, until the next one comes.
    expect(await recorded()).toEqual([2, 3]);
    for (const n of [4, 5, 6, 7, 8, 9]) expect(await table.record(positionAt(n))).toBe(true);
    expect(await recorded()).toEqual([4, 5, 6, 9]);
    for (const n of [9, 8, 3]) expect(await table.record(positionAt(n))).toBe(false);

    expect(await appliedLsn()).toBe(null);
    await reach('one', 9);
    await reach('two', 5);
    expect(await appliedLsn()).toBe('0/5');
    expect(await table.record(positionAt(10))).toBe(true);
    expect(await recorded()).toEqual([5, 6, 9, 10]);
    await owner.query(
      `INSERT INTO crosswalk.parked_change (projection, topic, partition, record_offset, legacy_key, source_lsn, record_key, reason) VALUES ('one', 't', 0, 6, 'k', '0/7', '', '')`,
    );
    await reach('one', 100);
    await reach('two', 100);
    expect(await appliedLsn()).toBe('0/6');
    await owner.query('DELETE FROM crosswalk.parked_change');
    expect(await appliedLsn()).toBe('0/A');
    expect(await table.record(positionAt(11))).toBe(true);
    expect(await recorded()).toEqual([10, 11]);
  });

  test('several processes may record at once', async () => {
    await owner.query('TRUNCATE crosswalk.log_position, crosswalk.consumer_offset');
    const tables = recorders.map((recorder) => createPositionTable(recorder, { rows: 20, pruneEveryMs: 0 }));
    const counts = await Promise.all(
      tables.map(async (table, at) => {
        let first = 0;
        for (let n = 1; n <= 150; n++) {
          if (await table.record(positionAt(n))) first += 1;
          if (n % 30 === 0) await reach('one', n, recorders[at]);
        }
        return first;
      }),
    );
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThan(0);
    expect(await tables[0]!.record(positionAt(151))).toBe(true);
    const left = await recorded();
    expect(left.length).toBeLessThanOrEqual(25);
    expect(left.at(-1)).toBe(151);
  });

  test.each(['REPEATABLE READ', 'SERIALIZABLE'])(
    '%s is refused: its snapshot would never see the write',
    async (level) => {
      await owner.query(`BEGIN ISOLATION LEVEL ${level}`);
      await expect(owner.query(`SELECT crosswalk.wait_for_lsn('0/1')`)).rejects.toMatchObject({
        code: '25000',
        message: expect.stringContaining(`under ${level} never sees`),
        hint: expect.stringContaining('READ COMMITTED'),
      });
      await owner.query('ROLLBACK');
    },
  );

  test('null is refused, and no answer', async () => {
    for (const args of ['NULL', `'0/1', NULL`])
      await expect(owner.query(`SELECT crosswalk.wait_for_lsn(${args})`)).rejects.toMatchObject({ code: '22004' });
  });

  test('application, readers and projectors may wait, nobody else; the application may do nothing else there', async () => {
    const { rows: callers } = await owner.query<{ name: string; by: string }>(
      `SELECT p.proname AS name, coalesce(r.rolname, 'PUBLIC') AS by FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
       LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE p.oid = ANY ($1::regprocedure[]) AND a.grantee <> p.proowner ORDER BY 1, 2`,
      [['crosswalk.is_past(jsonb)', 'crosswalk.applied_lsn()', 'crosswalk.wait_for_lsn(pg_lsn, interval)']],
    );
    const roles = ['crosswalk_app', 'crosswalk_projector', 'crosswalk_reader'];
    expect(callers).toEqual(['applied_lsn', 'wait_for_lsn'].flatMap((name) => roles.map((by) => ({ name, by }))));
    const { rows: exposed } = await owner.query(
      `SELECT relname FROM pg_class WHERE relnamespace = 'crosswalk'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
       AND has_table_privilege('crosswalk_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       UNION ALL SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
       WHERE pronamespace = 'crosswalk'::regnamespace AND prosecdef AND a.grantee = 0`,
    );
    expect(exposed).toEqual([]);
  });
});
