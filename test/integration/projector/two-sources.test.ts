// One aggregate that two legacy tables feed: what its fold leaves out goes, whichever of them last wrote it.

import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import type { LegacyRow } from '../../../projectors/projection.ts';
import { createProjectorPool } from '../../support/crm.ts';
import { createScriptedLog, type ScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget } from '../../support/target-database.ts';
import { saying, TWO_SOURCES_TARGET, toPersonId, toPhoneId, twoSources } from '../../support/two-sources.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;

beforeAll(async () => {
  databases = await createDatabases('two_sources');
  client = await openTarget(databases.targetUrl);
  await client.query(TWO_SOURCES_TARGET);
  pool = createProjectorPool(databases.targetUrl, 'projector', 8);
});
beforeEach(async () => {
  await client.query(
    'TRUNCATE crm.people, crm.phones, crosswalk.consumer_offset, crosswalk.contribution, crosswalk.merge_key, crosswalk.parked_change, crosswalk.dead_letter',
  );
  log = await createScriptedLog(pool, createTenants({}), twoSources);
});
afterAll(async () => {
  await pool?.end();
  await client?.end();
  await databases?.drop();
});

const read = async (sql: string) => (await client.query(sql)).rows;
/** Live rows, people by name and phones by person. */
async function readLive(): Promise<{ people: string[]; phones: string[] }> {
  const ofPeople = await read('SELECT id::text, name FROM crm.people WHERE deleted_at IS NULL');
  const ofPhones = await read('SELECT id::text, person_id::text, phone FROM crm.phones WHERE deleted_at IS NULL');
  return {
    people: ofPeople.map(({ id, name }) => `${id} ${name ?? ''}`).sort(),
    phones: ofPhones.map(({ id, person_id, phone }) => `${id} ${person_id} ${phone}`).sort(),
  };
}
const lineageOf = async (table: string, id: string) =>
  (
    await read(
      `SELECT legacy_table, legacy_key, mapping_version, deleted_at IS NOT NULL AS gone, source_committed_at = deleted_at AS "at once" FROM crm.${table} WHERE id = '${id}'`,
    )
  )[0];

test('goes with a change of the table that did not write it', async () => {
  await log.deliver('signups', 0, saying('1', 'ann', { phone: '555' }));
  expect(await lineageOf('phones', toPhoneId('ann', '555'))).toMatchObject({ legacy_table: 'signups', gone: 'f' });
  await log.deliver('returns', 1, saying('7', 'ann', { phone: '555' }));
  // The change that last wrote the row is the one that took it away.
  expect(await lineageOf('phones', toPhoneId('ann', '555'))).toEqual({
    ...{ legacy_table: 'returns', legacy_key: '7', mapping_version: 'returns-1', gone: 't', 'at once': 't' },
  });
  expect((await readLive()).phones).toEqual([]);
  await log.deliver('returns', 1, { deleted: '7' });
  expect(await lineageOf('phones', toPhoneId('ann', '555'))).toMatchObject({ legacy_table: 'signups', gone: 'f' });
});

test('goes when the last of both tables retires, although it names the other one', async () => {
  await log.deliver('signups', 0, saying('1', 'ann', { name: 'Ann' }));
  await log.deliver('returns', 0, saying('1', 'ann', { name: 'Ann' }));
  await log.deliver('signups', 0, { deleted: '1' });
  expect(await lineageOf('people', toPersonId('ann'))).toMatchObject({ legacy_table: 'signups', gone: 'f' });
  await log.deliver('returns', 0, { deleted: '1' });
  expect(await lineageOf('people', toPersonId('ann'))).toMatchObject({
    ...{ legacy_table: 'returns', legacy_key: '1', gone: 't' },
  });
});

test('two tables with the same key contribute beside each other', async () => {
  await log.deliver('signups', 0, saying('1', 'ann', { name: 'Ann', phone: '555' }));
  await log.deliver('returns', 0, saying('1', 'bob', { name: 'Bob', phone: '555' }));
  await log.deliver('returns', 0, saying('1', 'cid', { name: 'Cid', phone: '556' }));
  expect(await readLive()).toEqual({
    people: [`${toPersonId('ann')} Ann`, `${toPersonId('cid')} Cid`].sort(),
    phones: [`${toPhoneId('ann', '555')} ${toPersonId('ann')} 555`],
  });
});

test('rows of the application stay, whatever the fold leaves out', async () => {
  await log.deliver('signups', 0, saying('1', 'ann', { phone: '555' }));
  await client.query(
    `INSERT INTO crm.phones (id, tenant_id, person_id, phone) VALUES ('90000000-0000-4000-8000-000000000001', 't', '${toPersonId('ann')}', '556')`,
  );
  await log.deliver('returns', 1, saying('7', 'ann', { phone: '555' }));
  expect((await readLive()).phones).toEqual([`90000000-0000-4000-8000-000000000001 ${toPersonId('ann')} 556`]);
});

/** What the rows that are there now say, without any fold. */
function expectedOf(signups: readonly LegacyRow[], returned: readonly LegacyRow[]) {
  const names = new Map<string, string>();
  for (const { person, name } of [...signups, ...returned]) {
    const known = names.get(person!) ?? '';
    names.set(person!, (name ?? '') > known ? name! : known);
  }
  const isBack = (row: LegacyRow) => returned.some(({ person, phone }) => person === row.person && phone === row.phone);
  const phones = new Set(
    signups
      .filter((row) => row.phone !== null && !isBack(row))
      .map(({ person, phone }) => `${toPhoneId(person!, phone!)} ${toPersonId(person!)} ${phone}`),
  );
  return {
    people: [...names].map(([person, name]) => `${toPersonId(person)} ${name}`).sort(),
    phones: [...phones].sort(),
  };
}

test(`any order of changes of both ends in what the rows say, seed ${seed}`, async () => {
  const random = createRandom(seed);
  const current = { signups: new Map<string, LegacyRow>(), returns: new Map<string, LegacyRow>() };
  const change = (table: 'signups' | 'returns', partition: number) => {
    const key = String(random.int(0, 1) * 2 + partition);
    const known = current[table];
    if (known.has(key) && random.chance(0.3)) {
      known.delete(key);
      return { deleted: key };
    }
    const name = random.chance(0.7) ? { name: random.pick(['Ann', 'Bea', 'Cid']) } : {};
    const phone = random.chance(0.8) ? { phone: random.pick(['1', '2', '3']) } : {};
    const row = saying(key, random.pick(['ann', 'bob', 'cid']), { ...name, ...phone });
    known.set(key, row);
    return row;
  };
  for (let round = 0; round < 150; round += 1) {
    // Both tables, and both partitions of each, at the same time.
    const batches = (['signups', 'returns'] as const).flatMap((table) =>
      [0, 1].flatMap((partition) => {
        if (random.chance(0.4)) return [];
        const rows = Array.from({ length: random.int(1, 3) }, () => change(table, partition));
        return [{ table, partition, changes: rows.flatMap((row) => log.append(table, partition, row)) }];
      }),
    );
    await Promise.all(batches.map(({ table, partition, changes }) => log.apply(table, partition, changes)));
    expect(await readLive(), `round ${round}`).toEqual(
      expectedOf([...current.signups.values()], [...current.returns.values()]),
    );
  }
});
