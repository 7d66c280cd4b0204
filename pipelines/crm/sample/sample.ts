import type { Sample } from '../../../projectors/pipeline.ts';
import { createLegacySchema, loadSample } from './load.ts';
import { plantedRejects } from './planted-rejects.ts';
import { startTraffic } from './traffic.ts';

/** As many contacts as quotes, with realistically messy data, and a simulated legacy application. */
export const sample: Sample = {
  createSchema: createLegacySchema,
  async isEmpty(legacy) {
    const { rowCount } = await legacy.query('SELECT FROM public.contacts UNION ALL SELECT FROM public.quotes LIMIT 1');
    return rowCount === 0;
  },
  describe: (rows) => `${rows} contacts and ${rows} quotes`,
  async load(legacy, { seed, rows, onRows }) {
    const byTable: Record<string, number> = {};
    return await loadSample(legacy, {
      ...{ seed, contacts: rows, quotes: rows },
      onProgress: ({ table, rows: done }) => {
        byTable[table] = done;
        onRows((byTable.contacts ?? 0) + (byTable.quotes ?? 0), 2 * rows);
      },
    });
  },
  startTraffic: ({ address, seed, rows, changesPerSecond }) =>
    startTraffic({
      ...{ url: address, seed, changesPerSecond, largestTransaction: 100, plantRejects: true },
      planted: plantedRejects(seed, { contacts: rows, quotes: rows }),
    }),
};
