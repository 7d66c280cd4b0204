import { readApplied, untilApplied, untilLogMoves } from '../applied.ts';
import { type Bench, cpuBetween, readCpu, say, startProgress, startWorker } from '../bench.ts';
import type { Results } from '../results.ts';
import { assertCounts, countNewRows, loadRows } from '../workload.ts';
import { toThroughput } from './throughput.ts';

/** All rows are there before the start: from the first event in the log to the last commit in the target. */
export async function measureBackfill(bench: Bench): Promise<NonNullable<Results['backfill']>> {
  const { rows } = bench.sizes;
  say(bench, `\nbackfill: ${rows} legacy quotes`);
  await loadRows(bench, bench.legacy, 'quotes', rows);
  bench.lastRow = rows;
  const workers = [await startWorker(bench, 'connect', 'backfill'), await startWorker(bench, 'project', 'backfill')];
  try {
    const firstMs = await untilLogMoves(bench, workers, 0);
    const cpu = readCpu(bench, workers);
    const before = (await readApplied(bench)).total;
    const progress = startProgress(bench, 'applied', rows);
    const end = await untilApplied(bench, workers, {
      before: 0,
      records: rows,
      isComplete: (position) => bench.config.tables.every((table) => position.snapshot[table]?.done),
      onApplied: (records) => progress.update(records),
    });
    progress.close();
    const cpuSeconds = cpuBetween(cpu, readCpu(bench, workers));
    await assertCounts(bench);
    if (before > rows / 2) throw new Error('the load was over before it was measured: more rows are needed');
    return {
      ...toThroughput(workers, { rows, firstMs, lastMs: end.committedAtMs, cpuSeconds }),
      newRows: await countNewRows(bench.target),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}
