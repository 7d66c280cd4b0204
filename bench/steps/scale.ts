import { type Run, say } from '../bench.ts';
import { fanOut, withPipeline } from '../pipeline.ts';
import type { ScalePoint } from '../results.ts';
import { measureBackfill } from './backfill.ts';
import { measureLegs } from './catch-up.ts';

/** Rows that are there before the changes, so that these have something to update. */
const BASE_ROWS = 5000;

/** The projector's leg with several processes, and topics of several partitions: what one machine gains by more of either. */
export async function measureScale(
  run: Run,
  sizes: { readonly partitions: readonly number[]; readonly processes: readonly number[]; readonly changes: number },
  onPoint: (point: ScalePoint) => void,
): Promise<void> {
  for (const partitions of sizes.partitions) {
    const kind = { ...fanOut, env: { CROSSWALK_PARTITIONS: String(partitions) } };
    await withPipeline(run, `scale_${partitions}`, kind, async (bench) => {
      await measureBackfill(bench, BASE_ROWS);
      for (const processes of sizes.processes) {
        say(run, `\nscale: ${partitions} partitions, ${processes} projectors`);
        const { projector } = await measureLegs(bench, sizes.changes, processes);
        onPoint({ partitions, processes, measured: projector });
      }
    });
  }
}
