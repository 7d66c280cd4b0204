import type { Log } from './log.ts';

/** Maximum values kept per hop between two log lines. */
const MOST = 100_000;

/** Collects how long changes take from hop to hop, and logs percentiles. */
export interface HopTrace {
  /** `ms`: milliseconds, of one change or one transaction. */
  add(hop: string, ms: number): void;
  close(): void;
}

/** Milliseconds: the count of values, their median, and the slowest. */
export interface HopTimes {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Logs one line every `everySeconds`, with the hops of that time; null if it is 0: then nothing is measured. */
export function createHopTrace(log: Log, everySeconds: number): HopTrace | null {
  if (everySeconds === 0) return null;
  let hops = new Map<string, number[]>();
  const tell = () => {
    if (hops.size > 0) log.info({ hops: toTimes(hops) }, 'hops');
    hops = new Map();
  };
  const timer = setInterval(tell, 1000 * everySeconds);
  return {
    add(hop, ms) {
      const values = hops.get(hop);
      if (values === undefined) hops.set(hop, [ms]);
      else if (values.length < MOST) values.push(ms);
    },
    close() {
      clearInterval(timer);
      tell();
    },
  };
}

function toTimes(hops: ReadonlyMap<string, readonly number[]>): Record<string, HopTimes> {
  const round = (ms: number) => Math.round(10 * ms) / 10;
  return Object.fromEntries(
    [...hops].map(([hop, values]) => {
      const sorted = values.toSorted((a, b) => a - b);
      const at = (share: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!);
      return [hop, { count: sorted.length, p50: at(0.5), p99: at(0.99), max: round(sorted.at(-1)!) }];
    }),
  );
}

/** Milliseconds from a time to now by this machine's clock. `at`: PostgreSQL's text in UTC, or microseconds since 1970. */
export function msSince(at: string | bigint): number {
  if (typeof at === 'bigint') return Date.now() - Number(at) / 1000;
  return Date.now() - Date.parse(`${at.replace(' ', 'T').slice(0, -3)}Z`);
}
