import { projections } from '../../projectors/projections/all.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { verifyAll } from '../../projectors/verify/verify.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type Bench, say, startProgress } from '../bench.ts';
import type { Verified } from '../results.ts';
import { round } from '../statistics.ts';

/** Every row recomputed and compared. Throws when one differs: then the speed means nothing. */
export async function measureVerification(bench: Bench): Promise<Verified> {
  say(bench, '\nverification: every row recomputed and compared');
  const progress = startProgress(bench, 'recomputed', bench.lastRow);
  const found = await verifyAll(bench.config, projections, readTenants(), {
    limit: 5,
    onRows: (rows) => progress.update(rows),
    signal: bench.signal,
  });
  progress.close();
  if (!found.ok) {
    const differing = found.tables.filter((table) => table.missing + table.extra + table.differing > 0);
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
}
