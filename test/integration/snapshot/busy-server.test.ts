// A legacy server that others keep busy: reading rests, as a role sees it that may see no more than everybody.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countBusySessions } from '../../../connectors/snapshot/legacy-load.ts';
import { requestSnapshot, waitForSnapshot } from '../../../connectors/snapshot/request.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';

let own: OwnPostgres;
let rig: ConnectorRig;
let url: URL;
beforeAll(async () => {
  own = await startOwnPostgres();
  url = new URL(own.url);
  url.username = 'reader';
  url.password = 'reader';
  rig = await createConnectorRig('busy', {
    legacyUrl: own.url,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY);
      INSERT INTO docs SELECT generate_series(1, 50);
      CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader';
      GRANT SELECT ON docs TO reader`,
    env: { CROSSWALK_CHUNK_ROWS: '10', LOG_LEVEL: 'info' },
  });
});
afterAll(async () => {
  await rig?.drop();
  await own?.close();
});

test('with more sessions in a transaction than it may have, no row is read; with fewer, all are', async () => {
  const sessions = await Promise.all(
    ['a', 'b'].map(async () => {
      const client = new pg.Client({ connectionString: own.url });
      await client.connect();
      await client.query('BEGIN');
      await client.query('SELECT 1');
      return client;
    }),
  );
  const reader = await connect(url.href, 'looks');
  const connector = startCli(['connect'], {
    ...rig.env,
    ...{ LEGACY_DATABASE_URL: url.href, CROSSWALK_SNAPSHOT_MAX_SESSIONS: '1' },
  });
  try {
    expect(await countBusySessions(reader)).toBe(2);
    await connector.untilSaid('reading rests: the legacy server is busy');
    await connector.untilSaid('initial load of a table begins');
    expect((await rig.readPosition())?.snapshot.docs).toBeUndefined();
    await sessions[0]!.query('COMMIT');
    expect(await countBusySessions(reader)).toBe(1);
    await connector.untilSaid('reading goes on');
    await rig.untilCaughtUp();
    expect((await rig.readPosition())?.snapshot.docs).toMatchObject({ done: true, rows: 50 });
  } finally {
    connector.child.kill('SIGKILL');
    await connector.ended;
    await Promise.all([reader, ...sessions].map((client) => client.end()));
  }
});

test('where there are fewer connections than it would read by, it reads by those that it has', async () => {
  await own.admin('ALTER ROLE reader CONNECTION LIMIT 4');
  const kafka = createKafka(rig.config.kafka(), createLog('silent'));
  const id = await requestSnapshot(rig.config, kafka, { table: 'docs' });
  const connector = startCli(['connect'], {
    ...rig.env,
    ...{ LEGACY_DATABASE_URL: url.href, CROSSWALK_SNAPSHOT_CONNECTIONS: '8' },
  });
  try {
    const { signal } = new AbortController();
    const result = await waitForSnapshot(rig.config, kafka, id, { signal, timeoutMs: 60_000 });
    expect(result).toMatchObject({ state: 'done', rows: 50 });
    expect(connector.stderr()).toContain('one connection less reads tables');
  } finally {
    connector.child.kill('SIGKILL');
    await connector.ended;
  }
});
