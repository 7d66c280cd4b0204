// Settings of roles and rights in schemas: sessions pin what they rest on, and a right that is lacking is named before it is missed.

import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { captureOf } from '../../../connectors/source-state.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { crm, parseConfig } from '../../support/crm.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';

/** What a role may have been given once, by somebody who thought of people at a prompt. */
const LIMITS = [
  `statement_timeout = '15ms'`,
  `lock_timeout = '1ms'`,
  `idle_in_transaction_session_timeout = '20ms'`,
  `idle_session_timeout = '20ms'`,
  `transaction_timeout = '25ms'`,
  'default_transaction_read_only = on',
  'default_transaction_isolation = serializable',
  'default_transaction_deferrable = on',
  'transform_null_equals = on',
  'standard_conforming_strings = off',
];

/** An address with a login of its own on the same database, with these rights. */
async function login(url: string, owner: pg.Client, rights: (role: string) => readonly string[]): Promise<string> {
  const role = `limited_${Math.random().toString(36).slice(2, 10)}`;
  await owner.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'limited'`);
  for (const right of rights(role)) await owner.query(right);
  const limited = new URL(url);
  limited.username = role;
  limited.password = 'limited';
  return limited.href;
}

async function limit(owner: pg.Client, url: string): Promise<void> {
  const { rows } = await owner.query<{ name: string }>('SELECT name FROM pg_settings');
  const known = new Set(rows.map(({ name }) => name));
  for (const setting of LIMITS.filter((text) => known.has(text.split(' ')[0]!)))
    await owner.query(`ALTER ROLE ${new URL(url).username} SET ${setting}`);
}

async function dropLogin(owner: pg.Client, url: string): Promise<void> {
  const role = new URL(url).username;
  await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
}

test('time limits and defaults of the roles of connector and projectors: the pipeline goes on, and verifies', async () => {
  let pipeline: VerifyRig | null = null;
  try {
    pipeline = await createVerifyRig('limits', { seed: 'limits', contacts: 300, quotes: 300 });
    const { rig, legacy, target } = pipeline;
    const legacyUrl = await login(rig.env.LEGACY_DATABASE_URL!, legacy, (role) => [
      `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`,
    ]);
    const targetUrl = await login(rig.env.TARGET_DATABASE_URL!, target, (role) => [
      `GRANT crosswalk_projector TO ${role}`,
    ]);
    await limit(legacy, legacyUrl);
    await limit(target, targetUrl);
    await pipeline.stopProjectors();
    await pipeline.connector.stop();
    const env = { ...rig.env, LEGACY_DATABASE_URL: legacyUrl, TARGET_DATABASE_URL: targetUrl };
    const limited = await pipeline.under(env);
    try {
      await legacy.query(`UPDATE contacts SET notes = 'under limits'; UPDATE quotes SET notes = 'under limits'`);
      await limited.untilApplied();
      const { rows } = await target.query('SELECT count(*) FROM crm.quotes_new WHERE notes = $1', ['under limits']);
      expect(Number(rows[0]!.count)).toBeGreaterThan(250);
      const result = await limited.verify();
      expect(namesOf(result)).toEqual([]);
      expect(result.ok).toBe(true);
    } finally {
      await limited.stop();
    }
    await dropLogin(legacy, legacyUrl);
    await dropLogin(target, targetUrl);
  } finally {
    await pipeline?.drop();
  }
}, 240_000);

let rig: ConnectorRig;
let owner: pg.Client;
beforeAll(async () => {
  rig = await createConnectorRig('closed', {
    tables: ['t'],
    schema: `CREATE SCHEMA "own types"; CREATE TYPE "own types".mood AS ENUM ('good', 'bad'); CREATE EXTENSION citext SCHEMA "own types";
      CREATE TABLE t (mood "own types".mood, name "own types".citext, v text, PRIMARY KEY (mood, name));
      INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 'good' ELSE 'bad' END::"own types".mood, 'n' || i, 'x' FROM generate_series(1, 30) i`,
    env: { CROSSWALK_CHUNK_ROWS: '10', LOG_LEVEL: 'silent' },
  });
  owner = await connect(rig.env.LEGACY_DATABASE_URL!, 'owner');
});
afterAll(async () => {
  await owner?.end();
  await rig?.drop();
});

test('a key whose types are in a schema that the role may not use: refused before the first chunk, and by doctor and the plan', async () => {
  const url = await login(rig.env.LEGACY_DATABASE_URL!, owner, (role) => [`GRANT SELECT ON t TO ${role}`]);
  try {
    const role = new URL(url).username;
    const limited = { LEGACY_DATABASE_URL: url };
    const config = parseConfig({ ...rig.env, ...limited });
    const error = (await rig.run(limited).ended) as CrosswalkError;
    expect(toErrorLine(error)).toBe(
      `Types of primary keys are in schemas that role "${role}" may not use: own types. Run as their owner: GRANT USAGE ON SCHEMA "own types" TO "${role}";`,
    );
    const checks = await examine({
      pipeline: crm,
      config,
      log: createLog('silent'),
      signal: new AbortController().signal,
    });
    expect(checks).toContainEqual(
      expect.objectContaining({ state: 'failing', what: error.message, remedy: error.remedy }),
    );
    // Under the owner's address the connector's role is looked at all the same.
    await expect(planSourceSetup(owner, captureOf(config))).rejects.toMatchObject({ message: error.message });
    await owner.query(/GRANT [^;]*/.exec(error.remedy)![0]);
    const connector = rig.run(limited);
    await rig.untilCaughtUp();
    await owner.query(`UPDATE t SET v = 'y' WHERE name = 'N3'`);
    await rig.untilCaughtUp();
    expect((await rig.readCheckedLog()).differences).toEqual([]);
    await connector.stop();
  } finally {
    await dropLogin(owner, url);
  }
}, 120_000);
