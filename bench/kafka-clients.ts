// What each Kafka client costs: `node bench/kafka-clients.ts <brokers> [rounds]` prints one line of JSON a client and round. Each one is measured in a process of its own, in turn.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createKafka, type OutRecord } from '../runtime/kafka.ts';
import { createLog } from '../runtime/log.ts';

const PARTITIONS = 12;
const VALUE_BYTES = 600;
/** Transactions by their number of records. */
const SIZES = { 1: 300, 100: 100, 4000: 25 } as const;
const PACED = { perSecond: 200, seconds: 5 };

/** As rows are: much of a value is as in the others, and some is not. */
function toRecord(nth: number): OutRecord {
  const own = randomBytes(90).toString('base64');
  const value = Buffer.from(`{"id":${nth},"name":"${own}","note":"${'the same in all rows '.repeat(25)}"}`);
  const partition = nth % PARTITIONS;
  return {
    partition,
    key: Buffer.from(String(nth)),
    value: value.subarray(0, VALUE_BYTES),
    timestampMs: String(Date.now()),
  };
}

const cpuMicros = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

async function measure(client: 'direct' | 'kafkajs', brokers: string): Promise<Record<string, unknown>> {
  const startedMs = performance.now();
  const kafka = createKafka({ brokers: brokers.split(','), tls: false, client }, createLog('silent'));
  const topic = `bench-${client}-${randomBytes(5).toString('hex')}`;
  const spec = { partitions: PARTITIONS, replicationFactor: 1, config: {} };
  await kafka.ensureTopics([{ topic, ...spec }]);
  const found: Record<string, unknown> = { client };
  const writer = await kafka.createLogWriter(topic, 60_000);
  const commit = async (records: readonly OutRecord[]) => {
    await writer.begin();
    await writer.send(new Map([[topic, records]]));
    await writer.commit();
  };
  await commit([toRecord(0)]);
  found.firstCommitMs = Math.round(performance.now() - startedMs);
  for (const [size, transactions] of Object.entries(SIZES)) {
    const batches = Array.from({ length: 5 }, () => Array.from({ length: Number(size) }, (_, nth) => toRecord(nth)));
    for (const batch of batches) await commit(batch);
    const [cpu, atMs] = [cpuMicros(), performance.now()];
    for (let nth = 0; nth < transactions; nth++) await commit(batches[nth % batches.length]!);
    found[`write${size}`] = {
      msPerTransaction: round((performance.now() - atMs) / transactions),
      cpuMicrosPerRecord: round((cpuMicros() - cpu) / transactions / Number(size)),
    };
  }
  // All of it is read as a projector does.
  const ends = (await kafka.fetchOffsets([topic])).get(topic)!;
  const caughtUp = Promise.withResolvers<void>();
  const left = new Set(ends.keys());
  let records = 0;
  let onRecord: (value: Buffer) => void = () => undefined;
  const [cpu, atMs] = [cpuMicros(), performance.now()];
  let joinedMs = 0;
  const member = await kafka.createGroupConsumer({
    ...{ groupId: topic, topics: [topic], concurrency: 100, sessionTimeoutMs: 12_000 },
    onAssigned: () => {
      joinedMs = performance.now();
    },
    startOffset: async () => 0n,
    onBatch: async (batch) => {
      records += batch.records.length;
      for (const { value } of batch.records) onRecord(value!);
      // Behind the last record is the marker of its transaction.
      if (batch.records.at(-1)!.offset + 2n >= ends[batch.partition]!.high) left.delete(batch.partition);
      if (left.size === 0) caughtUp.resolve();
      return null;
    },
    onCrash: caughtUp.reject,
  });
  await caughtUp.promise;
  const seconds = (performance.now() - joinedMs) / 1000;
  found.read = {
    joinMs: Math.round(joinedMs - atMs),
    cpuMicrosPerRecord: round((cpuMicros() - cpu) / records),
    recordsPerSecond: Math.round(records / seconds),
  };
  // From the commit to the application, at a rate.
  const committed = new Map<string, number>();
  const delays: number[] = [];
  onRecord = (value) => {
    const key = value.toString();
    const beganMs = committed.get(key);
    if (beganMs !== undefined) delays.push(performance.now() - beganMs);
    committed.delete(key);
  };
  const pacedCpu = cpuMicros();
  const beganMs = performance.now();
  const sent = PACED.perSecond * PACED.seconds;
  for (let nth = 0; nth < sent; nth++) {
    const due = beganMs + (nth * 1000) / PACED.perSecond;
    if (due > performance.now()) await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    const value = Buffer.from(`paced ${nth}`);
    // Whoever waits for it has waited since it was sent.
    committed.set(value.toString(), performance.now());
    await commit([{ partition: nth % PARTITIONS, key: null, value, timestampMs: String(Date.now()) }]);
  }
  const tookMs = performance.now() - beganMs;
  while (committed.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  delays.sort((a, b) => a - b);
  found.paced = {
    transactionsPerSecond: Math.round((sent * 1000) / tookMs),
    ...{ p50Ms: round(delays[Math.floor(sent * 0.5)]!), p99Ms: round(delays[Math.floor(sent * 0.99)]!) },
    cpuMicrosPerTransaction: Math.round((cpuMicros() - pacedCpu) / sent),
  };
  // What no record has is looked for in all of partition 0.
  const askedMs = performance.now();
  for (let nth = 0; nth < 5; nth++) await kafka.readLast(topic, 'nobody');
  found.readLastMs = round((performance.now() - askedMs) / 5);
  found.maxRssMb = Math.round(process.resourceUsage().maxRSS / 1024);
  await member.close();
  await writer.close();
  return found;
}

const round = (value: number) => Math.round(value * 100) / 100;

const [brokers = '', argument = '3'] = process.argv.slice(2);
if (argument === 'direct' || argument === 'kafkajs') {
  console.log(JSON.stringify(await measure(argument, brokers)));
} else {
  for (let left = Number(argument); left > 0; left--)
    for (const client of ['kafkajs', 'direct'])
      spawnSync(process.execPath, [fileURLToPath(import.meta.url), brokers, client], { stdio: 'inherit' });
}
