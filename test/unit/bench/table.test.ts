import { describe, expect, it } from 'vitest';
import type { Results, Throughput } from '../../../bench/results.ts';
import { toReportLines, toWarnings } from '../../../bench/table.ts';

const rate: Throughput = {
  rows: 100_000,
  seconds: 8,
  rowsPerSecond: 12_500,
  startupSeconds: 1.2,
  cpuSeconds: { connect: 3, project: 4 },
  cpuPerMillion: 70,
  peakMiB: { connect: 210, project: 190 },
};
const spread = { count: 6000, p50: 5.2, p95: 9.1, p99: 14.9, max: 40 };
const latency = {
  ratePerSecond: 200,
  achievedPerSecond: 199.9,
  seconds: 30,
  commitToVisibleMs: spread,
  insertsMs: spread,
  updatesMs: spread,
  cpuSeconds: {},
  peakMiB: {},
};
const quiet: Results = {
  at: '2026-01-01T00:00:00.000Z',
  machine: {
    ...{ cpu: 'A CPU', cores: 2, memoryGiB: 24, kernel: '6.1', node: 'v24.0.0', loadAtStart: 0.1, commit: 'abc1234' },
    ...{ postgres: '18.1', kafka: '4.1.0' },
  },
  sizes: { rows: 100_000, changes: 100_000, seconds: 30 },
  isProfiled: false,
  latency,
};

describe('table', () => {
  it('shows each rate that was measured, and how it compares with the limit of the same run', () => {
    const limit = { rows: 100_000, newRows: 780_000, seconds: 10, rowsPerSecond: 10_000 };
    const text = toReportLines({ ...quiet, catchup: rate, limit }).join('\n');
    expect(text).toMatch(/^both, catch-up +12,500 +8\.0 +1\.25 +1\.2 +70\.0 +210 +190$/m);
    expect(text).toMatch(/^INSERT … SELECT +10,000 +10\.0 +1\.00$/m);
    expect(text).not.toContain('connector alone');
  });

  it('leaves the comparison out where no limit was measured', () => {
    expect(toReportLines({ ...quiet, backfill: { ...rate, newRows: 1 } }).join('\n')).toMatch(
      /^backfill +12,500 +8\.0 +1\.2 +70\.0/m,
    );
  });

  it('shows latency', () => {
    expect(toReportLines(quiet).join('\n')).toContain('p50 5.2, p95 9.1, p99 14.9, max 40.0 (6,000 rows)');
  });
});

describe('warnings', () => {
  it('says nothing on a quiet machine', () => {
    expect(toWarnings(quiet)).toEqual([]);
  });

  it('doubts a busy machine, profilers and a source that was too slow', () => {
    const busy = { ...quiet.machine, loadAtStart: 0.51 };
    expect(toWarnings({ ...quiet, machine: busy })).toEqual([expect.stringContaining('0.51')]);
    expect(toWarnings({ ...quiet, isProfiled: true })).toEqual([expect.stringContaining('profilers')]);
    expect(toWarnings({ ...quiet, latency: { ...latency, achievedPerSecond: 150 } })).toEqual([
      expect.stringContaining('only 150.0 of 200'),
    ]);
  });
});
