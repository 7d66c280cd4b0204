import { type Applied, untilApplied } from '../applied.ts';
import { type Bench, cpuBetween, type Run, readCpu, readPeaks, startProgress, type Worker } from '../bench.ts';
import type { ByProcess, Throughput } from '../results.ts';
import { round, toRatePerSecond } from '../statistics.ts';

/** One stretch of work as a result, with what processes used in it. */
export function toThroughput(measured: {
  rows: number;
  firstMs: number;
  lastMs: number;
  startedMs?: number;
  cpuSeconds: ByProcess;
  peakMiB: ByProcess;
}): Throughput {
  const { rows, firstMs, lastMs, startedMs, cpuSeconds, peakMiB } = measured;
  const perMillion = Object.entries(cpuSeconds).map(([name, seconds]) => [name, round((seconds / rows) * 1_000_000)]);
  return {
    rows: Math.round(rows),
    seconds: round((lastMs - firstMs) / 1000, 3),
    rowsPerSecond: round(toRatePerSecond(rows, firstMs, lastMs), 0),
    ...(startedMs === undefined ? {} : { startupSeconds: round((firstMs - startedMs) / 1000, 2) }),
    cpuSeconds,
    cpuPerMillion: Object.fromEntries(perMillion) as ByProcess,
    peakMiB,
  };
}

/**
 * Rows of a leg that begins when the first of them are seen to be done, which were not done within the measured time. `seen` and `end` are offsets, which
 * count markers of transactions too: the share of the offsets is the share of the rows. All of them where none came later: such a leg is too short, and is warned of.
 */
export function toRowsAfter(rows: number, offsets: { before: number; seen: number; end: number }): number {
  const { before, seen, end } = offsets;
  return end > seen ? (rows * (end - seen)) / (end - before) : rows;
}

/** Begins to count what workers use; `end` returns the figures of the stretch. The workers must still run. */
export function beginUse(run: Run, workers: readonly Worker[]) {
  const first = readCpu(run, workers);
  const startedMs = Math.min(...workers.map((worker) => worker.startedAtMs));
  return {
    end: () => ({
      cpuSeconds: cpuBetween(first, readCpu(run, workers)),
      peakMiB: readPeaks(run, workers),
      ...(workers.length === 0 ? {} : { startedMs }),
    }),
  };
}

/** `untilApplied` with a line of progress. */
export async function followApplied(
  bench: Bench,
  workers: readonly Worker[],
  options: Omit<Parameters<typeof untilApplied>[2], 'onApplied'>,
): Promise<Applied> {
  const progress = startProgress(bench, 'applied', options.records);
  try {
    return await untilApplied(bench, workers, { ...options, onApplied: (records) => progress.update(records) });
  } finally {
    progress.close();
  }
}
