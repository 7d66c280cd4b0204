import type { ByProcess, LegName, ProcessName, Results } from './results.ts';
import { isShort, ratioOf, summariseLatency, summariseLeg, toOwnCpu } from './summary.ts';

/** A figure that is wanted, and how it is read off a run; null where the run did not measure it. */
interface Target {
  readonly what: string;
  readonly kind: 'at least' | 'at most';
  readonly wanted: number;
  readonly unit: '×' | 'ms' | 'MiB' | 's';
  readonly measure: (results: Results) => number | null;
}

/** A wanted figure beside the measured one. */
export interface Judged {
  readonly what: string;
  readonly kind: Target['kind'];
  readonly wanted: number;
  readonly unit: Target['unit'];
  readonly measured: number | null;
  /** Null: not measured. */
  readonly isMet: boolean | null;
}

const ratio = (what: string, wanted: number, leg: LegName, to: LegName): Target => ({
  ...{ what, kind: 'at least', wanted, unit: '×' },
  measure: (results) => ratioOf(results, leg, to),
});
const latency = (of: 'p50' | 'p99', wanted: number): Target => ({
  ...{ what: `latency ${of}`, kind: 'at most', wanted, unit: 'ms' },
  measure: (results) => summariseLatency(results, 'crosswalk')?.[of].median ?? null,
});
const latencyToPeer = (of: 'p50' | 'p99'): Target => ({
  ...{ what: `latency ${of}, to the peer’s`, kind: 'at most', wanted: 0.5, unit: '×' },
  measure(results) {
    const [own, peer] = [summariseLatency(results, 'crosswalk'), summariseLatency(results, 'peer')];
    return own === null || peer === null ? null : own[of].median / peer[of].median;
  },
});
const memory = (what: string, wanted: number, process: ProcessName): Target => ({
  ...{ what: `memory of the ${what}`, kind: 'at most', wanted, unit: 'MiB' },
  measure: (results) => greatestPeak(results, process),
});

/** Ratios of one run, which hold on any machine, and a few figures that a machine of two cores should reach. No run fails by them. */
const targets: readonly Target[] = [
  ratio('backfill, to INSERT … SELECT', 1.5, 'backfill', 'limit'),
  ratio('catch-up, both, to INSERT … SELECT', 0.9, 'catchup', 'limit'),
  ratio('projector alone, to INSERT … SELECT', 1.2, 'projector', 'limit'),
  ratio('flat backfill, to the peer’s snapshot', 2, 'flatBackfill', 'peerSnapshot'),
  ratio('flat catch-up, to the peer’s', 2, 'flatCatchup', 'peerCatchup'),
  ratio('connector alone, to the peer’s source', 2.5, 'source', 'peerSource'),
  latency('p50', 6),
  latency('p99', 20),
  latencyToPeer('p50'),
  latencyToPeer('p99'),
  memory('connector', 150, 'connect'),
  memory('projector', 250, 'project'),
  {
    ...{ what: 'CPU for a million changes', kind: 'at most', wanted: 80, unit: 's' },
    measure(results) {
      const leg = summariseLeg(results, 'catchup');
      return leg === null || isShort(leg) ? null : toOwnCpu(leg.cpuPerMillion);
    },
  },
  ratio('verification, to the backfill', 2, 'verify', 'backfill'),
  {
    ...{ what: 'start to first event', kind: 'at most', wanted: 1.5, unit: 's' },
    // Before other legs, the slot first decodes whatever the legs before wrote on the same server.
    measure: (results) => summariseLatency(results, 'crosswalk')?.startupSeconds ?? null,
  },
];

/** Every wanted figure beside the measured one, in the order of `targets`. */
export function judge(results: Results): Judged[] {
  return targets.map(({ measure, ...target }) => {
    const measured = measure(results);
    const isMet =
      measured === null ? null : target.kind === 'at least' ? measured >= target.wanted : measured <= target.wanted;
    return { ...target, measured, isMet };
  });
}

/** The greatest resident size that a process had in any leg of the usual size: growth is a question of its own. */
function greatestPeak({ legs, latency }: Results, process: ProcessName): number | null {
  const runs: { readonly peakMiB: ByProcess }[] = [...Object.values(legs).flat(), ...Object.values(latency).flat()];
  const peaks = runs.flatMap(({ peakMiB }) => peakMiB[process] ?? []);
  return peaks.length === 0 ? null : Math.max(...peaks);
}
