// Every state that doctor can find, on real servers, with its remedy.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import type { Check } from '../../../monitor/checks.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { crm, migrateUp, sources } from '../../support/crm.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';
import { untilSlotIsFree } from '../../support/slot.ts';
import { stackAddresses } from '../../support/stack.ts';
import { alterTopic } from '../../support/topic-settings.ts';
import { waitUntil } from '../../support/wait-until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
let own: OwnPostgres;
let rig: ConnectorRig;
let connector: RunningConnector;
const isLimited = ({ name, state }: Check) => name === 'wal' && state === 'ok';
beforeAll(async () => {
  own = await startOwnPostgres();
  rig = await createConnectorRig('doctor', {
    legacyUrl: own.url,
    env: { CROSSWALK_TABLES: sources.join(), LOG_LEVEL: 'silent' },
  });
});
afterAll(async () => {
  await rig?.drop();
  await own?.close();
});

const look = (of = rig): Promise<Check[]> =>
  examine({ pipeline: crm, config: of.config, log: createLog('silent'), signal: new AbortController().signal });
const failing = (checks: readonly Check[]) =>
  checks
    .filter(({ state }) => state === 'failing')
    .map(({ area, name, what, remedy }) => `${area} ${name}: ${what} -> ${remedy}`);

function runCli(...args: string[]): { code: number | null; out: string } {
  const { status, stdout } = spawnSync(process.execPath, ['cli/main.ts', ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, CROSSWALK_ENV_FILE: '/nowhere/env', ...rig.env },
    encoding: 'utf8',
  });
  return { code: status, out: stdout };
}

