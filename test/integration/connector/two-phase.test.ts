// Transactions that the legacy application prepares first and commits later, over restarts of the connector.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';

let own: OwnPostgres;
let rig: ConnectorRig;
beforeAll(async () => {
  own = await startOwnPostgres();
  await own.admin('ALTER SYSTEM SET max_prepared_transactions = 10');
  await own.restart();
  rig = await createConnectorRig('prepared', {
    legacyUrl: own.url,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text); INSERT INTO docs VALUES (0, 'loaded')`,
  });
});
afterAll(async () => {
  await rig?.drop();
  await own?.close();
});

async function prepare(name: string, statement: string): Promise<void> {
  for (const each of ['BEGIN', statement, `PREPARE TRANSACTION '${name}'`]) await rig.legacy.query(each);
}

test('are in the log once they are committed, as one transaction at that place, and never where they are rolled back', async () => {
  let connector = rig.run();
  await rig.untilCaughtUp();
  await prepare('kept', `INSERT INTO docs VALUES (1, 'kept'), (2, 'kept')`);
  await prepare('dropped', `INSERT INTO docs VALUES (3, 'dropped')`);
  await prepare('later', `UPDATE docs SET label = 'later' WHERE id = 0`);
  await rig.legacy.query(`INSERT INTO docs VALUES (4, 'between')`);
  await rig.untilCaughtUp();
  await connector.stop();
  connector = rig.run();
  await rig.legacy.query(`COMMIT PREPARED 'kept'`);
  await rig.legacy.query(`ROLLBACK PREPARED 'dropped'`);
  await rig.untilCaughtUp();
  await connector.stop();
  await rig.legacy.query(`COMMIT PREPARED 'later'`);
  connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const inOrder = log
    .flatMap(({ value }) => (value === null || value.op === 'r' ? [] : [value]))
    .sort((a, b) => Number(a.source.commitLsn - b.source.commitLsn) || a.source.ordinal - b.source.ordinal);
  expect(inOrder.map(({ after }) => after?.id)).toEqual(['4', '1', '2', '0']);
});
