// A value of 50 MB, once its topic holds it: streamed, projected and verified.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { topicOf } from '../../../runtime/config.ts';
import { stackAddresses } from '../../support/stack.ts';
import { alterTopic } from '../../support/topic-settings.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';

const MB = 1_000_000;
let pipeline: VerifyRig;

beforeAll(async () => {
  pipeline = await createVerifyRig('large', { seed: 'large', contacts: 5, quotes: 5 });
}, 120_000);
afterAll(() => pipeline?.drop());

test('a jsonb of 50 MB arrives as it is, and stays when another column is updated', async () => {
  const { legacy, target, rig } = pipeline;
  await pipeline.connector.stop();
  await alterTopic(rig.config, stackAddresses().kafkaBrokers, topicOf(rig.config, 'contacts'), {
    'max.message.bytes': String(64 * MB),
  });
  const connector = rig.run();
  // Hardly compresses.
  const blob = randomBytes(37.5 * MB).toString('base64');
  const { rows } = await legacy.query<{ id: string; digest: string }>(
    `UPDATE contacts SET source_metadata = jsonb_build_object('blob', $1::text)
      WHERE id = (SELECT min(id::text) FROM contacts)::uuid RETURNING id, md5(source_metadata::text) AS digest`,
    [blob],
  );
  const { id, digest } = rows[0]!;
  const arrived = async () =>
    (
      await target.query(
        `SELECT c.name, md5(l.source_metadata::text) AS digest FROM crm.contacts c JOIN crm.leads l ON l.contact_id = c.id WHERE c.id = $1`,
        [id],
      )
    ).rows;
  await pipeline.untilApplied();
  expect(await arrived()).toMatchObject([{ digest }]);
  // The old and the new row together are over the limit.
  await legacy.query(`UPDATE contacts SET name = 'Renamed' WHERE id = $1`, [id]);
  await pipeline.untilApplied();
  expect(await arrived()).toEqual([{ name: 'Renamed', digest }]);
  expect(connector.status).toMatchObject({ deadLetters: 0 });
  expect(namesOf(await pipeline.verify())).toEqual([]);
  await connector.stop();
}, 240_000);