async function withAdmin(work: (admin: kafkajs.Admin) => Promise<unknown>): Promise<void> {
  const { kafkaBrokers } = stackAddresses();
  const admin = new kafkajs.Kafka({ brokers: kafkaBrokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await work(admin).finally(() => admin.disconnect());
}
const setRetention = (value: string) =>
  alterTopic(rig.config, stackAddresses().kafkaBrokers, topicOf(rig.config, 'contacts'), { 'retention.ms': value });

test('before anything has run: migrations and the connector are missing', async () => {
  const found = failing(await look());
  expect(found).toContainEqual(
    expect.stringMatching(/^target migrations: Not applied: .*crm 1 tenancy.*`crosswalk migrate up`/),
  );
  expect(found).toContainEqual(expect.stringMatching(/No position is stored.*Start the connector/));
  const target = await connect(rig.env.TARGET_DATABASE_URL!, 'test');
  await migrateUp(target, () => undefined);
  await target.end();
});

test('a pipeline that runs has nothing that fails', async () => {
  connector = rig.run();
  await rig.legacy.query(`INSERT INTO workspaces (id, name) SELECT gen_random_uuid(), 'w' FROM generate_series(1, 9)`);
  await rig.untilCaughtUp();
  const checks = await look();
  expect(failing(checks)).toEqual([]);
  const areas = [
    'source capture',
    'source changes',
    'Kafka topics',
    'Kafka log',
    'Kafka position',
    'registry compatibility',
    'target migrations',
    'target rights',
    'pipeline connector',
  ];
  expect(checks.filter(({ state }) => state === 'ok').map(({ area, name }) => `${area} ${name}`)).toEqual(
    expect.arrayContaining(areas),
  );
  expect(checks.every(({ state, remedy }) => (state === 'ok') === (remedy === null))).toBe(true);
  const { code, out } = runCli('doctor', '--json');
  expect(JSON.parse(out)).toMatchObject({ state: expect.stringMatching(/^(ok|warning)$/) });
  expect(code).toBe(0);
});

test('retention that would cut the log, and a log that was cut', async () => {
  const topic = topicOf(rig.config, 'workspaces');
  const ends = (await rig.readPosition())!.offsets[topic]!;
  const partition = ends.findIndex((end) => end !== '0');
  const target = await connect(rig.env.TARGET_DATABASE_URL!, 'test');
  await target.query(
    'INSERT INTO crosswalk.consumer_offset (projection, topic, partition, next_offset) SELECT $1, $2, p, 0 FROM generate_series(0, 2) p',
    ['workspaces', topic],
  );
  await setRetention('604800000');
  let checks: Check[] = [];
  const lookFor = (state: Check['state'], name: string) =>
    waitUntil(`${name} is ${state}`, async () => {
      checks = await look();
      return checks.some((check) => check.state === state && check.name === name);
    });
  await lookFor('failing', 'retention');
  expect(failing(checks)).toEqual([
    expect.stringMatching(
      /^Kafka retention: Topic .*contacts has retention\.ms=604800000.*--add-config retention\.ms=-1/,
    ),
  ]);
  expect(checks.find(({ name }) => name === 'log')).toMatchObject({ state: 'ok' });
  await setRetention('-1');
  await withAdmin(async (admin) => {
    // The library deletes only from a topic whose leaders it has asked for.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: ends[partition]! }] });
  });
  await lookFor('failing', 'log');
  expect(failing(checks)).toContainEqual(
    expect.stringMatching(
      /^Kafka log: .*workspaces\/\d holds offsets \d+ to \d+, projection workspaces goes on at 0 -> The log was cut/,
    ),
  );
  await target.query('DELETE FROM crosswalk.consumer_offset');
  await target.end();
  await lookFor('warning', 'log');
  await lookFor('ok', 'topics');
});

test('a source that changed without events, or lacks something', async () => {
  await connector.stop();
  await rig.legacy.query('DROP PUBLICATION crosswalk');
  expect(failing(await look())).toContainEqual(
    expect.stringMatching(/^source capture: .*no publication crosswalk -> .*CREATE PUBLICATION/),
  );
  await rig.legacy.query(`CREATE PUBLICATION crosswalk FOR TABLE ${sources.join(', ')}`);
  expect(failing(await look())).toEqual([
    expect.stringMatching(
      new RegExp(
        `^source changes: .*the publication was dropped and created again.*\`crosswalk resnapshot ${sources.join(' ')}\``,
      ),
    ),
  ]);
  const done = runCli('resnapshot');
  expect(done.out).toContain(`the connector will reread: ${sources.join(', ')}`);
  expect(done.code).toBe(0);
  connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
});

test('a slot that is invalidated, gone, and re-created: in status, too', async () => {
  await own.admin(`ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'`, 'SELECT pg_reload_conf()');
  await waitUntil('the limit is in force', async () => (await look()).some(isLimited), 20_000, 100);
  for (let segment = 0; segment < 6; segment++)
    await own.admin(`SELECT pg_logical_emit_message(false, 'test', 'x')`, 'SELECT pg_switch_wal()');
  await own.admin('CHECKPOINT');
  expect(failing(await look())).toContainEqual(
    expect.stringMatching(
      /^pipeline connector: Replication slot .* was invalidated \(wal_removed\) -> .*"A lost slot"/,
    ),
  );
  expect(await rig.run().ended).toMatchObject({ code: 'slot_invalid' });

  await untilSlotIsFree(rig.legacy, rig.config.slot);
  await rig.legacy.query('SELECT pg_drop_replication_slot($1)', [rig.config.slot]);
  expect(failing(await look())).toContainEqual(
    expect.stringMatching(/^pipeline connector: Replication slot .* does not exist -> .*"A lost slot"/),
  );

  await rig.legacy.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [rig.config.slot]);
  expect(failing(await look())).toContainEqual(
    expect.stringMatching(/^Kafka position: The slot is confirmed up to .*past the stored position/),
  );
  const status = runCli('status');
  expect(status.out).toMatch(/failing: Replication slot .* was re-created.*\n.*"A lost slot"/);
  expect(status.code).toBe(1);
  const doctor = runCli('doctor');
  expect(doctor.out).toMatch(/^failing {2}pipeline connector +Replication slot .* was re-created/m);
  expect(doctor.code).toBe(1);
});
