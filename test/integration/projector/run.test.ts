// Projectors that must stop for a person, in this process: at a log that is not whole, and at a source that lacks a column.
import kafkajs from 'kafkajs';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { statusOptions } from '../../../pipelines/crm/projections/status-options.ts';
import { workspaces } from '../../../pipelines/crm/projections/workspaces.ts';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { runProjectors } from '../../../projectors/project.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { createProjectionStatus, type ProjectionStatus } from '../../../projectors/status.ts';
import { topicOf } from '../../../runtime/config.ts';
import type { CrosswalkError } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
let target: pg.Client;
let ends: Readonly<Record<string, readonly string[]>>;
const stopping = new AbortController();
const running: Promise<unknown>[] = [];

beforeAll(async () => {
  rig = await createConnectorRig('run', { env: { CROSSWALK_SESSION_TIMEOUT_MS: '6000' } });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'run', contacts: 60, quotes: 60 });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  ends = (await rig.readPosition())!.offsets;
});
afterAll(async () => {
  stopping.abort();
  await Promise.all(running);
  await target?.end();
  await rig?.drop();
});

/** Runs projections until they stop by themselves, or `isPast` says that they did not. */
async function runUntil(
  projections: readonly Projection[],
  isPast: (status: ReadonlyMap<string, ProjectionStatus>) => boolean,
): Promise<{ error: CrosswalkError | null; statuses: ReadonlyMap<string, ProjectionStatus> }> {
  const statuses = new Map(projections.map(({ name }) => [name, createProjectionStatus(name)]));
  const options = { log: createLog('silent'), signal: stopping.signal };
  const ended = runProjectors(rig.config, projections, createTenants({}), statuses, options).then(
    () => null,
    (error: CrosswalkError) => error,
  );
  running.push(ended);
  let error: CrosswalkError | null = null;
  void ended.then((thrown) => {
    error = thrown;
  });
  await waitUntil('they stop, or go on', () => error !== null || isPast(statuses));
  return { error, statuses };
}

const isRunning = (statuses: ReadonlyMap<string, ProjectionStatus>) =>
  [...statuses.values()].some(({ state }) => state === 'running');

test.concurrent('a log that was cut before what is to be applied next', async () => {
  const topic = topicOf(rig.config, statusOptions.source);
  const partition = ends[topic]!.findIndex((end) => end !== '0');
  const admin = new kafkajs.Kafka({ brokers: rig.env.KAFKA_BROKERS!.split(',') }).admin();
  await admin.connect();
  // The library deletes only from a topic whose leaders it has asked for.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: ends[topic]![partition]! }] });
  await admin.disconnect();
  const { error } = await runUntil([statusOptions], isRunning);
  expect(error).toMatchObject({ code: 'log_gap', remedy: expect.stringContaining('The log was cut') });
});

// A broker that has crashed shows less for a moment: so long it waits.
test.concurrent('a log that ends before what was applied', async () => {
  await target.query(
    'INSERT INTO crosswalk.consumer_offset (projection, topic, partition, next_offset) SELECT $1, $2, p, 1000000 FROM generate_series(0, 2) p',
    [quotes.name, topicOf(rig.config, quotes.source)],
  );
  const { error } = await runUntil([quotes], isRunning);
  expect(error).toMatchObject({ code: 'log_gap', remedy: expect.stringContaining('The topic was re-created') });
});

test.concurrent('one that stops for a person ends the others, which finish first', async () => {
  const broken = { ...workspaces, requires: [...workspaces.requires, 'gone'] };
  const { error, statuses } = await runUntil(
    [broken, contacts],
    (all) => all.get(workspaces.name)!.records > 0 && all.get(contacts.name)!.records > 0,
  );
  expect(error).toMatchObject({ code: 'source_changed', message: expect.stringContaining('workspaces.gone') });
  expect(statuses.get(contacts.name)!.state).toBe('stopped');
});
