// Requests for snapshots and what is asked of them meanwhile: in their order, across restarts, each step in the stored position.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodePosition, type Position } from '../../../connectors/position.ts';
import {
  controlSnapshot,
  listSnapshots,
  requestSnapshot,
  type SnapshotRequest,
  waitForSnapshot,
} from '../../../connectors/snapshot/request.ts';
import { positionTopicOf, signalTopicOf } from '../../../runtime/config.ts';
import { createKafka, type Kafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const ROWS = 200;
/** All rows, as slowly as the table `pace` says: milliseconds a row. */
const WHOLE: SnapshotRequest = { table: 'docs', where: 'public.paced(id)' };
const SCHEMA = `CREATE TABLE docs (id integer PRIMARY KEY, label text);
  INSERT INTO docs SELECT i, 'x' FROM generate_series(1, ${ROWS}) i;
  CREATE TABLE pace (ms integer);
  INSERT INTO pace VALUES (30);
  CREATE FUNCTION paced(integer) RETURNS boolean STABLE LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(ms / 1000.0) FROM public.pace; RETURN true; END $$`;

let rig: ConnectorRig;
let kafka: Kafka;
let child: CliProcess | undefined;
beforeEach(async () => {
  rig = await createConnectorRig('control', {
    tables: ['docs'],
    schema: SCHEMA,
    env: { CROSSWALK_CHUNK_ROWS: '10', CROSSWALK_HEARTBEAT_MS: '100' },
  });
  kafka = createKafka(rig.config.kafka(), createLog('silent'));
});
afterEach(async () => {
  if (child?.isRunning()) child.child.kill('SIGKILL');
  await child?.ended;
  await rig?.drop();
});

const ask = (request: SnapshotRequest) => requestSnapshot(rig.config, kafka, request);
const end = (id: string) =>
  waitForSnapshot(rig.config, kafka, id, { signal: new AbortController().signal, timeoutMs: 60_000 });
const readActive = async (id: string) =>
  (await rig.readPosition())?.signals?.requests.find((request) => request.id === id);

async function untilRunning(id: string, rows: number): Promise<void> {
  await waitUntil('some rows are read', async () => ((await readActive(id))?.rows ?? 0) >= rows, 30_000, 1);
}

/** From now on nothing is slowed down. */
const hurry = () => rig.legacy.query('UPDATE pace SET ms = 0');

/** Every position that was stored, in order. */
async function readPositions(): Promise<Position[]> {
  const positions: Position[] = [];
  await kafka.readAll(positionTopicOf(rig.config), ({ key, value }) => {
    if (key?.toString() === rig.config.slot && value !== null) positions.push(decodePosition(value));
  });
  return positions;
}

/** The states that a request went through, in order. */
async function readStates(id: string): Promise<string[]> {
  const states = (await readPositions()).flatMap(({ signals }) => {
    const all = [...(signals?.requests ?? []), ...(signals?.finished ?? [])];
    return all.filter((request) => request.id === id).map(({ state }) => state);
  });
  return states.filter((state, at) => state !== states[at - 1]);
}

/** How often each row was read, by key: the initial load once. */
async function readCounts(): Promise<Map<string, number>> {
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const counts = new Map<string, number>();
  for (const { key, value } of log) if (value?.op === 'r') counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

const isEachReadTwice = (counts: ReadonlyMap<string, number>) =>
  counts.size === ROWS && [...counts.values()].every((count) => count === 2);

test('a connector that is killed half way goes on with the next chunk', async () => {
  child = startCli(['connect'], rig.env);
  await rig.untilCaughtUp();
  const id = await ask(WHOLE);
  await untilRunning(id, 20);
  child.child.kill('SIGKILL');
  await child.ended;
  const killedAt = await readActive(id);
  expect(killedAt?.state).toBe('running');
  expect(killedAt?.rows).toBeLessThan(ROWS);
  await hurry();
  child = startCli(['connect'], rig.env);
  expect(await end(id)).toMatchObject({ state: 'done', rows: ROWS });
  // What it had read of the table is read once, by one or the other.
  expect(isEachReadTwice(await readCounts())).toBe(true);
});

test('paused, it rests while others are read, and goes on where it was', async () => {
  rig.run();
  await rig.untilCaughtUp();
  const id = await ask(WHOLE);
  await untilRunning(id, 20);
  await controlSnapshot(rig.config, kafka, id, 'pause');
  await waitUntil('it is paused', async () => (await readActive(id))?.state === 'paused');
  await hurry();
  const { rows } = (await readActive(id))!;
  expect(rows).toBeLessThan(ROWS);
  const other = await ask({ table: 'docs', keys: [['7']] });
  expect(await end(other)).toMatchObject({ state: 'done', rows: 1 });
  expect(await readActive(id)).toMatchObject({ state: 'paused', rows });
  await controlSnapshot(rig.config, kafka, id, 'resume');
  expect(await end(id)).toMatchObject({ state: 'done', rows: ROWS });
  expect((await readStates(id)).filter((state) => state !== 'waiting')).toEqual([
    'running',
    'paused',
    'running',
    'done',
  ]);
  const counts = await readCounts();
  expect(counts.get('{"id":"7"}')).toBe(3);
  counts.set('{"id":"7"}', 2);
  expect(isEachReadTwice(counts)).toBe(true);
});

test('paused, it stays so in the next session', async () => {
  const connector = rig.run();
  await rig.untilCaughtUp();
  const id = await ask(WHOLE);
  await untilRunning(id, 20);
  await controlSnapshot(rig.config, kafka, id, 'pause');
  await waitUntil('it is paused', async () => (await readActive(id))?.state === 'paused');
  await hurry();
  const { rows } = (await readActive(id))!;
  await connector.stop();
  const next = rig.run();
  await rig.legacy.query(`UPDATE docs SET label = 'y' WHERE id = 1`);
  await waitUntil('the change is streamed', () => next.status.events > 0);
  expect(await readActive(id)).toMatchObject({ state: 'paused', rows });
  await controlSnapshot(rig.config, kafka, id, 'resume');
  expect(await end(id)).toMatchObject({ state: 'done', rows: ROWS });
});

test('cancelled, it ends there, and the next one is read', async () => {
  rig.run();
  await rig.untilCaughtUp();
  const id = await ask(WHOLE);
  const next = await ask({ table: 'docs', where: 'id <= 25' });
  await untilRunning(id, 20);
  await controlSnapshot(rig.config, kafka, id, 'cancel');
  const cancelled = await end(id);
  await hurry();
  expect(cancelled.state).toBe('cancelled');
  expect(cancelled.rows).toBeLessThan(ROWS);
  expect(await end(next)).toMatchObject({ state: 'done', rows: 25 });
  const reads = [...(await readCounts()).values()].reduce((sum, count) => sum + count, 0);
  expect(reads).toBe(ROWS + cancelled.rows + 25);
  expect(await readStates(id)).toContain('cancelled');
  await expect(controlSnapshot(rig.config, kafka, id, 'resume')).rejects.toThrow(/is over: cancelled/);
});

test('one after another: the second begins when the first is over', async () => {
  rig.run();
  await rig.untilCaughtUp();
  const ids = [await ask(WHOLE), await ask(WHOLE)];
  await untilRunning(ids[0]!, 20);
  await hurry();
  for (const id of ids) expect(await end(id)).toMatchObject({ state: 'done', rows: ROWS });
  const positions = (await readPositions()).map(({ signals }) => signals);
  expect(
    positions.every((signals) => (signals?.requests ?? []).filter(({ state }) => state === 'running').length <= 1),
  ).toBe(true);
  const isSecondRunning = (at: number) => positions[at]?.requests.find(({ id }) => id === ids[1])?.state === 'running';
  const first = positions.findIndex((_, at) => isSecondRunning(at));
  expect(first).toBeGreaterThan(0);
  expect(positions[first]?.finished.map(({ id }) => id)).toEqual([ids[0]]);
});

test('while no connector runs, requests and what is said of them wait in the topic', async () => {
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  const ids = [
    await ask({ table: 'docs', where: 'id <= 30' }),
    await ask(WHOLE),
    await ask({ table: 'docs', keys: [['1'], ['2']] }),
  ];
  await controlSnapshot(rig.config, kafka, ids[1]!, 'cancel');
  expect((await listSnapshots(rig.config, kafka)).map(({ id, state }) => [id, state])).toEqual(
    ids.map((id) => [id, 'sent']),
  );
  await hurry();
  rig.run();
  expect(await end(ids[0]!)).toMatchObject({ state: 'done', rows: 30 });
  expect(await end(ids[1]!)).toMatchObject({ state: 'cancelled', rows: 0 });
  expect(await end(ids[2]!)).toMatchObject({ state: 'done', rows: 2 });
  expect((await listSnapshots(rig.config, kafka)).map(({ id }) => id).sort()).toEqual([...ids].sort());
});

test('a request during the initial load waits for its end', async () => {
  // The eighth marker of the load is held up.
  child = startCli(['connect'], { ...rig.env, CROSSWALK_FAULTS: 'watermark.before=stall:5000@8' });
  await child.untilSaid('fault injected');
  const id = await ask({ table: 'docs', where: 'id <= 40' });
  expect(await end(id)).toMatchObject({ state: 'done', rows: 40 });
  const positions = await readPositions();
  const isLoaded = ({ snapshot }: Position) => snapshot.docs?.done === true;
  const isTaken = ({ signals }: Position) => signals?.requests.some((request) => request.id === id) ?? false;
  // It was heard before the load was over, and did not begin.
  expect(positions.some((position) => isTaken(position) && !isLoaded(position))).toBe(true);
  for (const position of positions.filter((one) => !isLoaded(one)))
    expect(position.signals?.requests.filter(({ state }) => state !== 'waiting') ?? []).toEqual([]);
  const counts = await readCounts();
  expect([...counts.values()].filter((count) => count === 2)).toHaveLength(40);
});

test('a position of the version before, without signals, is gone on from', async () => {
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  const record = await kafka.readLast(positionTopicOf(rig.config), rig.config.slot);
  const { signals, ...before } = JSON.parse(record!.value!.toString()) as Record<string, unknown>;
  expect(signals).toEqual({ next: '0', requests: [], finished: [] });
  await kafka.append(positionTopicOf(rig.config), {
    key: Buffer.from(rig.config.slot),
    value: Buffer.from(JSON.stringify(before)),
  });
  expect(await rig.readPosition()).not.toHaveProperty('signals');
  const id = await ask({ table: 'docs', keys: [['3']] });
  rig.run();
  expect(await end(id)).toMatchObject({ state: 'done', rows: 1 });
});

test('signals that are none are passed over, those that cannot be followed fail, and the stream goes on', async () => {
  const connector = rig.run({ LOG_LEVEL: 'silent' });
  await rig.untilCaughtUp();
  const send = (value: unknown, key = rig.config.slot) =>
    kafka.append(signalTopicOf(rig.config), {
      key: Buffer.from(key),
      value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    });
  const id = (last: number) => `00000000-0000-4000-8000-00000000000${last}`;
  const valid = {
    v: 1,
    kind: 'snapshot',
    table: 'docs',
    where: null,
    keys: [['1']],
    repair: false,
    hints: null,
    by: 'test',
    at: '',
  };
  await send('{');
  await send({ ...valid, v: 2, id: id(1) });
  await send({ v: 1, id: id(1), kind: 'explode' });
  await send({ v: 1, id: id(1), kind: 'pause' });
  await send({ ...valid, id: id(2), table: 'elsewhere' });
  await send({ ...valid, id: id(3), where: 'true' });
  await send({ ...valid, id: id(4), keys: Array.from({ length: 1001 }, (_, at) => [String(at)]) });
  await send({ ...valid, id: id(5), keys: [['1', '2']] });
  await send({ ...valid, id: id(6), keys: [['none']] });
  await send({ ...valid, id: id(7) }, 'another_slot');
  await send('x'.repeat(950_000));
  await send({ ...valid, id: id(8) });
  await send({ ...valid, id: id(8) });
  await end(id(8));
  const { signals } = (await rig.readPosition())!;
  expect(signals?.requests).toEqual([]);
  expect(signals?.finished.map((request) => [Number(request.id.at(-1)), request.state, request.reason])).toEqual([
    [2, 'failed', 'table elsewhere is not captured'],
    [3, 'failed', 'the signal names a condition and keys: it can have one of them'],
    [4, 'failed', expect.stringContaining('the signal is not valid: keys')],
    [5, 'failed', 'a key of docs has 1 column'],
    [6, 'failed', 'PostgreSQL cannot compute a value in it (SQLSTATE 22P02)'],
    [8, 'done', undefined],
  ]);
  await rig.untilCaughtUp();
  await connector.stop();
});
