// What the first phase says of the owner's rights is what the migrations need of them.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { migrateUp } from '../../support/crm.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';
import { carry, createPhaseRig, type PhaseRig } from '../../support/phases.ts';

let rig: PhaseRig;
/** Roles are those of a server: one that crosswalk has never seen has none of its own. */
let own: OwnPostgres;
let url: string;
const role = `owner_${randomBytes(4).toString('hex')}`;
const ROLES = ['crosswalk_app', 'crosswalk_projector', 'crosswalk_reader', 'crosswalk_operator'];

beforeAll(async () => {
  rig = await createPhaseRig('prepare');
  own = await startOwnPostgres();
  const address = new URL(own.url);
  await own.admin(
    `CREATE ROLE ${role} LOGIN PASSWORD 'of_a_test'`,
    `GRANT CREATE ON DATABASE "${address.pathname.slice(1)}" TO ${role}`,
  );
  address.username = role;
  address.password = 'of_a_test';
  url = address.href;
});
afterAll(async () => {
  await own?.close();
  await rig?.drop();
});

async function ownerCheck() {
  const [result] = await carry(rig, ['prepare'], 'run', { TARGET_OWNER_URL: url });
  return result!.checks.find(({ area, name }) => area === 'target' && name === 'owner')!;
}

async function migrate(): Promise<void> {
  const owner = await connect(url, 'migrate');
  try {
    await migrateUp(owner, () => undefined);
  } finally {
    await owner.end();
  }
}

test('an owner must be able to make roles where one is missing, and only there', async () => {
  expect(await ownerCheck()).toMatchObject({
    state: 'failing',
    what: expect.stringContaining(
      `crosswalk/011_pipelines makes the roles ${ROLES.join(', ')}, which needs CREATEROLE`,
    ),
    remedy: expect.stringContaining(`ALTER ROLE ${role} CREATEROLE;`),
  });
  await expect(migrate()).rejects.toMatchObject({ code: '42501' });

  await own.admin(`ALTER ROLE ${role} CREATEROLE`);
  expect(await ownerCheck()).toMatchObject({ state: 'ok' });
  await own.admin(`ALTER ROLE ${role} NOCREATEROLE`, ...ROLES.map((name) => `CREATE ROLE ${name} NOLOGIN`));
  expect(await ownerCheck()).toMatchObject({ state: 'ok' });
  await migrate();
  expect(await ownerCheck()).toMatchObject({ state: 'ok' });
});
