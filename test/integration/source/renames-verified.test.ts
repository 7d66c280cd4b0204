// Columns of contacts that go, move and come back, through the whole pipeline: after the remedy every row of the new schema is verified, and nothing waits.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestResnapshot } from '../../../connectors/resnapshot.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import type { RunningConnector } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';

let pipeline: VerifyRig;
let connector: RunningConnector;
beforeAll(async () => {
  pipeline = await createVerifyRig('renames', {
    seed: 'renames',
    contacts: 400,
    quotes: 50,
    env: { LOG_LEVEL: 'silent' },
  });
  connector = pipeline.connector;
});
afterAll(() => pipeline?.drop());

async function healed(line: RegExp, { discards = false } = {}): Promise<void> {
  const error = (await connector.ended) as CrosswalkError;
  expect(toErrorLine(error)).toMatch(line);
  await requestResnapshot(pipeline.rig.config, {
    ...{ tables: ['contacts'], accept: false, log: createLog('silent'), signal: new AbortController().signal },
  });
  connector = pipeline.rig.run();
  await pipeline.stopProjectors().catch(() => undefined);
  pipeline.startProjectors();
  await pipeline.untilApplied();
  if (discards) {
    // A history keeps every change: what one in between did to it is not told again, and a person says so.
    const args = ['--projection', 'contact_history', '--matching', 'was missing for a while'];
    const discard = startCli(['dlq', 'discard', ...args, '--reason', 'renamed and back', '--yes'], pipeline.rig.env);
    expect([await discard.ended, discard.stderr()]).toEqual([0, '']);
  }
  const result = await pipeline.verify();
  expect(namesOf(result)).toEqual([]);
  const open = await pipeline.target.query(
    'SELECT projection, reason, count(*) FROM crosswalk.dead_letter WHERE resolved_at IS NULL GROUP BY 1, 2',
  );
  expect([open.rows, result.checks.filter(({ ok }) => !ok)]).toEqual([[], []]);
  expect(result).toMatchObject({ ok: true });
}

const withProduct = async () => {
  const { rows } = await pipeline.target.query<{ count: string }>(
    'SELECT count(*) FROM crm.leads WHERE product_interest IS NOT NULL AND deleted_at IS NULL',
  );
  return Number(rows[0]!.count);
};

test('a column dropped and added in one transaction: no lead keeps what legacy no longer has', async () => {
  expect(await withProduct()).toBeGreaterThan(50);
  await pipeline.legacy.query(
    'BEGIN; ALTER TABLE contacts DROP product; ALTER TABLE contacts ADD product text; COMMIT',
  );
  await pipeline.legacy.query(
    `UPDATE contacts SET product = 'new' WHERE id IN (SELECT id FROM contacts ORDER BY id LIMIT 5)`,
  );
  await healed(
    /public\.contacts: names of its columns stand for other columns than before \(product\).*resnapshot contacts/,
  );
  const { rows } = await pipeline.legacy.query<{ count: string }>(
    'SELECT count(*) FROM contacts WHERE product IS NOT NULL',
  );
  expect(await withProduct()).toBe(Number(rows[0]!.count));
}, 180_000);

test('the key renamed and back, with changes in between: the projector stops for it, and goes on', async () => {
  await pipeline.legacy.query('ALTER TABLE contacts RENAME id TO contact_id');
  await pipeline.legacy.query(`UPDATE contacts SET notes = 'in between' WHERE contact_id IN (SELECT contact_id FROM contacts ORDER BY contact_id LIMIT 7);
    DELETE FROM contacts WHERE contact_id = (SELECT contact_id FROM contacts ORDER BY contact_id DESC LIMIT 1)`);
  const stopped = startCli(['project', 'contacts'], pipeline.rig.env);
  expect(await stopped.ended).toBe(2);
  expect(stopped.stderr()).toMatch(
    /Projection contacts requires contacts\.id, which the legacy table no longer has\. .*its name back.*resnapshot/,
  );
  await pipeline.legacy.query('ALTER TABLE contacts RENAME contact_id TO id');
  await pipeline.legacy.query(
    `UPDATE contacts SET notes = 'behind' WHERE id = (SELECT id FROM contacts ORDER BY id LIMIT 1)`,
  );
  await healed(/public\.contacts: (names of its columns stand|columns have names again).*\(id\)/, { discards: true });
}, 180_000);
