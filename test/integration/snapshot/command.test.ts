import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
let connector: RunningConnector;
beforeAll(async () => {
  rig = await createConnectorRig('command', {
    tables: ['docs', 'pairs', 'blank'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, workspace_id text, label text);
      INSERT INTO docs SELECT i, CASE WHEN i % 4 = 0 THEN 'it''s' ELSE 'other' END, 'x' FROM generate_series(1, 100) i;
      CREATE TABLE pairs (a integer, b text, PRIMARY KEY (a, b));
      INSERT INTO pairs VALUES (1, 'x'), (2, 'y');
      CREATE TABLE blank (id integer PRIMARY KEY, workspace_id text);
      INSERT INTO blank VALUES (1, NULL), (2, ''), (3, E' \\t'), (4, 'unassigned'), (5, 'w'), (6, 'assigned');
      CREATE TABLE pace (ms integer);
      INSERT INTO pace VALUES (100);
      CREATE FUNCTION paced(integer) RETURNS boolean STABLE LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(ms / 1000.0) FROM public.pace; RETURN true; END $$`,
    env: { CROSSWALK_CHUNK_ROWS: '10', CROSSWALK_HEARTBEAT_MS: '100' },
  });
  connector = rig.run();
  await rig.untilCaughtUp();
});
afterAll(() => rig?.drop());

/** Runs `crosswalk snapshot …` to its end. */
async function run(...args: readonly string[]): Promise<{ code: number | string; out: string; error: string }> {
  const command = startCli(['snapshot', ...args], rig.env);
  const code = await command.ended;
  return { code, out: command.stdout(), error: command.stderr() };
}
const runJson = async (...args: readonly string[]) => {
  const { code, out } = await run(...args, '--json');
  return { code, answer: out === '' ? null : (JSON.parse(out) as unknown) };
};

test.each([
  [['docs'], 100],
  [['docs', '--where', 'id <= 17'], 17],
  [['docs', '--key', '5', '7', '1000'], 2],
  [['docs', '--key', '5', '1000', '--repair'], 2],
  [['docs', '--workspace', "it's"], 25],
  [['blank', '--workspace', 'w'], 1],
  // As the projections have it: a row without a workspace belongs to this one.
  [['blank', '--workspace', 'unassigned'], 4],
  [['pairs', '--key', '["1","x"]', '["2","z"]'], 1],
])('reads %j again', async (args, rows) => {
  const { code, answer } = await runJson(...args, '--yes');
  expect(code).toBe(0);
  expect(answer).toMatchObject({ table: args[0], state: 'done', rows, lsn: expect.stringMatching(/^\d+$/) });
});

test('counts without asking, and asks where nobody says yes', async () => {
  expect(await runJson('docs', '--where', 'id <= 17', '--dry-run')).toEqual({
    code: 0,
    answer: { dryRun: true, table: 'docs', rows: 17 },
  });
  expect((await run('docs', '--key', '5', '1000', '--dry-run')).out).toBe(
    'Nothing is changed: 1 row of docs would be reread\n',
  );
  const before = (await runJson('list')).answer as unknown[];
  const asked = await run('docs', '--key', '5');
  expect(asked.code).toBe(2);
  expect(asked.error).toContain('Reread 1 key of docs and project them?');
  expect((await runJson('list')).answer).toHaveLength(before.length);
});

test.each([
  [['elsewhere'], 'Not captured: elsewhere. Name one of CROSSWALK_TABLES: docs, pairs, blank.'],
  [['docs', '--where', 'no_such = 1'], 'The rows cannot be read: column "no_such" does not exist.'],
  [['docs', '--where', 'id = 1; SELECT 1'], 'The rows cannot be read: the condition cannot be used: it holds a ;'],
  [
    ['docs', '--where', 'label::integer > 0', '--dry-run'],
    'The rows cannot be read: PostgreSQL cannot compute a value in it (SQLSTATE 22P02)',
  ],
  [['docs', '--key', '["1","2"]', '--dry-run'], 'SQLSTATE 22P02'],
  [['pairs', '--key', '1'], '--key: a key of pairs has 2 columns. Give the texts of a, b as a JSON array'],
  [['docs', '--where', 'true', '--key', '1'], 'A snapshot has --where, --key or --tenant, not several.'],
  [['pairs', '--workspace', 'w'], 'pairs names no tenant. Give --where.'],
])('refuses %j', async (args, said) => {
  const { code, out, error } = await run(...args, '--yes');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(error).toContain(said);
});

test('left with Ctrl-C it goes on; it is paused, resumed, watched and cancelled by its id', async () => {
  const command = startCli(['snapshot', 'docs', '--where', 'public.paced(id)', '--yes'], rig.env);
  await waitUntil('it runs', () => /docs {2}\s*\d+ % {2}\d+ of \d+/.test(command.stdout()), 30_000);
  command.child.kill('SIGINT');
  expect(await command.ended).toBe(0);
  const id = /([0-9a-f-]{36}) continues without this command: crosswalk snapshot watch \1\n$/.exec(
    command.stdout(),
  )![1]!;
  expect(await run('pause', id)).toMatchObject({ code: 0, out: expect.stringContaining(`${id}: pause requested`) });
  const stateOf = async () =>
    ((await runJson('list')).answer as { id: string; state: string }[]).find((one) => one.id === id)?.state;
  await waitUntil('it is paused', async () => (await stateOf()) === 'paused');
  expect((await run('list')).out).toMatch(new RegExp(`^id .*\\n(.*\\n)*${id} {2}docs {3}paused +\\d+ `));
  const watching = startCli(['snapshot', 'watch', id], rig.env);
  await waitUntil('it says so', () => watching.stdout().includes(`${id}: paused\n`));
  await rig.legacy.query('UPDATE pace SET ms = 0');
  expect((await runJson('resume', id)).answer).toEqual({ id, asked: 'resume' });
  expect(await watching.ended).toBe(0);
  expect(watching.stdout()).toContain(`${id}: done. 100 rows of docs in the log`);

  await rig.legacy.query('UPDATE pace SET ms = 100');
  const next = (await runJson('docs', '--where', 'public.paced(id)', '--yes', '--detach')).answer as { id: string };
  expect(next).toMatchObject({ table: 'docs', state: 'sent' });
  expect((await run('cancel', next.id)).code).toBe(0);
  const watched = await run('watch', next.id);
  expect(watched.code).toBe(1);
  expect(watched.out).toContain(`${next.id}: cancelled, after`);
  const again = await run('cancel', next.id);
  expect(again.code).toBe(2);
  expect(again.error).toContain(`Snapshot ${next.id} is over: cancelled.`);
  expect((await run('watch', '00000000-0000-4000-8000-000000000000')).error).toContain('is known');
});

test('what failed says why, and ends with 1', async () => {
  // The estimate finds nothing wrong with it.
  const { code, out } = await run('docs', '--where', 'label::integer > 0', '--yes');
  expect(code).toBe(1);
  expect(out).toContain('failed, after 0 rows of docs: PostgreSQL cannot compute a value in it (SQLSTATE 22P02)');
});

test('while no connector runs it says so, and goes on once one does', async () => {
  await connector.stop();
  const command = startCli(['snapshot', 'docs', '--where', 'id <= 17', '--yes'], rig.env);
  await waitUntil(
    'it says so',
    () => /^(\S+): requested\n\1: no connector has picked it up yet: crosswalk status\n$/.test(command.stdout()),
    60_000,
  );
  expect(command.isRunning()).toBe(true);
  connector = rig.run();
  expect(await command.ended).toBe(0);
  expect(command.stdout()).toContain('done. 17 rows of docs in the log');
});

test('the initial load is paused and resumed by its name, and not cancelled', async () => {
  const isPaused = async () => (await rig.readPosition())?.signals?.isLoadPaused === true;
  expect(await runJson('pause', 'initial')).toEqual({ code: 0, answer: { id: 'initial', asked: 'pause' } });
  await waitUntil('it is paused', isPaused);
  expect((await run('resume', 'initial')).out).toContain('initial: resume requested. `crosswalk status` shows');
  await waitUntil('it goes on', async () => !(await isPaused()));
  const { code, error } = await run('cancel', 'initial');
  expect([code, error]).toEqual([2, expect.stringContaining('The initial load cannot be cancelled.')]);
});

test('a rate is a whole number, and is asked for with the rest', async () => {
  expect((await run('docs', '--max-rate', '0.5', '--yes')).error).toContain('a whole number above 0');
  const { code, answer } = await runJson('docs', '--max-rate', '5000', '--yes');
  expect([code, answer]).toEqual([0, expect.objectContaining({ state: 'done', rows: 100 })]);
});
