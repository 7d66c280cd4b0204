// The log is cut under a projector that runs and is behind: the library would go on behind the gap, and nothing would ever tell.
import kafkajs from 'kafkajs';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workspaces } from '../../../pipelines/crm/projections/workspaces.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { runProjectors } from '../../../projectors/project.ts';
import { createProjectionStatus } from '../../../projectors/status.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
let target: pg.Client;
let connector: RunningConnector;
const stopping = new AbortController();
let ended: Promise<unknown> = Promise.resolve(null);

beforeAll(async () => {
  rig = await createConnectorRig('cut', { env: { CROSSWALK_PARTITIONS: '1' } });
  await rig.legacy.query(`INSERT INTO workspaces (id, name) VALUES ('w', 'first')`);
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  connector = rig.run();
  await rig.untilCaughtUp();
});
afterAll(async () => {
  stopping.abort();
  await ended;
  await target?.end();
  await rig?.drop();
});

const nameInTarget = async () =>
  (await target.query<{ name: string }>(`SELECT name FROM crm.tenants WHERE id = 'w'`)).rows[0]?.name;
const rename = (name: string) => rig.legacy.query('UPDATE workspaces SET name = $1', [name]);

test('it stops, and applies nothing behind the gap', async () => {
  const topic = topicOf(rig.config, workspaces.source);
  const status = createProjectionStatus(workspaces.name);
  let error: unknown = null;
  ended = runProjectors(rig.config, [workspaces], createTenants({}), new Map([[workspaces.name, status]]), {
    log: createLog('silent'),
    signal: stopping.signal,
  }).catch((thrown: unknown) => {
    error = thrown;
  });
  await waitUntil('it applies', async () => (await nameInTarget()) === 'first');

  const holder = await connect(rig.env.TARGET_DATABASE_URL!, 'holder');
  try {
    await holder.query('BEGIN; SELECT FROM crosswalk.consumer_offset FOR UPDATE');
    await rename('second');
    await waitUntil('it waits to apply a change', async () => {
      const { rows } = await target.query(
        `SELECT FROM pg_stat_activity WHERE application_name = 'crosswalk-projector' AND wait_event_type = 'Lock' AND datname = current_database()`,
      );
      return rows.length > 0;
    });
    // What is next may have been fetched meanwhile, and is whole then; what is behind it has not.
    for (const name of ['third', 'cut off', 'cut off too']) {
      await rename(name);
      await rig.untilCaughtUp();
    }
    const admin = new kafkajs.Kafka({ brokers: rig.env.KAFKA_BROKERS!.split(',') }).admin();
    await admin.connect();
    // The library deletes only from a topic whose leaders it has asked for.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({
      topic,
      partitions: [{ partition: 0, offset: (await rig.readPosition())!.offsets[topic]![0]! }],
    });
    await admin.disconnect();
    await rename('fourth');
    await rig.untilCaughtUp();
    await holder.query('ROLLBACK');
  } finally {
    await holder.end();
  }
  await waitUntil('it stops, or goes on', async () => error !== null || (await nameInTarget()) === 'fourth');
  expect(['second', 'third']).toContain(await nameInTarget());
  expect(error).toMatchObject({ code: 'log_gap' });
  await connector.stop();
});
