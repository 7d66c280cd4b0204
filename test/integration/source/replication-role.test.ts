// Amazon RDS gives nobody the attribute REPLICATION: members of rds_replication may stream there.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSourceChecks } from '../../../monitor/source-checks.ts';
import { parseConfig } from '../../../runtime/config.ts';
import { connect } from '../../../runtime/postgres.ts';
import { crm } from '../../support/crm.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';

let own: OwnPostgres;
beforeAll(async () => {
  own = await startOwnPostgres();
  await own.admin('CREATE TABLE t (id integer PRIMARY KEY)', 'CREATE ROLE reader LOGIN', 'GRANT SELECT ON t TO reader');
});
afterAll(async () => {
  await own?.close();
});

/** What doctor says of the rights of reader. */
async function lookAsReader() {
  const config = parseConfig({ LEGACY_DATABASE_URL: own.url, CROSSWALK_TABLES: 't' }, crm);
  const client = await connect(own.url, 'test');
  try {
    await client.query('SET ROLE reader');
    const checks = await readSourceChecks(client, config, null, new AbortController().signal, []);
    return checks.find(({ name }) => name === 'rights');
  } finally {
    await client.end();
  }
}

test('a role that lacks REPLICATION is told how it gets the right, there and elsewhere; a member of rds_replication has it', async () => {
  const lacks = { state: 'failing', what: 'Role reader lacks rights' };
  expect(await lookAsReader()).toMatchObject({ ...lacks, remedy: 'Run as the owner: ALTER ROLE reader REPLICATION;' });
  await own.admin('CREATE ROLE rds_replication');
  expect(await lookAsReader()).toMatchObject({
    ...lacks,
    remedy: 'Run as the owner: GRANT rds_replication TO reader;',
  });
  await own.admin('GRANT rds_replication TO reader');
  expect(await lookAsReader()).toMatchObject({ state: 'ok' });
});
