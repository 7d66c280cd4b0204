import { mark } from '../../projectors/mark.ts';
import {
  type Applied,
  quotesTopic,
  readApplied,
  readLogEnd,
  untilConfirmed,
  untilLogPasses,
  untilReached,
} from '../applied.ts';
import { type Bench, resetServerPeaks, say, startWorker, withWorkers } from '../bench.ts';
import type { Throughput } from '../results.ts';
import { loadChanges } from '../workload.ts';
import { beginUse, followApplied, toRowsAfter, toThroughput } from './throughput.ts';

/** Changes committed while nothing ran: first the connector alone, then, the log being full, the projector alone; both over the rows behind the first that were seen. */
export async function measureLegs(
  bench: Bench,
  wanted: number,
  processes = 1,
): Promise<{ source: Throughput; projector: Throughput }> {
  const changes = await loadChanges(bench, wanted);
  const lsn = await mark(bench.legacy);
  const source = await measureSource(bench, changes, lsn);
  say(bench, `  connector alone: ${source.rowsPerSecond} changes/s`);
  const projector = await measureProjector(bench, { changes, lsn, processes });
  say(bench, `  projector alone: ${projector.rowsPerSecond} changes/s`);
  await bench.assertEqual();
  return { source, projector };
}

async function measureSource(bench: Bench, changes: number, lsn: bigint): Promise<Throughput> {
  const before = await readLogEnd(bench, quotesTopic(bench));
  resetServerPeaks(bench);
  return await withWorkers([startWorker(bench, 'connect', 'source')], async (workers) => {
    const first = await untilLogPasses(bench, workers, quotesTopic(bench), before);
    const use = beginUse(bench, workers);
    const lastMs = await untilConfirmed(bench, workers, lsn);
    const used = use.end();
    const end = await readLogEnd(bench, quotesTopic(bench));
    const rows = toRowsAfter(changes, { before, seen: first.end, end });
    return toThroughput({ rows, firstMs: first.atMs, lastMs, ...used });
  });
}

/** From its first commit to its last, over the rows between the two: nobody else sees when it takes up its first row. */
async function measureProjector(
  bench: Bench,
  { changes, lsn, processes }: { changes: number; lsn: bigint; processes: number },
): Promise<Throughput> {
  const before = (await readApplied(bench)).total;
  resetServerPeaks(bench);
  const starting = Array.from({ length: processes }, (_, index) =>
    startWorker(bench, 'project', index === 0 ? 'projector' : `projector_${index + 1}`),
  );
  return await withWorkers(starting, async (workers) => {
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
    const use = beginUse(bench, workers);
    const end = await followApplied(bench, workers, {
      before,
      records: changes,
      isComplete: (position) => position.lsn >= lsn,
    });
    const rows = toRowsAfter(changes, { before, seen: total, end: end.total });
    return toThroughput({ rows, firstMs: committedAtMs, lastMs: end.committedAtMs, ...use.end() });
  });
}

/** Changes committed while nothing ran, then both at once: from the first event in the log to the last commit in the target. */
export async function measureCatchUp(bench: Bench, wanted: number): Promise<Throughput> {
  const changes = await loadChanges(bench, wanted);
  const lsn = await mark(bench.legacy);
  const logEnd = await readLogEnd(bench, quotesTopic(bench));
  const before = (await readApplied(bench)).total;
  resetServerPeaks(bench);
  const starting = [startWorker(bench, 'connect', 'catchup'), startWorker(bench, 'project', 'catchup')];
  const measured = await withWorkers(starting, async (workers) => {
    const { atMs: firstMs } = await untilLogPasses(bench, workers, quotesTopic(bench), logEnd);
    const use = beginUse(bench, workers);
    const end = await followApplied(bench, workers, {
      before,
      records: changes,
      isComplete: (position) => position.lsn >= lsn,
    });
    return toThroughput({ rows: changes, firstMs, lastMs: end.committedAtMs, ...use.end() });
  });
  await bench.assertEqual();
  say(bench, `  both at once: ${measured.rowsPerSecond} changes/s`);
  return measured;
}
