// Dead letters and what applies them again: in every order with later changes, parked changes, and other letters.
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { statusOptions } from '../../../pipelines/crm/projections/status-options.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import type { LetterId } from '../../../projectors/dead-letters/letter-id.ts';
import { readLetters, type Selection } from '../../../projectors/dead-letters/letters.ts';
import { type Redriven, redrive } from '../../../projectors/dead-letters/redrive.ts';
import type { LegacyRow, Projection } from '../../../projectors/projection.ts';
import { withClient } from '../../../projectors/write/with-client.ts';
import { logDecoder } from '../../support/change-log.ts';
import { pollUntil } from '../../support/poll.ts';
import { contactRow, optionRow, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';
import { dumpTarget } from '../../support/target-database.ts';

const idAt = (n: number) => `d0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const [A, B, C, D] = [1, 2, 3, 4].map(idAt) as [string, string, string, string];

let client: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;
const open: { close(): Promise<void> }[] = [];

useScriptedTarget('redrive', 8, (target) => {
  ({ client, pool, log } = target);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const retry of open.splice(0)) await retry.close();
});

const read = async (sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows;
const readLettersOf = (selection: Selection, limit: number) =>
  withClient(pool, (projector) => readLetters(projector, selection, limit));
const letters = () =>
  read(
    `SELECT legacy_key AS key, record_offset AS at, reason, mapping_version AS version, resolution FROM crosswalk.dead_letter ORDER BY record_offset`,
  );
const openKeys = async () =>
  (
    await read(
      'SELECT legacy_key FROM crosswalk.dead_letter WHERE resolved_at IS NULL ORDER BY projection, record_offset',
    )
  ).map((row) => row.legacy_key);
const parked = () => read('SELECT legacy_key FROM crosswalk.parked_change');
const numbers = async () =>
  Object.fromEntries(
    (await read('SELECT id, quote_number FROM crm.quotes_new WHERE deleted_at IS NULL')).map((row) => [
      row.id,
      row.quote_number,
    ]),
  );
const live = async (table: string) =>
  (await read(`SELECT id FROM crm.${table} WHERE deleted_at IS NULL ORDER BY id`)).map((row) => row.id);

function retryParked(source: string) {
  const retry = log.retryParked(source);
  open.push(retry);
  return retry;
}

function again(
  projections: readonly Projection[],
  selection: Selection = {},
  options: { dryRun?: boolean; signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {},
): Promise<Redriven> {
  const appliers = projections.map((projection) => ({
    ...{ projection, tenants: createTenants({}), shapes: log.shapes, decoder: logDecoder },
  }));
  return redrive(pool, appliers, {
    ...{ selection, by: 'tester', dryRun: false, signal: new AbortController().signal, onProgress: () => undefined },
    ...options,
  });
}
const found = (result: Redriven) => ({ ...result, left: Object.fromEntries(result.left) });

/** A projection whose map throws on rows that some condition holds for. */
function throwing(
  projection: Projection,
  isBad: (row: LegacyRow) => boolean,
  version = projection.version,
): Projection {
  return {
    ...projection,
    version,
    map: (row, tenants) => {
      if (isBad(row)) throw new RangeError(`a message that quotes ${row.id}`);
      return projection.map(row, tenants);
    },
  };
}
const badNumber = (row: LegacyRow) => row.quote_number?.startsWith('bad') === true;
const broken = throwing(quotes, badNumber);
const quote = (id: string, number: string) => quoteRow(id, { quote_number: number });

describe('a dead letter', () => {
  it('is applied again once, by a version of the mapping that can', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, '1'), quote(B, 'bad'));
    await log.deliver('quotes', 0, quote(A, 'bad'));
    const fixed: Projection = { ...quotes, version: '2' };
    expect(found(await again([fixed]))).toEqual({ selected: 2, applied: 2, overtaken: 0, held: 0, left: {} });
    expect(await numbers()).toEqual({ [A]: 'bad', [B]: 'bad' });
    expect(await read('SELECT DISTINCT mapping_version FROM crm.quotes_new')).toEqual([{ mapping_version: '2' }]);
    expect((await letters()).map(({ resolution }) => resolution)).toEqual(['redriven by tester', 'redriven by tester']);
    const before = await dumpTarget(client, 'all');
    expect(await again([fixed])).toMatchObject({ selected: 0, applied: 0 });
    const ids = (await readLettersOf({ resolvedToo: true }, 10)) as LetterId[];
    expect(await again([fixed], { ids })).toMatchObject({ selected: 0, applied: 0 });
    expect(await dumpTarget(client, 'all')).toEqual(before);
  });

  it('that fails again stays, with the new reason and the version that failed', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, 'bad'));
    const other: Projection = {
      ...quotes,
      version: '3',
      map: () => {
        throw new SyntaxError('no');
      },
    };
    expect(found(await again([other]))).toMatchObject({ applied: 0, left: { 'map threw SyntaxError': 1 } });
    expect(await letters()).toEqual([
      { key: A, at: '0', reason: 'map threw SyntaxError', version: '3', resolution: null },
    ]);
  });

  it('of a fold that throws harms its row alone, and is healed by one that does not', async () => {
    const [customers] = quotes.aggregates;
    log.replace({
      ...quotes,
      aggregates: [
        {
          ...customers!,
          fold: (key, contributions) => {
            if (contributions.some(({ legacyKey }) => legacyKey === B)) throw new TypeError('a value');
            return customers!.fold(key, contributions);
          },
        },
      ],
    });
    await log.deliver('quotes', 0, quote(A, '1'), quote(B, '2'), quote(C, '3'));
    expect(await numbers()).toEqual({ [A]: '1', [C]: '3' });
    expect(await letters()).toMatchObject([{ key: B, reason: 'fold threw TypeError' }]);
    expect(await again([quotes])).toMatchObject({ applied: 1 });
    expect(await numbers()).toEqual({ [A]: '1', [B]: '2', [C]: '3' });
  });

  it('whose record cannot be read harms no other', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, 'bad'), quote(B, 'bad'));
    await client.query(`UPDATE crosswalk.dead_letter SET record_value = '\\x00' WHERE legacy_key = $1`, [A]);
    expect(found(await again([quotes]))).toMatchObject({ applied: 1, left: { 'its record cannot be decoded': 1 } });
    expect(await numbers()).toEqual({ [B]: 'bad' });
    expect(await openKeys()).toEqual([A]);
  });

  it('is chosen by id, projection or part of its reason', async () => {
    log.replace(broken);
    log.replace(throwing(contacts, () => true));
    await log.deliver('quotes', 0, quote(A, 'bad'), quote(B, 'bad'));
    await log.deliver('contacts', 0, contactRow(C));
    await client.query(`UPDATE crosswalk.dead_letter SET reason = 'another' WHERE legacy_key = $1`, [A]);
    const all = [contacts, quotes];
    expect(await again(all, { reason: 'nothing like it' })).toMatchObject({ selected: 0 });
    expect(await again(all, { projection: 'contacts', reason: 'another' })).toMatchObject({ selected: 0 });
    expect(await again(all, { reason: 'noth' })).toMatchObject({ selected: 1, applied: 1 });
    expect(await openKeys()).toEqual([C, B]);
    const id = { projection: 'quotes', topic: 'legacy.quotes', partition: 0, offset: '1' };
    expect(await again(all, { ids: [{ ...id, partition: 1 }] })).toMatchObject({ selected: 0 });
    expect(await again(all, { ids: [id] })).toMatchObject({ selected: 1, applied: 1 });
    expect(await openKeys()).toEqual([C]);
    expect(await again(all, { projection: 'contacts' })).toMatchObject({ applied: 1 });
    expect(await openKeys()).toEqual([]);
  });

  it('is left alone by a dry run, which tells what would become of it', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, 'bad'), quote(B, 'bad2'));
    const before = await dumpTarget(client, 'all');
    const half = throwing(quotes, (row) => row.quote_number === 'bad2', '2');
    expect(found(await again([half], {}, { dryRun: true }))).toEqual({
      selected: 2,
      applied: 1,
      overtaken: 0,
      held: 0,
      left: { 'map threw RangeError': 1 },
    });
    expect(await dumpTarget(client, 'all')).toEqual(before);
  });
});

describe('a newer version of its row', () => {
  it('applied in the batch of a still newer failure is not overwritten', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, 'bad1'));
    await log.deliver('quotes', 0, quote(A, '2'), quote(A, 'bad3'));
    expect(await letters()).toMatchObject([
      { at: '0', resolution: 'a later version was applied' },
      { at: '2', resolution: null },
    ]);
    const [first] = await readLettersOf({ resolvedToo: true }, 1);
    expect(await again([quotes], { ids: [first!] })).toMatchObject({ selected: 0 });
    expect(await numbers()).toEqual({ [A]: '2' });
    expect(await again([quotes])).toMatchObject({ applied: 1 });
    expect(await numbers()).toEqual({ [A]: 'bad3' });
  });

  it('in the same batch leaves a failure that matters to its history alone resolved from the start', async () => {
    log.replace(throwing(contacts, (row) => row.name === 'bad'));
    await log.deliver('contacts', 0, contactRow(A, { name: 'bad', email: 'a@x.org' }), contactRow(A, { name: 'good' }));
    expect(await letters()).toMatchObject([{ at: '0', resolution: 'a later version was applied' }]);
  });

  it.each([
    ['a change', () => quote(A, '2'), { [A]: '2' }],
    ['a delete', () => ({ deleted: A }), {}],
  ])('that comes by itself, %s, settles it', async (_, next, expected) => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, '1'));
    await log.deliver('quotes', 0, quote(A, 'bad'));
    await log.deliver('quotes', 0, next());
    expect(await openKeys()).toEqual([]);
    expect(await again([quotes])).toMatchObject({ selected: 0 });
    expect(await numbers()).toEqual(expected);
  });

  it('that is a letter too is applied after it, or settles it', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, 'bad1'), quote(B, 'bad1'), quote(C, 'bad1'));
    await log.deliver('quotes', 0, quote(A, 'bad2'), quote(B, 'bad2'), quote(C, 'bad2'));
    expect(await openKeys()).toEqual([A, B, C, A, B, C]);
    const ids = (await readLettersOf({}, 10)) as LetterId[];
    // The older one first, the newer one alone, both together.
    expect(await again([quotes], { ids: [ids[0]!] })).toMatchObject({ applied: 1 });
    expect(await again([quotes], { ids: [ids[4]!] })).toMatchObject({ applied: 1 });
    expect(await numbers()).toEqual({ [A]: 'bad1', [B]: 'bad2' });
    expect(await again([quotes])).toMatchObject({ selected: 3, applied: 2, overtaken: 1 });
    expect(await numbers()).toEqual({ [A]: 'bad2', [B]: 'bad2', [C]: 'bad2' });
    expect(await openKeys()).toEqual([]);
  });

  it('that is parked holds it back, and settles it in the end', async () => {
    log.replace(throwing(contacts, (row) => row.name === 'bad'));
    await log.deliver('contacts', 0, contactRow(A, { name: 'bad' }));
    await log.deliver('contacts', 0, contactRow(A, { name: 'late', lead_status_id: '5' }));
    expect(await parked()).toHaveLength(1);
    expect(await again([contacts])).toMatchObject({ applied: 0, held: 1 });
    expect(await live('contacts')).toEqual([]);
    await log.deliver('status_options', 0, optionRow('5'));
    retryParked('contacts');
    await pollUntil(parked, (rows) => rows.length === 0);
    expect(await openKeys()).toEqual([]);
    expect(await read('SELECT name FROM crm.contacts')).toEqual([{ name: 'late' }]);
  });

  it('that is to come again, because a replay has not reached the letter, holds it back', async () => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, '1'), quote(A, 'bad'));
    await client.query('UPDATE crosswalk.consumer_offset SET next_offset = 1');
    expect(await again([quotes])).toMatchObject({ applied: 0, held: 1 });
    await client.query('UPDATE crosswalk.consumer_offset SET next_offset = 2');
    expect(await again([quotes])).toMatchObject({ applied: 1, held: 0 });
  });

  it('a failure behind a parked change stays with it, and is a letter once that is applied', async () => {
    log.replace(throwing(contacts, (row) => row.name === 'bad'));
    await log.deliver('contacts', 0, contactRow(A, { name: 'early', lead_status_id: '5' }));
    await log.deliver('contacts', 0, contactRow(A, { name: 'bad' }));
    let rounds = 0;
    const retry = log.retryParked('contacts', () => {
      rounds++;
      return false;
    });
    open.push(retry);
    await pollUntil(
      async () => rounds,
      (times) => times > 2,
    );
    expect(await openKeys()).toEqual([]);
    expect(await parked()).toHaveLength(2);
    await log.deliver('status_options', 0, optionRow('5'));
    await pollUntil(parked, (rows) => rows.length === 0);
    expect(await read('SELECT name FROM crm.contacts')).toEqual([{ name: 'early' }]);
    expect(await openKeys()).toEqual([A]);
    expect(await again([contacts])).toMatchObject({ applied: 1 });
    expect(await read('SELECT name FROM crm.contacts')).toEqual([{ name: 'bad' }]);
  });
});

describe('what depends on it', () => {
  const isDead = async (count: number) => {
    await pollUntil(parked, (rows) => rows.length === 0);
    expect(await openKeys()).toHaveLength(count);
  };
  const failOption = throwing(statusOptions, (row) => row.id === '5');

  it('fails with it and nothing else does; it is healed with it, whichever is tried first', async () => {
    log.replace(failOption);
    await log.deliver('status_options', 0, optionRow('5'), optionRow('6'));
    await log.deliver(
      'contacts',
      0,
      contactRow(A, { lead_status_id: '5' }),
      contactRow(B, { lead_status_id: '6' }),
      contactRow(C),
    );
    retryParked('contacts');
    await isDead(2);
    expect(await live('contacts')).toEqual([B, C]);
    const leftOver = { '23503 leads leads_lead_status_id_fkey': 1 };
    expect(found(await again([contacts]))).toMatchObject({ applied: 0, left: leftOver });
    // The child before its parent: it takes a second pass.
    expect(await again([contacts, statusOptions])).toMatchObject({ selected: 2, applied: 2, left: new Map() });
    expect(await live('contacts')).toEqual([A, B, C]);
    expect(await live('status_options')).toEqual(['5', '6']);
    expect(await openKeys()).toEqual([]);
  });

  it('has the last version that can be applied, where a newer one waited for what never came', async () => {
    const row = (market: string, option: string) => contactRow(A, { market, lead_status_id: option });
    await log.deliver('contacts', 0, row('1', '5'));
    await log.deliver('contacts', 0, row('2', '5'));
    await log.deliver('contacts', 0, row('3', '404'), row('4', '404'));
    await log.deliver('status_options', 0, optionRow('5'));
    retryParked('contacts');
    await isDead(1);
    expect(await read('SELECT market FROM crm.contacts')).toEqual([{ market: '2' }]);
    await log.deliver('status_options', 0, optionRow('404'));
    expect(await again([contacts])).toMatchObject({ applied: 1 });
    expect(await read('SELECT market FROM crm.contacts')).toEqual([{ market: '4' }]);
  });

  it('is applied again after a later version of it has come by itself', async () => {
    log.replace(failOption);
    await log.deliver('status_options', 0, optionRow('5'));
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }));
    retryParked('contacts');
    await isDead(2);
    log.replace(statusOptions);
    await log.deliver('status_options', 0, optionRow('5', 'Renamed'));
    expect(await openKeys()).toEqual([A]);
    expect(await again([statusOptions, contacts])).toMatchObject({ selected: 1, applied: 1 });
    expect(await live('contacts')).toEqual([A]);
  });

  it('a unique value that was taken for good, is applied once it is given up', async () => {
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'x' }));
    await log.deliver('contacts', 1, contactRow(B, { phone_number: 'x' }));
    retryParked('contacts');
    await isDead(1);
    expect(found(await again([contacts]))).toMatchObject({ left: { '23P01 contacts contacts_user_phone_key': 1 } });
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'y' }));
    expect(await again([contacts])).toMatchObject({ applied: 1 });
    expect(await read('SELECT id, phone_number AS phone FROM crm.contacts ORDER BY id')).toEqual([
      { id: A, phone: 'y' },
      { id: B, phone: 'x' },
    ]);
  });

  it('values that go round in a circle are applied together', async () => {
    const isBad = (row: LegacyRow) => row.name === 'bad';
    log.replace(throwing(contacts, isBad));
    const row = (id: string, phone: string, name = 'ok') => contactRow(id, { phone_number: phone, name });
    await log.deliver('contacts', 0, row(A, 'x'), row(B, 'y'), row(C, 'z'), row(D, 'w'));
    await log.deliver(
      'contacts',
      0,
      row(A, 'y', 'bad'),
      row(B, 'z', 'bad'),
      row(C, 'x', 'bad'),
      row(idAt(9), 'w', 'bad'),
    );
    expect(found(await again([contacts]))).toMatchObject({
      applied: 3,
      left: { '23P01 contacts contacts_user_phone_key': 1 },
    });
    expect(await read('SELECT phone_number AS phone FROM crm.contacts ORDER BY id')).toMatchObject([
      ...[{ phone: 'y' }, { phone: 'z' }, { phone: 'x' }, { phone: 'w' }],
    ]);
  });
});

describe('many dead letters', () => {
  it('are applied in transactions of bounded size, with progress, and can be stopped in between', async () => {
    log.replace(throwing(contacts, () => true));
    await log.deliver('contacts', 0, ...Array.from({ length: 450 }, (_, n) => contactRow(idAt(n))));
    const stopping = new AbortController();
    const seen: [number, number][] = [];
    const spy = vi.spyOn(pg.Client.prototype, 'query');
    const begins = () => spy.mock.calls.filter(([text]) => (text as unknown) === 'BEGIN').length;
    expect(await again([contacts], {}, { onProgress: (done, total) => seen.push([done, total]) })).toMatchObject({
      applied: 450,
    });
    expect(begins()).toBe(3);
    expect(seen.at(-1)).toEqual([450, 450]);
    stopping.abort();
    expect(await again([contacts], {}, { signal: stopping.signal })).toMatchObject({ selected: 0 });
  });

  it('with large records are not in memory together', async () => {
    log.replace(throwing(contacts, () => true));
    for (let n = 0; n < 4; n++) await log.deliver('contacts', 0, contactRow(idAt(n), { notes: 'x'.repeat(3_000_000) }));
    const spy = vi.spyOn(pg.Client.prototype, 'query');
    expect(await again([contacts])).toMatchObject({ applied: 4 });
    expect(spy.mock.calls.filter(([text]) => (text as unknown) === 'BEGIN')).toHaveLength(2);
  });

  it('are each applied once by several at a time, beside projectors', async () => {
    log.replace(broken);
    const ids = Array.from({ length: 60 }, (_, n) => idAt(n));
    for (let partition = 0; partition < 3; partition++) {
      await log.deliver(
        'quotes',
        partition,
        ...ids
          .filter((_, n) => n % 3 === partition)
          .map((id) => quoteRow(id, { quote_number: 'bad', email: 'one@x.org' })),
      );
    }
    log.replace(quotes);
    const work = [0, 1, 2].map(() => again([quotes]));
    const later = [0, 1, 2].map(async (partition) => {
      for (const id of ids.filter((_, n) => n % 9 === partition))
        await log.deliver('quotes', partition, quoteRow(id, { quote_number: 'later', email: 'one@x.org' }));
    });
    const results = await Promise.all(work);
    await Promise.all(later);
    const resolved = (text: string) =>
      read('SELECT count(*)::int AS n FROM crosswalk.dead_letter WHERE resolution LIKE $1', [text]).then(([row]) =>
        Number(row!.n),
      );
    const [redriven, overtaken] = [await resolved('redriven%'), await resolved('a later%')];
    expect(results.reduce((sum, { applied }) => sum + applied, 0)).toBe(redriven);
    expect(redriven + overtaken).toBe(60);
    const now = await numbers();
    expect(Object.values(now).filter((number) => number === 'later')).toHaveLength(21);
    expect(Object.values(now)).toHaveLength(60);
  });

  it.each([
    ['a projector at work on their partition', 'SELECT FROM crosswalk.consumer_offset WHERE partition = 0 FOR UPDATE'],
    ['the retry of parked changes', `SELECT pg_advisory_xact_lock(hashtext('crosswalk.parked'), hashtext('quotes'))`],
  ])('wait for %s', async (_, lock) => {
    log.replace(broken);
    await log.deliver('quotes', 0, quote(A, 'bad'));
    await client.query('BEGIN');
    await client.query(lock);
    const result = again([quotes]);
    try {
      await pollUntil(
        () => read(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`),
        (waiting) => waiting.length === 1,
      );
    } finally {
      await client.query('COMMIT');
    }
    expect(await result).toMatchObject({ applied: 1 });
  });

  it('never take a row back to an older version, in whatever order all of it happens', async () => {
    const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
    const random = createRandom(`redrive ${seed}`);
    // The number of the version is the market; the database itself refuses to go back.
    await client.query(`CREATE FUNCTION pg_temp.forward() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.market::int < OLD.market::int THEN RAISE EXCEPTION 'version % after %', NEW.market, OLD.market USING ERRCODE = 'XX001'; END IF; RETURN NEW; END $$`);
    await client.query(
      'CREATE TRIGGER forward BEFORE UPDATE ON crm.contacts FOR EACH ROW EXECUTE FUNCTION pg_temp.forward()',
    );
    let isBroken = true;
    const wobbly = throwing(contacts, (row) => isBroken && row.name === 'bad');
    log.replace(wobbly);
    const expected = new Map<string, string>();
    try {
      const retry = retryParked('contacts');
      let isOver = false;
      const redrives = (async () => {
        while (!isOver) await again([wobbly]);
      })();
      await Promise.all(
        [0, 1, 2].map(async (partition) => {
          for (let version = 1; version <= 40; version++) {
            const changes = Array.from({ length: random.int(1, 3) }, (_, n) => {
              const id = idAt(partition * 10 + random.int(0, 2));
              const market = String(version * 10 + n);
              expected.set(id, market);
              const name = random.chance(0.4) ? 'bad' : 'good';
              return contactRow(id, { market, name, lead_status_id: random.chance(0.2) ? '5' : null });
            });
            await log.deliver('contacts', partition, ...changes);
            if (version % 10 === 0) isBroken = !isBroken;
          }
        }),
      );
      isOver = true;
      await redrives;
      isBroken = false;
      await log.deliver('status_options', 0, optionRow('5'));
      retry.wake();
      await pollUntil(parked, (rows) => rows.length === 0);
      await again([wobbly]);
      expect(await openKeys(), `seed ${seed}`).toEqual([]);
      const rows = await read('SELECT id, market FROM crm.contacts ORDER BY id');
      expect(Object.fromEntries(rows.map((row) => [row.id, row.market])), `seed ${seed}`).toEqual(
        Object.fromEntries(expected),
      );
    } finally {
      await client.query('DROP TRIGGER forward ON crm.contacts');
    }
  });
});
