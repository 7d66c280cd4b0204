// The moment at which both sides are compared: the live offsets are held, and the shadow has reached each of them.

import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { atFence, connectBoth } from '../../../projectors/rebuild/fence.ts';
import type { Replay } from '../../../projectors/rebuild/replay.ts';
import type { Shadow } from '../../../projectors/rebuild/shadow.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget, PROJECTED_TABLES } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const PLACE = `projection = 'contacts' AND topic = 'legacy.public.contacts' AND partition = 0`;
const SHADOW = 'crosswalk_shadow_fence';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let both: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('fence');
  owner = await openTarget(databases.targetUrl);
  await owner.query(`SELECT crosswalk.create_shadow('fence', 'crm', $1, true)`, [PROJECTED_TABLES]);
  for (const [schema, next] of [
    ['crosswalk', 5],
    [SHADOW, 3],
  ] as const)
    await owner.query(
      `INSERT INTO ${schema}.consumer_offset (projection, topic, partition, next_offset) VALUES ('contacts', 'legacy.public.contacts', 0, ${next})
       ON CONFLICT (projection, topic, partition) DO UPDATE SET next_offset = excluded.next_offset`,
    );
  both = await connectBoth(databases.targetUrl, 'crm', '');
});
afterAll(async () => {
  await both?.end();
  await owner?.end();
  await databases?.drop();
});

const nextOf = async (schema: string) =>
  (
    await owner.query<{ next: string }>(
      `SELECT next_offset::text AS next FROM ${schema}.consumer_offset WHERE ${PLACE}`,
    )
  ).rows[0]!.next;

test('what is done there sees the shadow at the live offsets, which stand still meanwhile', async () => {
  const shadow = {
    schema: SHADOW,
    settings: { projections: ['contacts'], topics: ['legacy.public.contacts'] },
  } as unknown as Shadow;
  let target: bigint | null = null;
  let looks = 0;
  // A replay that needs a while from where it is told to go on to.
  const replay: Replay = {
    follow: ([place]) => {
      target = place!.offset;
    },
    check: () => {
      if (++looks === 5)
        void owner.query(`UPDATE ${SHADOW}.consumer_offset SET next_offset = ${target} WHERE ${PLACE}`);
    },
    record: () => undefined,
    retryWaiting: () => Promise.resolve(),
    records: () => 0,
    close: () => Promise.resolve(),
  };
  const other = await connect(databases.targetUrl, 'other');
  const seen = await atFence(
    both,
    shadow,
    replay,
    { signal: new AbortController().signal, lockTimeoutMs: 10_000, onPause: () => undefined },
    async () => {
      const moving = other.query(`UPDATE crosswalk.consumer_offset SET next_offset = 6 WHERE ${PLACE}`);
      await waitUntil('the live projector waits', async () => {
        const { rowCount } = await owner.query(
          `SELECT FROM pg_stat_activity WHERE application_name = 'crosswalk-other' AND wait_event_type = 'Lock' AND datname = current_database()`,
        );
        return rowCount === 1;
      });
      const seenBoth = [await nextOf('crosswalk'), await nextOf(SHADOW)];
      return { seenBoth, moving };
    },
  );
  expect(seen.seenBoth).toEqual(['5', '5']);
  // Let go, the live projector goes on.
  await seen.moving;
  expect(await nextOf('crosswalk')).toBe('6');
  await other.end();
});
