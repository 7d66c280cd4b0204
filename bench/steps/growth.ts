import { CrosswalkError } from '../../runtime/errors.ts';
import { readApplied } from '../applied.ts';
import { type Run, say } from '../bench.ts';
import { fanOut, withPipeline } from '../pipeline.ts';
import type { GrowthPoint } from '../results.ts';
import { measureBackfill } from './backfill.ts';

/** How long one size may take. */
const TIMEOUT_MS = 3_000_000;

/** Of how many rows the backfills of one and of 1,000 tenants are: the first size that a rate can be told of. */
const TENANT_ROWS = 100_000;

/** Backfills of growing size, each on databases of its own, of one tenant and of many, then one whose rows are all quotes of one customer. */
export async function measureGrowth(
  run: Run,
  sizes: { readonly rows: readonly number[]; readonly oneCustomer: number },
  onPoint: (point: GrowthPoint) => void,
): Promise<void> {
  for (const rows of sizes.rows) onPoint(await measurePoint(run, 'as usual', rows));
  const tenantRows = sizes.rows.filter((rows) => rows <= TENANT_ROWS).at(-1);
  if (tenantRows !== undefined) {
    for (const shape of ['one tenant', '1,000 tenants'] as const) onPoint(await measurePoint(run, shape, tenantRows));
  }
  if (sizes.oneCustomer > 0) onPoint(await measurePoint(run, 'one customer', sizes.oneCustomer));
}

async function measurePoint(run: Run, shape: GrowthPoint['shape'], rows: number): Promise<GrowthPoint> {
  say(run, `\ngrowth: ${rows} rows, ${shape}`);
  return await withPipeline(run, `growth_${rows}_${shape.replaceAll(/[ ,]/g, '_')}`, fanOut, async (bench) => {
    const customers = shape === 'one customer' ? 'one' : 'each';
    const tenants = shape === 'one tenant' ? 1 : shape === '1,000 tenants' ? 1000 : undefined;
    const of = { customers, ...(tenants === undefined ? {} : { tenants }), timeoutMs: TIMEOUT_MS } as const;
    try {
      const measured = await measureBackfill(bench, rows, of);
      return { shape, rows, measured, applied: rows };
    } catch (thrown) {
      // That it does not end in its time is a figure too.
      if (!(thrown instanceof CrosswalkError) || thrown.code !== 'not_reached') throw thrown;
      const applied = (await readApplied(bench)).total;
      say(run, `  not over after ${TIMEOUT_MS / 60_000} minutes: ${applied} rows applied`);
      return { shape, rows, measured: null, applied };
    }
  });
}
