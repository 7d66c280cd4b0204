// A name that comes to stand for another column, or comes back, stops the connector: rows that were not written since have other cells in the log than in the table. The remedy reads them again.
import { afterEach, expect, test } from 'vitest';
import { requestResnapshot } from '../../../connectors/resnapshot.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
afterEach(() => rig?.drop());

const SCHEMA = `CREATE TABLE docs (id integer PRIMARY KEY, note text, a text);
  INSERT INTO docs SELECT i, 'note ' || i, 'a ' || i FROM generate_series(1, 300) i`;

interface Case {
  /** Steps; \`look\` waits until the connector has looked at the catalog in between, \`down\` and \`up\` stop and start it. */
  readonly steps: readonly string[];
  readonly line: RegExp;
  readonly keys?: string;
}

const NAMES = /public\.docs: names of its columns stand for other columns than before \(note\)/;
const AGAIN = /public\.docs: columns have names again that rows in between did not have \(note\)/;
const MOVED = /public\.docs: names of its columns stand for other columns than before \((x|y|x, y|y, x)\)/;
const cases: Record<string, Case> = {
  'dropped and added in one transaction': {
    steps: ['BEGIN; ALTER TABLE docs DROP note; ALTER TABLE docs ADD note text; COMMIT'],
    line: NAMES,
  },
  'dropped, and added later': {
    steps: ['ALTER TABLE docs DROP note', 'look', 'ALTER TABLE docs ADD note text'],
    line: NAMES,
  },
  'dropped, and given to another column in one transaction': {
    steps: ['BEGIN; ALTER TABLE docs DROP note; ALTER TABLE docs RENAME a TO note; COMMIT'],
    line: NAMES,
  },
  'dropped, and given to another column later': {
    steps: ['ALTER TABLE docs DROP note', 'look', 'ALTER TABLE docs RENAME a TO note'],
    line: NAMES,
  },
  'two that swap': {
    steps: [
      'BEGIN; ALTER TABLE docs RENAME note TO x; ALTER TABLE docs RENAME a TO note; ALTER TABLE docs RENAME x TO a; COMMIT',
    ],
    line: /stand for other columns than before \(a, note\)|stand for other columns than before \(note, a\)/,
  },
  'dropped and added while nobody looked': {
    steps: ['down', 'ALTER TABLE docs DROP note; ALTER TABLE docs ADD note text', 'up'],
    line: NAMES,
  },
  'renamed and back with rows in between, seen by looks': {
    steps: [
      'ALTER TABLE docs RENAME note TO other',
      `UPDATE docs SET other = 'between' WHERE id = 7`,
      'look',
      'ALTER TABLE docs RENAME other TO note',
    ],
    line: NAMES,
  },
  'renamed and back with rows in between, while nobody looked': {
    steps: [
      'down',
      'ALTER TABLE docs RENAME note TO other',
      `UPDATE docs SET other = 'between' WHERE id = 7; INSERT INTO docs VALUES (1001, 'between', 'x'); DELETE FROM docs WHERE id = 8`,
      'ALTER TABLE docs RENAME other TO note',
      `UPDATE docs SET note = 'behind' WHERE id = 9`,
      'up',
    ],
    line: AGAIN,
  },
  'added, filled, dropped and added while nobody looked': {
    steps: [
      'down',
      'ALTER TABLE docs ADD x text',
      `UPDATE docs SET x = 'old' WHERE id < 9`,
      'ALTER TABLE docs DROP x; ALTER TABLE docs ADD x text',
      'up',
    ],
    line: /stand for other columns than before \(x\)/,
  },
  'added, filled, and one given the name of another that goes while nobody looked': {
    steps: [
      'down',
      'ALTER TABLE docs ADD x text, ADD y text',
      `UPDATE docs SET x = 'old', y = 'new' WHERE id < 9`,
      'ALTER TABLE docs DROP x; ALTER TABLE docs RENAME y TO x',
      'up',
    ],
    line: /stand for other columns than before \(x\)/,
  },
  'added, filled and swapped while nobody looked': {
    steps: [
      'down',
      'ALTER TABLE docs ADD x text, ADD y text',
      `UPDATE docs SET x = 'x', y = 'y' WHERE id < 9`,
      'BEGIN; ALTER TABLE docs RENAME x TO t; ALTER TABLE docs RENAME y TO x; ALTER TABLE docs RENAME t TO y; COMMIT',
      `UPDATE docs SET note = 'behind' WHERE id = 9`,
      'up',
    ],
    line: MOVED,
  },
  'added, filled, and one given the name of another that is renamed while nobody looked': {
    steps: [
      'down',
      'ALTER TABLE docs ADD x text, ADD y text',
      `UPDATE docs SET x = 'x', y = 'y' WHERE id < 9`,
      'BEGIN; ALTER TABLE docs RENAME x TO t; ALTER TABLE docs RENAME y TO x; COMMIT',
      `UPDATE docs SET note = 'behind' WHERE id = 9`,
      'up',
    ],
    line: MOVED,
  },
};

