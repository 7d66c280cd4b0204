// A history projection: append-only rows that depend on the log alone, whatever the batches.
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toLsnText } from '../../../changes/lsn.ts';
import { contactHistory } from '../../../pipelines/crm/projections/lead-history.ts';
import { createRandom, type Random } from '../../../pipelines/crm/sample/random.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { readRecord } from '../../../projectors/dead-letters/letters.ts';
import type { LegacyRow, Projection } from '../../../projectors/projection.ts';
import type { SourceChange } from '../../../projectors/source-change.ts';
import { applyChanges } from '../../../projectors/write/apply-changes.ts';
import { readTargetShapes, type TargetShapes } from '../../../projectors/write/catalog.ts';
import { toKeptHeaders } from '../../../projectors/write/kept-records.ts';
import { ensureOffsets } from '../../../projectors/write/offsets.ts';
import { parkChanges } from '../../../projectors/write/parking.ts';
import { withClient } from '../../../projectors/write/with-client.ts';
import { createPool } from '../../../runtime/postgres.ts';
import { contactRow } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget } from '../../support/target-database.ts';

const SEED = process.env.CROSSWALK_SEED ?? String(Date.now() % 1_000_000);
const TOPIC = 'legacy.public.contacts';
const TABLES = ['lead_audit_log', 'lead_status_history', 'lead_score_history', 'lead_assignments'] as const;
const idAt = (n: number) => `a0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const ownerAt = (n: number) => `d0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const [A, B] = [idAt(1), idAt(2)];

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let pool: pg.Pool;
let shapes: TargetShapes;

beforeAll(async () => {
  databases = await createDatabases('history');
  client = await openTarget(databases.targetUrl);
  pool = createPool(databases.targetUrl, 'projector', 4, '-c search_path=crm,crosswalk,pg_temp');
  shapes = await readTargetShapes(pool, [contactHistory]);
});
beforeEach(clear);
afterAll(async () => {
  await pool?.end();
  await client?.end();
  await databases?.drop();
});

async function clear(): Promise<void> {
  await client.query(
    `TRUNCATE ${TABLES.map((table) => `crm.${table}`).join(', ')}, crosswalk.history_state, crosswalk.consumer_offset, crosswalk.dead_letter`,
  );
  await ensureOffsets(pool, contactHistory.name, TOPIC, 1);
}

/** Changes of one partition, each in a transaction of its own. */
function createChanges() {
  const changes: SourceChange[] = [];
  const add = (
    op: SourceChange['op'],
    key: string,
    before: LegacyRow | null,
    after: LegacyRow | null,
    repair: SourceChange['repair'] = null,
    context: SourceChange['context'] = undefined,
  ): SourceChange => {
    const n = changes.length;
    const lsn = toLsnText(0x100_0000n + BigInt(n) * 0x58n);
    const change: SourceChange = {
      legacyKey: key,
      op,
      before,
      after,
      lineage: { lsn, xid: op === 'r' ? '0' : String(1000 + n), committedAt: timeAt(n) },
      identity: `1/${lsn}/0`,
      repair,
      ...(context === undefined ? {} : { context }),
      record: { topic: TOPIC, partition: 0, offset: BigInt(n), key: Buffer.from(key), value: Buffer.from('{}') },
    };
    changes.push(change);
    return change;
  };
  return { changes, add };
}

function timeAt(n: number): string {
  const pad = (value: number) => String(value).padStart(2, '0');
  return `2024-06-01 ${pad(Math.floor(n / 3600))}:${pad(Math.floor(n / 60) % 60)}:${pad(n % 60)}+00`;
}

async function apply(changes: readonly SourceChange[], projection: Projection = contactHistory) {
  const of = { projection: projection.name, topic: TOPIC, partition: 0 };
  const [first, last] = [changes[0]!.record.offset, changes.at(-1)!.record.offset];
  return await applyChanges(pool, { projection, tenants: createTenants({}), shapes }, of, {
    changes,
    expected: first,
    next: last + 1n,
  });
}

/** Every row with every column, lineage too, in an order of its own. */
async function dump(): Promise<string[]> {
  const rows: string[] = [];
  for (const table of TABLES) {
    const found = await client.query<{ row: string }>(
      `SELECT to_jsonb(t)::text AS row FROM crm.${table} t ORDER BY source_lsn, id`,
    );
    rows.push(...found.rows.map(({ row }) => `${table} ${row}`));
  }
  return rows;
}

const audit = async () =>
  (
    await client.query(
      'SELECT action, field_name, old_value, new_value FROM crm.lead_audit_log ORDER BY source_lsn, field_name',
    )
  ).rows.map((row) => Object.values(row).map((cell) => cell ?? '-'));

