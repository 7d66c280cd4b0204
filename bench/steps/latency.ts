import type pg from 'pg';
import { mark } from '../../projectors/mark.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { createPool } from '../../runtime/postgres.ts';
import { pause } from '../../runtime/retry.ts';
import { quotesTopic, readLogEnd, untilLogPasses, untilSlotIsCurrent } from '../applied.ts';
import {
  type Bench,
  cpuBetween,
  type Databases,
  type Run,
  readCpu,
  readPeaks,
  resetServerPeaks,
  say,
  startProgress,
  startWorker,
  type Worker,
  withWorkers,
} from '../bench.ts';
import { idOf, insertQuotes, updateQuotes } from '../quote-rows.ts';
import type { Latency } from '../results.ts';
import { round, toDistribution, toSpread } from '../statistics.ts';

const RATE_PER_SECOND = 200;
/** Before what is measured, in terms of it: in the first half minute at this rate Kafka's virtual machine spends more on compiling than on requests. */
const WARM_UP = 1.5;
const WAIT_MS = 600_000;
const CONNECTIONS = 10;

/** Commits of one row at a steady rate, three inserts to two updates, each on a row of its own: source commit to target commit. One commit waits for the start of the processes. */
export async function measureLatency(bench: Bench, seconds: number): Promise<Latency> {
  await withWorkers([startWorker(bench, 'connect', 'before_latency')], (workers) => untilSlotIsCurrent(bench, workers));
  const before = await readLogEnd(bench, quotesTopic(bench));
  bench.lastRow += 1;
  await bench.legacy.query(insertQuotes('quotes'), [bench.lastRow, bench.lastRow]);
  const starting = [startWorker(bench, 'connect', 'latency'), startWorker(bench, 'project', 'latency')];
  return await withWorkers(starting, async (workers) => {
    const { atMs: firstMs } = await untilLogPasses(bench, workers, quotesTopic(bench), before);
    const startedMs = Math.min(...workers.map(({ startedAtMs }) => startedAtMs));
    const untilVisible = async () =>
      await waitForLsn(bench.config, bench.kafka, bench.target, bench.projections, {
        ...{ lsn: await mark(bench.legacy), timeoutMs: WAIT_MS, signal: bench.signal },
      });
    const measured = await measureSingleCommits(bench, workers, { seconds, untilVisible });
    await bench.assertEqual();
    return { ...measured, startupSeconds: round((firstMs - startedMs) / 1000, 2) };
  });
}

/** Measures single commits beside workers that run. `untilVisible` waits until the target has everything committed by now. */
export async function measureSingleCommits(
  bench: Run & Databases,
  workers: readonly Worker[],
  options: { readonly seconds: number; readonly untilVisible: () => Promise<void> },
): Promise<Latency> {
  const { seconds, untilVisible } = options;
  const pool = createPool(bench.ownerUrl, 'bench', CONNECTIONS);
  try {
    await untilVisible();
    await writeSteadily(bench, pool, workers, Math.ceil(WARM_UP * seconds));
    // Whatever piled up while processes were slow is not part of it.
    await untilVisible();
    const cpu = readCpu(bench, workers);
    resetServerPeaks(bench);
    const written = await writeSteadily(bench, pool, workers, seconds);
    const cpuSeconds = cpuBetween(cpu, readCpu(bench, workers));
    await untilVisible();
    const inserts = await readLatencies(bench, written.inserted);
    const updates = await readLatencies(bench, written.updated);
    const measured: Latency = {
      ratePerSecond: RATE_PER_SECOND,
      achievedPerSecond: round(written.achievedPerSecond),
      seconds,
      commitToVisibleMs: toDistribution([...inserts, ...updates]),
      insertsMs: toDistribution(inserts),
      updatesMs: toDistribution(updates),
      cpuSeconds,
      peakMiB: readPeaks(bench, workers),
    };
    const { p50, p99 } = measured.commitToVisibleMs;
    say(bench, `  latency: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
    return measured;
  } finally {
    await pool.end();
  }
}

/** Due times come from the start: a slow commit does not lower the rate, and the next one does not wait for it. */
async function writeSteadily(
  bench: Run & Databases,
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
async function readLatencies(bench: Databases, rows: readonly number[]): Promise<number[]> {
  const select = (table: string) =>
    `SELECT id::text, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint::text AS us FROM ${table} WHERE id IN (SELECT ${idOf('n')} FROM unnest($1::bigint[]) n)`;
  const read = async (client: pg.ClientBase, table: string) => {
    const { rows: found } = await client.query<{ id: string; us: string }>(select(table), [rows]);
    return new Map(found.map((row) => [row.id, BigInt(row.us)]));
  };
  const committed = await read(bench.legacy, 'quotes');
  const visible = await read(bench.target, bench.visibleIn);
  const latencies = [...committed].map(([id, us]) => Number((visible.get(id) ?? 0n) - us) / 1000);
  const wrong = latencies.filter((ms) => ms <= 0).length;
  if (wrong > 0 || latencies.length !== rows.length)
    throw new CrosswalkError(
      'unexpected.pipeline_wrong',
      `${wrong} of ${rows.length} rows are not in the target as last committed`,
    );
  return latencies;
}
