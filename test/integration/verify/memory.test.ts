// What a verification needs of memory does not depend on how many rows there are.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCli } from '../../support/connector-process.ts';
import { createVerifyRig, type VerifyRig } from '../../support/verify-rig.ts';

const TIMES = Number(process.env.CROSSWALK_TIMES ?? 20);

let pipeline: VerifyRig;

beforeAll(async () => {
  pipeline = await createVerifyRig('verify_memory', { seed: 'memory', contacts: 200, quotes: 200 });
});
afterAll(() => pipeline?.drop());

/** Runs a verification with little memory. Returns its greatest resident size, MiB, and the rows that it compared. */
async function measure(): Promise<{ mib: number; rows: number }> {
  const command = startCli(['verify', '--json'], {
    ...{ NODE_NO_WARNINGS: '1', NODE_OPTIONS: '--max-old-space-size=64' },
    ...{ ...pipeline.rig.env, CROSSWALK_CHUNK_ROWS: '100' },
  });
  let kib = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${command.child.pid}/status`, 'utf8');
      kib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? kib);
    } catch {
      // It has just ended.
    }
  }, 20);
  const code = await command.ended;
  clearInterval(timer);
  expect(`${code} ${command.stderr()}`).toBe('0 ');
  const { legacyRows, targetRows } = JSON.parse(command.stdout()) as { legacyRows: number; targetRows: number };
  return { mib: kib / 1024, rows: legacyRows + targetRows };
}

test('the resident size stays where it is', async () => {
  const small = await measure();
  // The same rows many times over, each a little different.
  await pipeline.legacy.query(
    `INSERT INTO public.quotes SELECT (jsonb_populate_record(q, jsonb_build_object('id', gen_random_uuid(), 'email', n || q.email))).* FROM public.quotes q, generate_series(1, $1::int) n`,
    [TIMES],
  );
  await pipeline.legacy.query(
    `INSERT INTO public.contacts SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'phone_number', NULL, 'thread_id', NULL))).* FROM public.contacts c, generate_series(1, $1::int / 3) n`,
    [TIMES],
  );
  await pipeline.untilApplied();
  const large = await measure();
  console.log(
    `verify: ${small.rows} rows in ${small.mib.toFixed(0)} MiB, ${large.rows} rows in ${large.mib.toFixed(0)} MiB`,
  );
  expect(large.rows).toBeGreaterThan(10 * small.rows);
  expect(large.mib).toBeLessThan(small.mib + 60);
}, 300_000);
