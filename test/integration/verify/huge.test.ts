// A legacy row too large to be read.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readCatalog } from '../../../connectors/catalog.ts';
import { captureOf } from '../../../connectors/source-state.ts';
import { readRows } from '../../../projectors/verify/legacy-rows.ts';
import { connect, sourceOptions } from '../../../runtime/postgres.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { createVerifyRig, type VerifyRig } from '../../support/verify-rig.ts';

const HUGE_BYTES = 530 * 1024 * 1024;

let pipeline: VerifyRig;
let command: CliProcess | null = null;
beforeAll(async () => {
  pipeline = await createVerifyRig('verify_huge', { seed: 'huge', contacts: 20, quotes: 20 });
});
afterEach(async () => {
  if (command?.isRunning()) command.child.kill('SIGKILL');
  await command?.ended;
});
afterAll(() => pipeline?.drop());

test('a row too large to be read is named, and all others are compared', async () => {
  const { legacy, rig } = pipeline;
  const { rows } = await legacy.query<{ id: string }>('SELECT id FROM public.contacts ORDER BY id LIMIT 2');
  const [{ id }, other] = rows as [{ id: string }, { id: string }];
  await legacy.query(`UPDATE public.contacts SET sentiment = repeat('x', ${HUGE_BYTES}) WHERE id = $1`, [id]);
  await pipeline.untilApplied();
  command = startCli(['verify'], { ...pipeline.rig.env, NODE_NO_WARNINGS: '1' });
  expect(`${await command.ended} ${command.stderr()}`).toMatch(/^1 /);
  expect(command.stdout()).toContain(`contacts ${id} is too large to be read`);
  expect(command.stdout()).not.toContain('changed at every check');
  expect(command.stdout()).toContain('NOT verified');
  const result = await pipeline.verify();
  expect(result).toMatchObject({
    ok: false,
    // Each projection that reads contacts names it.
    unmappable: [
      { projection: 'contacts', legacyKey: id, reason: 'too large' },
      { projection: 'order_contacts', legacyKey: id, reason: 'too large' },
    ],
  });
  expect(result.tables.flatMap(({ differences }) => differences)).toEqual([]);
  expect(result.legacyRows).toBeGreaterThan(40);
  // Also where it is looked at by its key.
  const client = await connect(rig.env.LEGACY_DATABASE_URL!, 'test', sourceOptions);
  try {
    const [relation] = await readCatalog(client, { ...captureOf(rig.config), tables: ['contacts'] });
    const seen = await readRows(client, relation!, [[id], [other.id], ['00000000-0000-0000-0000-000000000000']]);
    expect(seen.rows.map((row) => [row.isTooLarge, row.tuple !== null, row.row?.id])).toEqual([
      [true, true, undefined],
      [false, true, other.id],
      [false, false, undefined],
    ]);
  } finally {
    await client.end();
  }
  await legacy.query(`UPDATE public.contacts SET sentiment = 'fits' WHERE id = $1`, [id]);
  await pipeline.untilApplied();
  expect(await pipeline.verify()).toMatchObject({ ok: true, unmappable: [] });
});
