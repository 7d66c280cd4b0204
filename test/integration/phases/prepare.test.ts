// What the first phase says of the owner's rights is what the migrations need of them.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { migrateUp, readMigrations } from '../../support/crm.ts';
import { carry, createPhaseRig, type PhaseRig } from '../../support/phases.ts';

let rig: PhaseRig;
let url: string;
const role = `owner_${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  rig = await createPhaseRig('prepare');
  const address = new URL(rig.env.TARGET_DATABASE_URL!);
  await rig.target.query(`CREATE ROLE ${role} LOGIN PASSWORD 'of_a_test'`);
  await rig.target.query(`GRANT CREATE ON DATABASE "${address.pathname.slice(1)}" TO ${role}`);
  address.username = role;
  address.password = 'of_a_test';
  url = address.href;
});
afterAll(async () => {
  await rig?.target.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await rig?.drop();
});

async function ownerCheck() {
  const [result] = await carry(rig, ['prepare'], 'run', { TARGET_OWNER_URL: url });
  return result!.checks.find(({ area, name }) => area === 'target' && name === 'owner')!;
}

async function migrate(upTo: number): Promise<void> {
  const owner = await connect(url, 'migrate');
  try {
    const migrations = readMigrations().filter(({ schema, number }) => schema !== 'crm' || number <= upTo);
    await migrateUp(owner, () => undefined, { migrations });
  } finally {
    await owner.end();
  }
}

test('an owner must be able to make roles as long as a migration that makes some is pending, whether they exist or not', async () => {
  // Roles are those of the server: other databases have made them already.
  await rig.target.query(
    `DO $$ BEGIN CREATE ROLE crosswalk_operator NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
  );
  expect(await ownerCheck()).toMatchObject({
    state: 'failing',
    what: expect.stringMatching(
      /crm\/004_views_and_access makes the roles crosswalk_app, crosswalk_projector, crosswalk_reader, crm\/008_stages makes the roles crosswalk_operator, which needs CREATEROLE even where they exist/,
    ),
    remedy: expect.stringContaining(`ALTER ROLE ${role} CREATEROLE;`),
  });
  await expect(migrate(4)).rejects.toMatchObject({ code: '42501' });

  await rig.target.query(`ALTER ROLE ${role} CREATEROLE`);
  expect(await ownerCheck()).toMatchObject({ state: 'ok' });
  await migrate(7);
  await rig.target.query(`ALTER ROLE ${role} NOCREATEROLE`);
  expect(await ownerCheck()).toMatchObject({
    state: 'failing',
    what: expect.not.stringContaining('crm/004'),
  });
  await rig.target.query(`ALTER ROLE ${role} CREATEROLE`);
  await migrate(100);
  await rig.target.query(`ALTER ROLE ${role} NOCREATEROLE`);
  expect(await ownerCheck()).toMatchObject({ state: 'ok' });
});
