import { quotesTopic, readApplied, untilLogPasses, untilUpkeepIsDone } from '../applied.ts';
import { type Bench, resetServerPeaks, say, startWorker, withWorkers } from '../bench.ts';
import type { Customers } from '../quote-rows.ts';
import type { Throughput } from '../results.ts';
import { loadRows } from '../workload.ts';
import { beginUse, followApplied, toThroughput } from './throughput.ts';

/** All rows are there before the start: from the first event in the log to the last commit in the target. */
export async function measureBackfill(
  bench: Bench,
  rows: number,
  options: { readonly customers?: Customers; readonly tenants?: number; readonly timeoutMs?: number } = {},
): Promise<Throughput> {
  await loadRows(bench, bench.legacy, 'quotes', rows, options);
  bench.lastRow = rows;
  resetServerPeaks(bench);
  const starting = [startWorker(bench, 'connect', 'backfill'), startWorker(bench, 'project', 'backfill')];
  const measured = await withWorkers(starting, async (workers) => {
    const { atMs: firstMs } = await untilLogPasses(bench, workers, quotesTopic(bench), 0);
    const use = beginUse(bench, workers);
    const before = (await readApplied(bench)).total;
    const { committedAtMs } = await followApplied(bench, workers, {
      ...{ before: 0, records: rows },
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      isComplete: (position) => bench.config.tables.every((table) => position.snapshot[table]?.done),
    });
    if (before > rows / 2) throw new Error('the load was over before it was measured: more rows are needed');
    const used = use.end();
    if (bench.hasUpkeep) {
      // Otherwise the next leg would do it.
      await untilUpkeepIsDone(bench, workers);
      say(bench, `  statistics and figures: done after ${((Date.now() - committedAtMs) / 1000).toFixed(1)} s`);
    }
    return toThroughput({ rows, firstMs, lastMs: committedAtMs, ...used });
  });
  await bench.assertEqual();
  say(bench, `  backfill: ${measured.rowsPerSecond} rows/s`);
  return measured;
}
