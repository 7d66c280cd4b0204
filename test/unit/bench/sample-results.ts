import type { Latency, Results, Throughput } from '../../../bench/results.ts';

/** A leg of so many rows a second, in four seconds. */
export const leg = (rowsPerSecond: number, changed: Partial<Throughput> = {}): Throughput => ({
  rows: rowsPerSecond * 4,
  seconds: 4,
  rowsPerSecond,
  startupSeconds: 1.2,
  cpuSeconds: { connect: 3, project: 4, postgres: 5 },
  cpuPerMillion: { connect: 30, project: 40, postgres: 50 },
  peakMiB: { connect: 140, project: 190, kafka: 600 },
  ...changed,
});

/** Single commits with this median, in milliseconds. */
export const latencyOf = (p50: number): Latency => {
  const spread = { count: 6000, p50, p95: p50 * 2, p99: p50 * 3, max: p50 * 4 };
  return {
    ...{
      ratePerSecond: 200,
      achievedPerSecond: 199.9,
      seconds: 30,
      cpuSeconds: { connect: 3, project: 6 },
      peakMiB: { connect: 120 },
    },
    ...{ commitToVisibleMs: spread, insertsMs: spread, updatesMs: spread },
  };
};

/** A run on a quiet machine that measured nothing yet. */
export const quiet: Results = {
  at: '2026-01-01T00:00:00.000Z',
  command: 'ROWS=100000 bench/main.ts',
  machine: {
    ...{ cpu: 'A CPU', cores: 2, memoryGiB: 24, kernel: '6.1', node: 'v24.0.0', loadAtStart: 0.1, commit: 'abc1234' },
    ...{ postgres: '18.1', kafka: '4.1.0' },
  },
  sizes: { rows: 100_000, changes: 100_000, seconds: 30 },
  isProfiled: false,
  ...{ legs: {}, latency: {}, growth: [], failures: [] },
};
