import { projections } from '../../projectors/projections/all.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { verifyAll } from '../../projectors/verify/verify.ts';
import { markNow, waitForLsn } from '../../projectors/wait.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type Bench, say, startProgress, startWorker } from '../bench.ts';
import type { Verified } from '../results.ts';
import { round } from '../statistics.ts';

const WAIT_MS = 600_000;

/** Every row recomputed and compared, beside a pipeline that runs. Throws when one differs: then the speed means nothing. */
export async function measureVerification(bench: Bench): Promise<Verified> {
  say(bench, '\nverification: every row recomputed and compared');
  const workers = [await startWorker(bench, 'connect', 'verify'), await startWorker(bench, 'project', 'verify')];
  try {
    // The time that the processes take to start is not part of it.
    await waitForLsn(bench.config, bench.kafka, bench.target, projections, {
      lsn: await markNow(bench.legacy),
      timeoutMs: WAIT_MS,
      signal: bench.signal,
    });
    const progress = startProgress(bench, 'compared', bench.lastRow);
    const found = await verifyAll(bench.config, projections, readTenants(), {
      kafka: bench.kafka,
      limit: 5,
      onRows: (done, total) => progress.update(done, total),
      signal: bench.signal,
    });
    progress.close();
    if (!found.ok) {
      const differing = found.tables.filter(
        ({ missing, extra, differing: different, unsettled }) => missing + extra + different + unsettled > 0,
      );
      throw new CrosswalkError(
        'unexpected',
        `the new schema differs from the legacy rows: ${differing.map((table) => table.table).join(', ') || 'a check failed'}`,
        'The pipeline is wrong: its speed means nothing.',
      );
    }
    return {
      rows: found.legacyRows,
      seconds: round(found.seconds, 2),
      rowsPerSecond: round(found.legacyRows / found.seconds, 0),
      isEqual: found.ok,
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}