async function expectInStatus(error: CrosswalkError): Promise<void> {
  const status = startCli(['status', '--json'], rig.env);
  await status.ended;
  const { findings } = JSON.parse(status.stdout()) as { findings: { level: string; what: string }[] };
  expect(findings.find(({ what }) => what.startsWith('No connector reads the slot'))).toMatchObject({
    level: 'failing',
    what: expect.stringContaining(toErrorLine(error)),
  });
}

test.each(Object.entries(cases))('%s', async (_, { steps, line }) => {
  rig = await createConnectorRig('names', { tables: ['docs'], schema: SCHEMA, env: { LOG_LEVEL: 'silent' } });
  let connector = rig.run();
  await rig.untilCaughtUp();
  for (const step of steps) {
    if (step === 'down') await connector.stop();
    else if (step === 'up') connector = rig.run();
    else if (step === 'look') {
      const { rows } = await rig.legacy.query<{ names: string }>(
        `SELECT string_agg(attname, ' ' ORDER BY attnum) AS names FROM pg_attribute WHERE attrelid = 'docs'::regclass AND attnum > 0 AND NOT attisdropped`,
      );
      await waitUntil('it has looked', async () => {
        const { names } = (await rig.readPosition())!.source!.tables.docs!;
        return names!.filter((name) => name !== '').join(' ') === rows[0]!.names;
      });
    } else await rig.legacy.query(step);
  }
  const error = (await connector.ended) as CrosswalkError;
  expect(error).toMatchObject({ code: 'source_changed' });
  expect(toErrorLine(error)).toMatch(line);
  expect(toErrorLine(error)).toMatch(/[Rr]un `crosswalk resnapshot docs`/);
  // It is the same at every start; what only the stream shows is in `status`, in the same words.
  const again = (await rig.run().ended) as CrosswalkError;
  expect(again.message).toBe(error.message);
  if (line === AGAIN) await expectInStatus(error);
  await requestResnapshot(rig.config, {
    ...{ tables: ['docs'], accept: false, log: createLog('silent'), signal: new AbortController().signal },
  });
  connector = rig.run();
  await rig.untilCaughtUp();
  const { differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  // Nothing of it is left: the same connector goes on.
  await rig.legacy.query(`UPDATE docs SET note = 'last' WHERE id = 10`);
  await rig.untilCaughtUp();
  await connector.stop();
});

test('let pass: a rename to a name that is new, and a column that goes', async () => {
  rig = await createConnectorRig('names', { tables: ['docs'], schema: SCHEMA, env: { LOG_LEVEL: 'silent' } });
  const connector = rig.run();
  await rig.untilCaughtUp();
  await rig.legacy.query(
    `ALTER TABLE docs RENAME note TO title; UPDATE docs SET title = 'x' WHERE id < 5; ALTER TABLE docs DROP a; INSERT INTO docs VALUES (2000, 'y')`,
  );
  await rig.untilCaughtUp();
  await connector.stop();
  const next = rig.run();
  await rig.untilCaughtUp();
  await next.stop();
});
