import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isVisible, parseSnapshot, toCarriedSnapshot, widenXid } from '../../../connectors/snapshot/visibility.ts';
import { createDatabases } from '../../support/stack.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
beforeAll(async () => {
  databases = await createDatabases('visibility');
  client = new pg.Client({ connectionString: databases.legacyUrl });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await databases?.drop();
});

const xid = fc.bigInt({ min: 3n, max: 0x7fff_ffff_ffff_fff0n });
/** A snapshot as PostgreSQL writes one, and xids around its edges. */
const snapshotAndXids = fc
  .record({ xmin: xid, offsets: fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { maxLength: 8 }) })
  .map(({ xmin, offsets }) => {
    const xmax = xmin + 13n;
    const inProgress = [...offsets].sort((a, b) => a - b).map((offset) => xmin + BigInt(offset));
    return {
      text: `${xmin}:${xmax}:${inProgress.join(',')}`,
      xids: Array.from({ length: 17 }, (_, i) => xmin - 2n + BigInt(i)),
    };
  });

test('visible is what PostgreSQL calls visible', async () => {
  const samples = fc.sample(snapshotAndXids, 200);
  const { rows } = await client.query<{ text: string; xid: string; visible: boolean }>(
    `SELECT s AS text, x::text AS xid, pg_visible_in_snapshot(x::xid8, s::pg_snapshot) AS visible
     FROM unnest($1::text[], $2::text[]) AS v(s, x)`,
    [samples.flatMap(({ text, xids }) => xids.map(() => text)), samples.flatMap(({ xids }) => xids.map(String))],
  );
  expect(rows).toHaveLength(200 * 17);
  for (const row of rows)
    expect(isVisible(BigInt(row.xid), parseSnapshot(row.text)), `${row.xid} in ${row.text}`).toBe(row.visible);
});

test('an xid of 32 bits is widened to the epoch of its neighbour, across a wraparound in both directions', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0x1_0000_0000n, max: 0xffff_ffff_ffffn }),
      fc.bigInt({ min: -0x7fff_fff0n, max: 0x7fff_fff0n }),
      (near, distance) => widenXid(Number((near + distance) & 0xffff_ffffn), near) === near + distance,
    ),
  );
  expect(widenXid(800, 750n)).toBe(800n);
  expect(widenXid(0xffff_ff00, 750n)).toBe(0xffff_ff00n);
});

test('a marker and a heartbeat carry a snapshot, other content carries none', async () => {
  const { rows } = await client.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
  const snapshot = parseSnapshot(rows[0]!.snapshot);
  expect(toCarriedSnapshot(rows[0]!.snapshot)).toEqual(snapshot);
  expect(toCarriedSnapshot(`c0ffee ${rows[0]!.snapshot}`)).toEqual(snapshot);
  expect(toCarriedSnapshot('10:20:12,15')).toEqual({ xmin: 10n, xmax: 20n, inProgress: new Set([12n, 15n]) });
  for (const content of ['', 'c0ffee', '10:20', '10:20:x']) expect(toCarriedSnapshot(content)).toBeNull();
});