describe('the history of leads', () => {
  it('has one row for each field that a change changes, and none for a change that changes none', async () => {
    const { changes, add } = createChanges();
    const first = contactRow(A, { lead_status: 'new', lead_score: '10', owner_id: ownerAt(1) });
    const second = { ...first, lead_status: 'Qualified', lead_score: '55', updated_at: '2024-05-05 00:00:00+00' };
    add('c', A, null, first);
    add('u', A, first, second);
    add('u', A, second, { ...second, updated_at: '2024-05-06 00:00:00+00' });
    add('u', A, second, { ...second, owner_id: ownerAt(2) });
    add('d', A, { ...second, owner_id: ownerAt(2) }, null);
    await apply(changes);
    expect(await audit()).toEqual([
      ['created', '-', '-', '-'],
      ['changed', 'lead_score', '10', '55'],
      ['changed', 'status', 'new', 'qualified'],
      ['changed', 'owner_id', ownerAt(1), ownerAt(2)],
      ['deleted', '-', '-', '-'],
    ]);
    const { rows } = await client.query(
      `SELECT from_status, to_status, time_in_stage FROM crm.lead_status_history h JOIN crm.lead_time_in_stage s ON s.lead_id = h.lead_id AND s.entered_at = h.changed_at ORDER BY h.changed_at`,
    );
    expect(rows).toEqual([
      { from_status: null, to_status: 'new', time_in_stage: '00:00:01' },
      { from_status: 'new', to_status: 'qualified', time_in_stage: null },
    ]);
    expect(
      (await client.query('SELECT from_owner, to_owner FROM crm.lead_assignments ORDER BY assigned_at')).rows,
    ).toEqual([
      { from_owner: null, to_owner: ownerAt(1) },
      { from_owner: ownerAt(1), to_owner: ownerAt(2) },
    ]);
  });

  it('begins where a row is read first, and a later read adds a row only where it differs from the last known state', async () => {
    const { changes, add } = createChanges();
    const row = contactRow(A, { lead_status: 'new' });
    add('r', A, null, row);
    add('r', A, null, row);
    add('u', A, row, { ...row, lead_status: 'won' });
    add('r', A, null, { ...row, lead_status: 'won' });
    add('r', A, null, { ...row, lead_status: 'lost' });
    for (const change of changes) await apply([change]);
    expect(await audit()).toEqual([
      ['changed', 'status', 'new', 'won'],
      ['changed', 'status', 'won', 'lost'],
    ]);
  });

  it('gains nothing from a repair, and a repair does not become the last known state', async () => {
    const { changes, add } = createChanges();
    const row = contactRow(A, { lead_status: 'new' });
    add('c', A, null, row);
    add('r', A, null, { ...row, lead_status: 'won' }, {});
    add('d', A, null, null, {});
    add('r', A, null, row);
    await apply(changes);
    expect(await audit()).toEqual([['created', '-', '-', '-']]);
  });

  it('knows the state before an update whose old row was too large for the log', async () => {
    const { changes, add } = createChanges();
    const row = contactRow(A, { lead_status: 'new' });
    add('c', A, null, row);
    add('u', A, null, { ...row, lead_status: 'won' });
    for (const change of changes) await apply([change]);
    expect(await audit()).toEqual([
      ['created', '-', '-', '-'],
      ['changed', 'status', 'new', 'won'],
    ]);
  });

  it('names who made a change, from where and why, where the application told', async () => {
    const { changes, add } = createChanges();
    const row = contactRow(A, { lead_status: 'new' });
    const anna = { actor: 'anna', ip: '192.0.2.7', reason: 'import' };
    add('c', A, null, row, null, anna);
    add('u', A, row, { ...row, lead_status: 'won' }, null, { actor: null, ip: '2001:db8::1', reason: null });
    add('d', A, { ...row, lead_status: 'won' }, null);
    await apply(changes);
    const { rows } = await client.query(
      'SELECT action, actor, ip_address, reason FROM crm.lead_audit_log ORDER BY source_lsn',
    );
    expect(rows.map((each) => Object.values(each))).toEqual([
      ['created', 'anna', '192.0.2.7', 'import'],
      ['changed', null, '2001:db8::1', null],
      ['deleted', null, null, null],
    ]);
  });

  it('keeps who made a change that cannot be read with its dead letter, and one that waits', async () => {
    const { changes, add } = createChanges();
    const anna = { actor: 'anna', ip: null, reason: 'import' };
    const broken: Projection = {
      ...contactHistory,
      history: {
        ...contactHistory.history!,
        stateOf: () => {
          throw new TypeError('a message');
        },
      },
    };
    const bad = add('c', A, null, contactRow(A), null, anna);
    await apply(changes, broken);
    const id = { projection: contactHistory.name, topic: TOPIC, partition: 0, offset: '0' };
    expect((await withClient(pool, (own) => readRecord(own, id)))!.headers).toEqual({
      'crosswalk.context': Buffer.from('{"actor":"anna","ip":null,"reason":"import"}'),
    });
    const waiting = [{ change: { ...bad, repair: {} }, reason: 'waits' }];
    await withClient(pool, (own) => parkChanges(own, contactHistory.name, waiting));
    const { rows } = await client.query('SELECT repair, context FROM crosswalk.parked_change');
    expect(rows.map((each) => toKeptHeaders(each))).toEqual([
      {
        'crosswalk.repair': Buffer.from('{}'),
        'crosswalk.context': Buffer.from('{"actor":"anna","ip":null,"reason":"import"}'),
      },
    ]);
    await client.query('TRUNCATE crosswalk.parked_change');
  });

  it('loses nothing but the change that cannot be read, which stays a dead letter when later ones are applied', async () => {
    const { changes, add } = createChanges();
    const row = contactRow(A, { lead_status: 'new' });
    const bad = { ...row, notes: 'bad' };
    const broken: Projection = {
      ...contactHistory,
      history: {
        ...contactHistory.history!,
        stateOf: (of, tenants) => {
          if (of.notes === 'bad') throw new TypeError('a message');
          return (contactHistory as Projection).history!.stateOf(of, tenants);
        },
      },
    };
    add('c', A, null, row);
    add('u', A, row, bad);
    add('c', B, null, contactRow(B));
    add('u', A, row, { ...row, lead_status: 'won' });
    await apply(changes, broken);
    expect((await audit()).map(([action, field]) => [action, field])).toEqual([
      ['created', '-'],
      ['created', '-'],
      ['changed', 'status'],
    ]);
    const letters = await client.query(
      'SELECT record_offset, reason FROM crosswalk.dead_letter WHERE resolved_at IS NULL',
    );
    expect(letters.rows).toEqual([{ record_offset: '1', reason: 'history threw TypeError' }]);
  });
});

