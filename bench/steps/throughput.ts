import type { Worker } from '../bench.ts';
import type { CpuSeconds, Throughput } from '../results.ts';
import { round, toRatePerSecond } from '../statistics.ts';

/** One stretch of work as a result, with what its processes used. They must still run. `startedMs`: the first event, where it is not `firstMs`. */
export function toThroughput(
  workers: readonly Worker[],
  measured: { rows: number; firstMs: number; lastMs: number; cpuSeconds: CpuSeconds },
): Throughput {
  const { rows, firstMs, lastMs, cpuSeconds } = measured;
  return {
    rows: Math.round(rows),
    seconds: round((lastMs - firstMs) / 1000, 2),
    rowsPerSecond: round(toRatePerSecond(rows, firstMs, lastMs), 0),
    startupSeconds: round((firstMs - Math.min(...workers.map((worker) => worker.startedAtMs))) / 1000, 2),
    cpuSeconds,
    cpuPerMillion: round((((cpuSeconds.connect ?? 0) + (cpuSeconds.project ?? 0)) / rows) * 1_000_000),
    peakMiB: Object.fromEntries(workers.map((worker) => [worker.name, round(worker.peakMiB(), 0)])),
  };
}
