import crm from '../../pipelines/crm/pipeline.ts';
import { mark } from '../../projectors/mark.ts';
import { statesOf } from '../../projectors/projection.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { verifyAll } from '../../projectors/verify/verify.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type Bench, resetServerPeaks, say, startProgress, startWorker, withWorkers } from '../bench.ts';
import type { Throughput } from '../results.ts';
import { beginUse, toThroughput } from './throughput.ts';

const WAIT_MS = 600_000;

/** Every row recomputed and compared, beside a pipeline that runs. Throws when one differs: then the speed means nothing. */
export async function measureVerification(bench: Bench): Promise<Throughput> {
  const starting = [startWorker(bench, 'connect', 'verify'), startWorker(bench, 'project', 'verify')];
  return await withWorkers(starting, async (workers) => {
    // The time that the processes take to start is not part of it.
    await waitForLsn(bench.config, bench.kafka, bench.target, statesOf(crm.projections), {
      lsn: await mark(bench.legacy),
      timeoutMs: WAIT_MS,
      signal: bench.signal,
    });
    const progress = startProgress(bench, 'compared', bench.lastRow);
    resetServerPeaks(bench);
    const use = beginUse(bench, workers);
    // It is this process that verifies.
    const own = process.cpuUsage();
    const found = await verifyAll(bench.config, statesOf(crm.projections), readTenants(crm), {
      ...(crm.checks === undefined ? {} : { checks: crm.checks }),
      kafka: bench.kafka,
      limit: 5,
      onRows: (done, total) => progress.update(done, total),
      signal: bench.signal,
    });
    const { user, system } = process.cpuUsage(own);
    const { cpuSeconds, peakMiB } = use.end();
    progress.close();
    if (!found.ok) {
      const differing = found.tables.filter(
        ({ missing, extra, differing: different, unsettled }) => missing + extra + different + unsettled > 0,
      );
      throw new CrosswalkError(
        'unexpected.pipeline_wrong',
        `the new schema differs from the legacy rows: ${differing.map((table) => table.table).join(', ') || 'a check failed'}`,
      );
    }
    const measured = toThroughput({
      ...{ rows: found.legacyRows, firstMs: 0, lastMs: found.seconds * 1000, peakMiB },
      cpuSeconds: { ...cpuSeconds, verify: (user + system) / 1_000_000 },
    });
    say(bench, `  verification: ${measured.rowsPerSecond} rows/s`);
    return measured;
  });
}
