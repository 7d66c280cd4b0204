import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('change', {
    tables: ['docs', 'other'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text, n integer NOT NULL DEFAULT 0, gone text);
      CREATE TABLE other (id integer PRIMARY KEY, label text)`,
    env: { CROSSWALK_CHUNK_ROWS: '10', LOG_LEVEL: 'error' },
  });
  await rig.legacy.query(`INSERT INTO docs SELECT i, 'label ' || i, i, 'gone' FROM generate_series(1, 1500) i`);
});
afterAll(() => rig?.drop());

/** Updates and inserts without a pause, until stopped. */
function startWriter(firstId = 10_000): { stop(): Promise<number> } {
  let stopping = false;
  let written = 0;
  const done = (async () => {
    const client = await connect(rig.env.LEGACY_DATABASE_URL!, 'writer');
    try {
      for (; !stopping; written++) {
        await client.query('UPDATE docs SET label = $1 WHERE id % 100 = $2', [`write ${written}`, written % 100]);
        await client.query('INSERT INTO docs (id, label) VALUES ($1, $2)', [firstId + written, `new ${written}`]);
        if (written % 5 === 0) await client.query('DELETE FROM docs WHERE id = $1', [1 + (written % 1500)]);
      }
    } finally {
      await client.end();
    }
    return written;
  })();
  done.catch(() => undefined);
  return {
    stop: () => {
      stopping = true;
      return done;
    },
  };
}

async function expectWholeLog(): Promise<void> {
  const { differences, faults } = await rig.readCheckedLog();
  expect(differences).toEqual([]);
  expect(faults).toEqual([]);
}

test('columns change during the initial load, with changes of the old columns still to come', async () => {
  // The slot and the position are there, the load is not done, and what follows is written while nobody reads.
  const first = rig.run();
  await waitUntil('the load is under way', () => Number(first.status.snapshot.docs?.lastKey?.[0] ?? 0) > 20, 20_000, 1);
  await rig.legacy.query(`UPDATE docs SET label = 'old columns' WHERE id IN (1, 1400)`);
  await first.stop();
  expect((await rig.readPosition())!.snapshot.docs?.done ?? false).toBe(false);
  await rig.legacy.query(`UPDATE docs SET label = 'old columns' WHERE id IN (2, 1401)`);
  await rig.legacy.query('ALTER TABLE docs ADD COLUMN added numeric(6,2)');
  await rig.legacy.query(`UPDATE docs SET label = 'new columns', added = 1.50 WHERE id IN (3, 1402)`);
  const second = rig.run();
  const writer = startWriter();
  await waitUntil('it streams again', () => second.status.state === 'streaming');
  if (!second.status.snapshot.docs?.done) {
    await rig.legacy.query('ALTER TABLE docs RENAME COLUMN added TO renamed');
    await rig.legacy.query('UPDATE docs SET renamed = 7 WHERE id = 4');
  }
  await rig.untilCaughtUp();
  expect(await writer.stop()).toBeGreaterThan(10);
  // Rows read before the change have the older columns until they are written again.
  await rig.legacy.query('UPDATE docs SET label = label');
  await rig.untilCaughtUp();
  await expectWholeLog();
  await second.stop();
});

test('ADD, RENAME and DROP COLUMN under load go through the stream', async () => {
  const connector = rig.run();
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  const sessions = connector.status.kafkaTransactions;
  const writer = startWriter(50_000);
  await rig.legacy.query('ALTER TABLE docs ADD COLUMN extra jsonb');
  await rig.legacy.query(`UPDATE docs SET extra = '{"a": 1}' WHERE id < 50`);
  await rig.legacy.query('ALTER TABLE docs RENAME COLUMN extra TO more');
  await rig.legacy.query(`UPDATE docs SET more = '{"b": [2]}' WHERE id BETWEEN 20 AND 70`);
  await rig.legacy.query('ALTER TABLE docs DROP COLUMN gone');
  await rig.legacy.query(`INSERT INTO docs (id, label) VALUES (-5, 'without it')`);
  await writer.stop();
  await rig.legacy.query('UPDATE docs SET label = label');
  await rig.untilCaughtUp();
  expect(connector.status.kafkaTransactions).toBeGreaterThan(sessions);
  await expectWholeLog();
  await connector.stop();
});

test('another type of a column stops it with one line', async () => {
  const connector = rig.run();
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  await rig.legacy.query('ALTER TABLE docs ALTER n DROP DEFAULT, ALTER n TYPE text USING n::text');
  await rig.legacy.query(`UPDATE docs SET n = 'text' WHERE id = 10`);
  // Whether the stream or a look at the catalog comes first: it stops, and the next start, and the remedy of the look, end with the registry's refusal.
  expect(await connector.ended).toMatchObject({
    code: expect.stringMatching(/^(schema_incompatible|source_changed)$/),
  });
  const error = (await rig.run().ended) as CrosswalkError;
  expect(error).toMatchObject({ code: 'schema_incompatible' });
  expect(toErrorLine(error)).toMatch(
    /docs: column "n" is text now, and its events in the log are int\..*old type back, run `crosswalk resnapshot docs`/,
  );
  expect(toErrorLine(error)).not.toContain('\n');
});
