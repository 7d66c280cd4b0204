import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { topicOf } from '../../../runtime/config.ts';
import type { CrosswalkError } from '../../../runtime/errors.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { forEachLogRecord } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

const ROWS = Number(process.env.CROSSWALK_BIG_ROWS ?? 40_000);
/** Of the JavaScript heap; the transaction takes more. */
const HEAP_MB = ROWS > 1_000_000 ? 512 : 96;

let rig: ConnectorRig;
const processes: CliProcess[] = [];
beforeAll(async () => {
  rig = await createConnectorRig('big', {
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text, body text);
      INSERT INTO docs SELECT i, 'old', repeat(md5(i::text), ${ROWS > 1_000_000 ? 4 : 32}) FROM generate_series(1, ${ROWS}) i`,
    env: {
      CROSSWALK_CHUNK_ROWS: String(ROWS / 40),
      LOG_LEVEL: 'info',
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
    },
  });
}, 600_000);
afterEach(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
});
afterAll(() => rig?.drop());

async function start(env: Readonly<Record<string, string>> = {}): Promise<CliProcess> {
  const connector = startCli(['connect'], { ...rig.env, ...env });
  processes.push(connector);
  await connector.untilSaid('"streaming"', 60_000);
  return connector;
}

/** The work, unless the connector ends first. */
function whileItRuns<T>(connector: CliProcess, work: Promise<T>): Promise<T> {
  const died = connector.ended.then((code) => {
    throw new Error(`the connector ended with ${code}: ${connector.stderr().slice(-3000)}`);
  });
  return Promise.race([work, died]);
}

/** In one transaction, beside which no row is read. */
async function updateAll(label: string): Promise<void> {
  await rig.legacy.query('BEGIN');
  await rig.legacy.query('LOCK TABLE docs IN ACCESS EXCLUSIVE MODE');
  await rig.legacy.query('UPDATE docs SET label = $1', [label]);
  await rig.legacy.query('COMMIT');
}

/** Most memory that a process ever had, in MB. */
const readPeakMb = (pid: number) =>
  Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024);

test(
  `a transaction of ${ROWS} rows in the middle of the initial load, a heap of ${HEAP_MB} MB, killed half way: whole, once, in one Kafka transaction`,
  async () => {
    const topic = topicOf(rig.config, 'docs');
    const kafka = createKafka(rig.config.kafka(), createLog('silent'));
    const countWritten = async () =>
      (await kafka.fetchOffsets([topic])).get(topic)!.reduce((sum, { high }) => sum + high, 0n);
    // It is held up in the middle of the load while the server has more for it than fits into the heap.
    const first = await start({ CROSSWALK_FAULTS: 'kafka_commit.before=stall:5000@4' });
    await first.untilSaid('fault injected');
    await updateAll('new');
    const committedAtMs = performance.now();
    // Or not even begun, where the machine is slow.
    expect((await rig.readPosition())!.snapshot.docs?.done).not.toBe(true);
    const written = await countWritten();
    const isHalfWritten = async () => (await countWritten()) > written + BigInt(ROWS / 2);
    await whileItRuns(first, waitUntil('half of it is written', isHalfWritten, 600_000, 250));
    first.child.kill('SIGKILL');
    await first.ended;
    const startedAtMs = performance.now();
    const second = await start();
    // The load reads ahead while the stream is busy with the first one; this one lies in the window of the chunk after that.
    await second.untilSaid('initial load of a table begins');
    await sleep(500);
    await updateAll('newer');
    await whileItRuns(second, rig.untilCaughtUp(900_000));
    console.log(
      `${ROWS} rows: killed after ${Math.round(startedAtMs - committedAtMs)} ms, whole ${Math.round(performance.now() - startedAtMs)} ms after the restart, peak ${readPeakMb(second.child.pid!)} MB`,
    );
    expect(second.stderr()).toContain('more was changed than a chunk can be compared with');

    // How often each place of each of the two transactions is in the log.
    const seen = new Map<string, Uint8Array>();
    const labels = new Map<string, string>();
    const lastOf = new Map<number, { offset: bigint; of: string | undefined }>();
    let interruptions = 0;
    await forEachLogRecord(stackAddresses(), [topic], ({ partition, offset, key, value }) => {
      const of = value!.transaction?.id;
      const last = lastOf.get(partition);
      // The end of a Kafka transaction takes an offset.
      if (of !== undefined && last?.of === of && offset !== last.offset + 1n) interruptions += 1;
      lastOf.set(partition, { offset, of });
      labels.set(key, value!.after!.label!);
      if (of === undefined) return;
      const places = seen.get(of) ?? new Uint8Array(ROWS);
      seen.set(of, places);
      places[value!.source.ordinal]! += 1;
    });
    expect(seen.size).toBe(2);
    for (const places of seen.values()) expect(places.every((times) => times === 1)).toBe(true);
    expect(interruptions).toBe(0);
    expect(labels.size).toBe(ROWS);
    expect(new Set(labels.values())).toEqual(new Set(['newer']));
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
  },
  Math.max(120_000, ROWS),
);

test('one that takes longer than Kafka keeps a transaction open stops the connector with a remedy', async () => {
  const before = await rig.readPosition();
  await updateAll('newest');
  const connector = rig.run({ CROSSWALK_TRANSACTION_TIMEOUT_MS: '200', LOG_LEVEL: 'silent' });
  const stopped = (await connector.ended) as CrosswalkError;
  expect(stopped).toMatchObject({ code: 'transaction_too_long' });
  expect(stopped.remedy).toMatch(/transaction\.max\.timeout\.ms.*CROSSWALK_TRANSACTION_TIMEOUT_MS/);
  expect((await rig.readPosition())!.offsets).toEqual(before!.offsets);
});

test('a timeout that the brokers do not allow is refused with a remedy', async () => {
  const stopped = (await rig.run({ CROSSWALK_TRANSACTION_TIMEOUT_MS: '86400000' }).ended) as CrosswalkError;
  expect(stopped).toMatchObject({ code: 'config_invalid' });
  expect(stopped.remedy).toMatch(/transaction\.max\.timeout\.ms/);
});

test('large rows are read and sent a few at a time: 240 MB of them take no more memory than a few', async () => {
  const wide = await createConnectorRig('wide', {
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, body text);
      INSERT INTO docs SELECT i, repeat(md5(i::text), 131072) FROM generate_series(1, 60) i`,
    env: { LOG_LEVEL: 'info', NODE_OPTIONS: '--max-old-space-size=96' },
  });
  try {
    const connector = startCli(['connect'], wide.env);
    processes.push(connector);
    await connector.untilSaid('"streaming"', 60_000);
    await wide.legacy.query('UPDATE docs SET id = -id WHERE id <= 15');
    await whileItRuns(connector, wide.untilCaughtUp());
    const peakMb = readPeakMb(connector.child.pid!);
    console.log(`60 rows of 4 MB: peak ${peakMb} MB`);
    // Large strings lie outside of the heap that is limited.
    expect(peakMb).toBeLessThan(420);
    const { differences, faults } = await wide.readCheckedLog();
    expect(differences).toEqual([]);
    expect(faults).toEqual([]);
    expect(connector.stderr()).not.toMatch(/"level":"(warn|error)"/);
  } finally {
    await wide.drop();
  }
});
