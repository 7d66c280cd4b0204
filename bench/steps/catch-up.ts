import { markNow } from '../../projectors/wait.ts';
import {
  type Applied,
  readApplied,
  readLogEnd,
  untilApplied,
  untilConfirmed,
  untilLogMoves,
  untilReached,
} from '../applied.ts';
import { type Bench, cpuBetween, readCpu, say, startProgress, startWorker } from '../bench.ts';
import type { Throughput } from '../results.ts';
import { assertCounts, loadChanges } from '../workload.ts';
import { toThroughput } from './throughput.ts';

/** Changes committed while nothing ran: first the connector alone, then, the log being full, the projector alone. */
export async function measureLegs(bench: Bench): Promise<{ source: Throughput; projector: Throughput }> {
  say(bench, `\ncatch-up, one after the other: ${bench.sizes.changes} changes`);
  const changes = await loadChanges(bench, bench.sizes.changes);
  const lsn = await markNow(bench.legacy);
  const source = await measureSource(bench, changes, lsn);
  say(bench, `  connector alone: ${source.rowsPerSecond} changes/s`);
  const projector = await measureProjector(bench, changes, lsn);
  say(bench, `  projector alone: ${projector.rowsPerSecond} changes/s`);
  await assertCounts(bench);
  return { source, projector };
}

async function measureSource(bench: Bench, changes: number, lsn: bigint): Promise<Throughput> {
  const before = await readLogEnd(bench);
  const workers = [await startWorker(bench, 'connect', 'source')];
  try {
    const firstMs = await untilLogMoves(bench, workers, before);
    const cpu = readCpu(bench, workers);
    const lastMs = await untilConfirmed(bench, workers, lsn);
    const cpuSeconds = cpuBetween(cpu, readCpu(bench, workers));
    return toThroughput(workers, { rows: changes, firstMs, lastMs, cpuSeconds });
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** From its first commit to its last, over the rows between the two: nobody else sees when it takes up its first row. */
async function measureProjector(bench: Bench, changes: number, lsn: bigint): Promise<Throughput> {
  const before = (await readApplied(bench)).total;
  const workers = [await startWorker(bench, 'project', 'projector')];
  try {
    let first: Applied | null = null;
    await untilReached(
      bench,
      workers,
      'the first commit',
      async () => {
        first = await readApplied(bench);
        return first.total > before;
      },
      15,
    );
    const { total, committedAtMs } = first as unknown as Applied;
    const cpu = readCpu(bench, workers);
    const progress = startProgress(bench, 'applied', changes);
    const end = await untilApplied(bench, workers, {
      before,
      records: changes,
      isComplete: (position) => position.lsn >= lsn,
      onApplied: (records) => progress.update(records),
    });
    progress.close();
    const cpuSeconds = cpuBetween(cpu, readCpu(bench, workers));
    // Offsets count markers of transactions too: the share of the offsets is the share of the rows.
    const share = (end.total - total) / (end.total - before);
    return toThroughput(workers, {
      rows: changes * share,
      firstMs: committedAtMs,
      lastMs: end.committedAtMs,
      cpuSeconds,
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** Changes committed while nothing ran, then both at once: from the first event in the log to the last commit in the target. */
export async function measureCatchUp(bench: Bench): Promise<Throughput> {
  say(bench, `\ncatch-up, both at once: ${bench.sizes.changes} changes`);
  const changes = await loadChanges(bench, bench.sizes.changes);
  const lsn = await markNow(bench.legacy);
  const logEnd = await readLogEnd(bench);
  const before = (await readApplied(bench)).total;
  const workers = [await startWorker(bench, 'connect', 'catchup'), await startWorker(bench, 'project', 'catchup')];
  try {
    const firstMs = await untilLogMoves(bench, workers, logEnd);
    const cpu = readCpu(bench, workers);
    const progress = startProgress(bench, 'applied', changes);
    const end = await untilApplied(bench, workers, {
      before,
      records: changes,
      isComplete: (position) => position.lsn >= lsn,
      onApplied: (records) => progress.update(records),
    });
    progress.close();
    const cpuSeconds = cpuBetween(cpu, readCpu(bench, workers));
    await assertCounts(bench);
    return toThroughput(workers, { rows: changes, firstMs, lastMs: end.committedAtMs, cpuSeconds });
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}
