// Rows that are read again on request while the table changes hundreds of times a second.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestSnapshot, type SnapshotRequest, waitForSnapshot } from '../../../connectors/snapshot/request.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createKafka, type Kafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import type { TextRow } from '../../../schemas/avro/decode.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import type { LogRecord } from '../../support/read-log.ts';
import { findOlderVersions, startVersionedTraffic, versionedSchema } from '../../support/versioned-traffic.ts';

const SEED = process.env.CROSSWALK_SEED ?? String(Date.now() % 1_000_000);
const ROWS = 3000;
const KEYS = Array.from({ length: 200 }, (_, at) => at * 7 + 2);

/** What is asked for, and which rows that is. */
const REQUESTS: readonly [name: string, request: SnapshotRequest, isMeant: (row: TextRow) => boolean][] = [
  ['the table', { table: 'docs' }, () => true],
  [
    'a condition',
    { table: 'docs', where: `label LIKE 'u%' OR id < 100` },
    ({ id, label }) => Number(id) < 100 || (label?.startsWith('u') ?? false),
  ],
  ['keys', { table: 'docs', keys: KEYS.map((id) => [String(id)]) }, ({ id }) => KEYS.includes(Number(id))],
  ['a tenant', { table: 'docs', where: `"tenant" = 't3'` }, ({ tenant }) => tenant === 't3'],
];

let rig: ConnectorRig;
let kafka: Kafka;
beforeAll(async () => {
  rig = await createConnectorRig('adhoc', {
    tables: ['docs'],
    schema: versionedSchema(ROWS),
    env: { CROSSWALK_CHUNK_ROWS: '40', CROSSWALK_HEARTBEAT_MS: '100' },
  });
  kafka = createKafka(rig.config.kafka(), createLog('silent'));
});
afterAll(() => rig?.drop());

test(`every row is as the table has it, no older version comes after a newer one, and no other row is read (CROSSWALK_SEED=${SEED})`, async () => {
  console.log(`CROSSWALK_SEED=${SEED}`);
  const connector = rig.run();
  await rig.untilCaughtUp();
  const traffic = await startVersionedTraffic(rig.env.LEGACY_DATABASE_URL!, {
    seed: SEED,
    rows: ROWS,
    changesPerSecond: 600,
  });
  const signal = new AbortController().signal;
  const readEnds = async () => {
    const topic = topicOf(rig.config, 'docs');
    return (await kafka.fetchOffsets([topic])).get(topic)!.map(({ high }) => high);
  };
  const marks = [await readEnds()];
  const startedAtMs = performance.now();
  for (const [name, request] of REQUESTS) {
    const id = await requestSnapshot(rig.config, kafka, request);
    const result = await waitForSnapshot(rig.config, kafka, id, { signal, timeoutMs: 60_000 });
    expect(result, name).toMatchObject({ id, state: 'done' });
    marks.push(await readEnds());
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  await traffic.stop();
  console.log(`${traffic.changes()} changes in ${seconds.toFixed(1)} s`);
  expect(traffic.changes() / seconds, 'changes a second').toBeGreaterThan(150);
  await rig.untilCaughtUp();
  const { log, differences, faults } = await rig.readCheckedLog();
  await connector.stop();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  expect(findOlderVersions(log)).toEqual([]);

  const { rows: table } = await rig.legacy.query<TextRow>('SELECT * FROM docs');
  for (const [at, [name, , isMeant]] of REQUESTS.entries()) {
    const isSince = ({ partition, offset }: LogRecord) => offset >= marks[at]![partition]!;
    const isBefore = ({ partition, offset }: LogRecord) => offset < marks[at + 1]![partition]!;
    const reads = log.filter((record) => record.value?.op === 'r' && isSince(record) && isBefore(record));
    expect(reads.length, name).toBeGreaterThan(50);
    expect(
      reads.filter(({ value }) => !isMeant(value!.after!)),
      `${name}: others are read`,
    ).toEqual([]);
    // Whoever has not been read has been changed since.
    const told = new Set(log.filter(isSince).map(({ key }) => key));
    const left = table.filter((row) => isMeant(row) && !told.has(JSON.stringify({ id: row.id })));
    expect(left, `${name}: neither read nor changed since`).toEqual([]);
  }
});