/** Random versions of a few contacts; `model` is what their histories must hold, computed beside: [table, key, change, …cells]. */
function randomHistory(random: Random, count: number) {
  const { changes, add } = createChanges();
  const rows = new Map<string, LegacyRow>();
  /** Status, score and owner as last told; undefined: never told of. */
  const known = new Map<string, Told | null>();
  const model: string[] = [];
  const told = (row: LegacyRow): Told => [row.lead_status ?? null, row.lead_score ?? null, row.owner_id ?? null];
  const expectRows = (key: string, lsn: string, before: Told | null, after: Told | null) => {
    if (after === null) return;
    for (const [index, table] of (
      ['lead_status_history', 'lead_score_history', 'lead_assignments'] as const
    ).entries()) {
      const [old, now] = [before?.[index] ?? null, after[index]];
      if (old !== now) model.push([table, key, lsn, old ?? '-', now ?? '-'].join(' '));
    }
  };
  for (let n = 0; n < count; n++) {
    const key = idAt(random.int(1, 8));
    const before = rows.get(key) ?? null;
    const next = contactRow(key, {
      lead_status: random.pick(['new', 'won', 'lost', null]),
      lead_score: random.pick(['1', '50', null]),
      owner_id: random.pick([ownerAt(1), ownerAt(2), null]),
    });
    const isRead = random.chance(0.2);
    const last = known.get(key);
    if (isRead && before !== null) {
      // What is read may be a version that no event told of, or one of before a repair.
      const read = random.chance(0.3) ? next : before;
      const repair = random.chance(0.3) ? {} : null;
      const { lineage } = add('r', key, null, read, repair);
      if (repair !== null) continue;
      if (last !== undefined) expectRows(key, lineage.lsn, last, told(read));
      known.set(key, told(read));
      rows.set(key, read);
    } else if (before === null) {
      const { lineage } = add('c', key, null, next);
      expectRows(key, lineage.lsn, null, told(next));
      known.set(key, told(next));
      rows.set(key, next);
    } else if (random.chance(0.2)) {
      add('d', key, before, null);
      known.set(key, null);
      rows.delete(key);
    } else {
      const isCut = random.chance(0.2);
      const { lineage } = add('u', key, isCut ? null : before, next);
      expectRows(key, lineage.lsn, last ?? told(before), told(next));
      known.set(key, told(next));
      rows.set(key, next);
    }
  }
  return { changes, model: model.sort() };
}
type Told = readonly [string | null, string | null, string | null];

async function applyInBatches(changes: readonly SourceChange[], random: Random, most: number): Promise<void> {
  for (let at = 0; at < changes.length; ) {
    const size = random.int(1, most);
    await apply(changes.slice(at, at + size));
    at += size;
  }
}

describe('a replayed history', () => {
  it(`has the identical rows, bit for bit, whatever the batches (seed ${SEED})`, async () => {
    const random = createRandom(`history ${SEED}`);
    const { changes, model } = randomHistory(random, 400);
    await applyInBatches(changes, random, 3);
    const first = await dump();
    const { rows } = await client.query<{ text: string }>(
      `SELECT concat_ws(' ', 'lead_status_history', legacy_key, source_lsn, coalesce(from_status, '-'), coalesce(to_status, '-')) AS text FROM crm.lead_status_history
       UNION ALL SELECT concat_ws(' ', 'lead_score_history', legacy_key, source_lsn, coalesce(from_score::text, '-'), coalesce(to_score::text, '-')) FROM crm.lead_score_history
       UNION ALL SELECT concat_ws(' ', 'lead_assignments', legacy_key, source_lsn, coalesce(from_owner::text, '-'), coalesce(to_owner::text, '-')) FROM crm.lead_assignments`,
    );
    expect(rows.map(({ text }) => text).sort()).toEqual(model);
    for (const most of [1, 40, 400]) {
      await clear();
      await applyInBatches(changes, random, most);
      expect(await dump()).toEqual(first);
    }
  });
});
