import type pg from 'pg';
import { projections } from '../../projectors/projections/all.ts';
import { markNow, waitForLsn } from '../../projectors/wait.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { createPool } from '../../runtime/postgres.ts';
import { pause } from '../../runtime/retry.ts';
import { type Bench, cpuBetween, readCpu, say, startProgress, startWorker, type Worker } from '../bench.ts';
import { idOf, insertQuotes, updateQuotes } from '../quote-rows.ts';
import type { Latency } from '../results.ts';
import { round, toDistribution, toSpread } from '../statistics.ts';
import { assertCounts } from '../workload.ts';

const RATE_PER_SECOND = 200;
const WARM_UP_SECONDS = 5;
const WAIT_MS = 600_000;
const CONNECTIONS = 10;

/** Commits of one row at a steady rate, three inserts to two updates, each on a row of its own: source commit to target commit. */
export async function measureLatency(bench: Bench): Promise<Latency> {
  const { seconds } = bench.sizes;
  say(bench, `\nlatency: ${RATE_PER_SECOND} single commits a second for ${seconds} s`);
  const workers = [await startWorker(bench, 'connect', 'latency'), await startWorker(bench, 'project', 'latency')];
  const pool = createPool(bench.local.ownerUrl, 'bench', CONNECTIONS);
  try {
    await catchUp(bench);
    await writeSteadily(bench, pool, workers, WARM_UP_SECONDS);
    const cpu = readCpu(bench, workers);
    const written = await writeSteadily(bench, pool, workers, seconds);
    const cpuSeconds = cpuBetween(cpu, readCpu(bench, workers));
    await catchUp(bench);
    const inserts = await readLatencies(bench, written.inserted);
    const updates = await readLatencies(bench, written.updated);
    await assertCounts(bench);
    return {
      ratePerSecond: RATE_PER_SECOND,
      achievedPerSecond: round(written.achievedPerSecond),
      seconds,
      commitToVisibleMs: toDistribution([...inserts, ...updates]),
      insertsMs: toDistribution(inserts),
      updatesMs: toDistribution(updates),
      cpuSeconds,
      peakMiB: Object.fromEntries(workers.map((worker) => [worker.name, round(worker.peakMiB(), 0)])),
    };
  } finally {
    await pool.end();
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

async function catchUp(bench: Bench): Promise<void> {
  await waitForLsn(bench.config, bench.kafka, bench.target, projections, {
    lsn: await markNow(bench.legacy),
    timeoutMs: WAIT_MS,
    signal: bench.signal,
  });
}

/** Due times come from the start: a slow commit does not lower the rate, and the next one does not wait for it. */
async function writeSteadily(
  bench: Bench,
  pool: pg.Pool,
  workers: readonly Worker[],
  seconds: number,
): Promise<{ inserted: number[]; updated: number[]; achievedPerSecond: number }> {
  const total = seconds * RATE_PER_SECOND;
  const isInsert = (index: number) => index % 5 < 3;
  const updates = Array.from({ length: total }, (_, index) => index).filter((index) => !isInsert(index)).length;
  const toUpdate = toSpread(updates, bench.lastRow);
  const inserted: number[] = [];
  const updated: number[] = [];
  const pending: Promise<unknown>[] = [];
  const progress = startProgress(bench, 'commits', total);
  const startMs = performance.now();
  for (let index = 0; index < total; index++) {
    const waitMs = startMs + (index * 1000) / RATE_PER_SECOND - performance.now();
    if (waitMs > 0) await pause(waitMs, bench.signal);
    bench.signal.throwIfAborted();
    for (const worker of workers) worker.assertRunning();
    if (isInsert(index)) {
      const row = ++bench.lastRow;
      inserted.push(row);
      pending.push(pool.query({ name: 'bench insert', text: insertQuotes('quotes'), values: [row, row] }));
    } else {
      const row = toUpdate[updated.length]!;
      updated.push(row);
      pending.push(
        pool.query({ name: 'bench update', text: updateQuotes, values: [[row], `${bench.lastRow} ${index}`] }),
      );
    }
    progress.update(index + 1);
  }
  await Promise.all(pending);
  const achievedPerSecond = (total * 1000) / (performance.now() - startMs);
  progress.close();
  return { inserted, updated, achievedPerSecond };
}

/** Milliseconds from the commit of each legacy row to the commit of its new row, by the servers' own records of both. */
async function readLatencies(bench: Bench, rows: readonly number[]): Promise<number[]> {
  const select = (table: string) =>
    `SELECT id::text, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint::text AS us FROM ${table} WHERE id IN (SELECT ${idOf('n')} FROM unnest($1::bigint[]) n)`;
  const read = async (client: pg.ClientBase, table: string) => {
    const { rows: found } = await client.query<{ id: string; us: string }>(select(table), [rows]);
    return new Map(found.map((row) => [row.id, BigInt(row.us)]));
  };
  const committed = await read(bench.legacy, 'quotes');
  const visible = await read(bench.target, 'crm.quotes_new');
  const latencies = [...committed].map(([id, us]) => Number((visible.get(id) ?? 0n) - us) / 1000);
  const wrong = latencies.filter((ms) => ms <= 0).length;
  if (wrong > 0 || latencies.length !== rows.length)
    throw new CrosswalkError(
      'unexpected',
      `${wrong} of ${rows.length} rows are not in the new schema as last committed`,
      'The pipeline is wrong: its speed means nothing.',
    );
  return latencies;
}
