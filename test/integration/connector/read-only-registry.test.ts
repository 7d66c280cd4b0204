// A schema registry that lets nothing be written: what works all the same, what does not, and who says so.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createLog } from '../../../runtime/log.ts';
import { COMPATIBILITY, createRegistry } from '../../../schemas/avro/registry.ts';
import { runCli } from '../../support/cli.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { crm } from '../../support/crm.ts';
import { type OwnKafka, startOwnKafka } from '../../support/own-kafka.ts';
import { type OwnRegistry, startOwnRegistry } from '../../support/own-registry.ts';
import { waitUntil } from '../../support/wait-until.ts';

let kafka: OwnKafka;
let registry: OwnRegistry;
const rigs: ConnectorRig[] = [];
beforeAll(async () => {
  kafka = await startOwnKafka();
  registry = await startOwnRegistry(kafka.brokers);
}, 180_000);
afterAll(async () => {
  await Promise.all(rigs.map((rig) => rig.drop()));
  await registry?.close();
  await kafka?.close();
});

async function createRig(name: string): Promise<ConnectorRig> {
  const rig = await createConnectorRig(name, {
    kafkaBrokers: kafka.brokers,
    registryUrl: registry.url,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text); ALTER TABLE docs REPLICA IDENTITY FULL;
      INSERT INTO docs SELECT i, 'row ' || i FROM generate_series(1, 300) i`,
    env: { LOG_LEVEL: 'silent' },
  });
  rigs.push(rig);
  return rig;
}

async function setReadOnly(isReadOnly: boolean): Promise<void> {
  await registry.setReadOnly(isReadOnly);
  const client = createRegistry({ baseUrl: registry.url });
  await waitUntil(
    'the registry is in its new mode',
    async () => (await client.closedModes([])).length > 0 === isReadOnly,
  );
  client.close();
}

const modeChecks = async (rig: ConnectorRig) =>
  (
    await examine({ pipeline: crm, config: rig.config, log: createLog('silent'), signal: new AbortController().signal })
  ).filter(({ area, name }) => area === 'registry' && name === 'mode');

async function isWhole(rig: ConnectorRig): Promise<void> {
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  expect(log.length).toBeGreaterThanOrEqual(300);
}

test('where every schema is known a connector starts and goes on; a new schema is refused in the words of doctor', async () => {
  const rig = await createRig('readonly');
  await isWhole(rig);
  expect(await modeChecks(rig)).toEqual([]);
  await setReadOnly(true);
  await rig.legacy.query(`INSERT INTO docs VALUES (1000, 'while it is read-only')`);
  await isWhole(rig);
  expect(await modeChecks(rig)).toMatchObject([{ state: 'warning' }]);

  await rig.legacy.query('ALTER TABLE docs ADD COLUMN more text');
  await rig.legacy.query(`UPDATE docs SET more = 'of a new shape'`);
  const refused = await runCli(['connect'], rig.env);
  expect(refused).toMatchObject({ code: 2 });
  const [check] = await modeChecks(rig);
  expect(check?.what).toBe('The schema registry is in mode READONLY: it takes no new schema');
  expect(refused.stderr.trim()).toMatch(/^crosswalk connect: schema registry 127/);
  expect(refused.stderr.trim().endsWith(`: ${check!.what}. ${check!.remedy}`)).toBe(true);
  await setReadOnly(false);
  await isWhole(rig);
  expect(await modeChecks(rig)).toEqual([]);
}, 180_000);

test('one that has to take new subjects fails doctor, and ends a connector that streams too', async () => {
  const running = await createRig('readonly_runs');
  const connector = running.run();
  await running.untilCaughtUp();
  await setReadOnly(true);
  await running.legacy.query('ALTER TABLE docs ADD COLUMN more text');
  await running.legacy.query(`UPDATE docs SET more = 'of a new shape'`);
  expect(await connector.ended).toMatchObject({
    code: 'permission_denied',
    message: expect.stringContaining('The schema registry is in mode READONLY'),
    waits: false,
  });

  const rig = await createRig('readonly_new');
  expect(await modeChecks(rig)).toMatchObject([{ state: 'failing' }]);
  const refused = await runCli(['connect'], rig.env);
  expect(refused).toMatchObject({ code: 2 });
  const [check] = await modeChecks(rig);
  expect(refused.stderr.trim().endsWith(`: ${check!.what}. ${check!.remedy}`)).toBe(true);
  await setReadOnly(false);
  await isWhole(running);
  await isWhole(rig);
  // The rule is still set before the first schema.
  const client = createRegistry({ baseUrl: registry.url });
  for (const subject of [`${topicOf(rig.config, 'docs')}-key`, `${topicOf(rig.config, 'docs')}-value`])
    expect(await client.compatibilityOf(subject)).toBe(COMPATIBILITY);
  client.close();
}, 180_000);
