import { describe, expect, it } from 'vitest';
import { toReportLines, toWarnings } from '../../../bench/table.ts';
import { latencyOf, leg, quiet } from './sample-results.ts';

describe('table', () => {
  it('shows each rate that was measured with its spread, and how it compares with the limit of the same run', () => {
    const legs = { catchup: [leg(12_000), leg(13_000), leg(12_500)], limit: [leg(10_000, { peakMiB: {} })] };
    const text = toReportLines({ ...quiet, legs }).join('\n');
    expect(text).toMatch(/^ {2}both, catch-up +3 +12,000 +12,500 +13,000 +4\.0 +1\.25 +1\.2$/m);
    expect(text).toMatch(/^ {2}both, catch-up +30\.0 +40\.0 +70\.0 +50\.0 +140 +190 +600$/m);
    expect(text).toMatch(/^ {2}INSERT … SELECT +1 +10,000 +4\.0 +1\.00/m);
    expect(text).not.toContain('connector alone');
    expect(text).not.toContain('× peer');
  });

  it('compares flat legs with the peer, and with nothing else', () => {
    const peer = leg(5000, { cpuPerMillion: { peer: 178 }, peakMiB: { peer: 2600 } });
    const legs = { flatBackfill: [leg(15_000)], peerSnapshot: [peer], limit: [leg(10_000)] };
    const text = toReportLines({ ...quiet, legs }).join('\n');
    expect(text).toMatch(/^ {2}flat backfill +1 +15,000 +4\.0 +3\.00 +1\.2$/m);
    expect(text).toMatch(/^ {2}peer, snapshot +178\.0 +178\.0 +2,600$/m);
  });

  it('leaves the comparison out where no limit was measured', () => {
    expect(toReportLines({ ...quiet, legs: { backfill: [leg(12_500)] } }).join('\n')).toMatch(
      /^ {2}backfill +1 +12,500 +4\.0 +1\.2$/m,
    );
  });

  it('shows latency beside the peer’s', () => {
    const latency = { crosswalk: [latencyOf(5), latencyOf(7)], peer: [latencyOf(12)] };
    const text = toReportLines({ ...quiet, latency }).join('\n');
    expect(text).toMatch(/^ {2}crosswalk +199\.9 +6\.0 +12\.0 +18\.0 +28\.0 +0\.50 +0\.50 +30 +120$/m);
  });

  it('shows growth, one that was not over too, and hops where there are any', () => {
    const growth = [
      { shape: 'as usual', rows: 10_000, measured: leg(9000), applied: 10_000 },
      { shape: 'one customer', rows: 100_000, measured: null, applied: 1234 },
    ] as const;
    const text = toReportLines({ ...quiet, growth: [...growth] }).join('\n');
    expect(text).toMatch(/^ {2}a customer each +10,000 +9,000 +4\.0 +70\.0 +140 +190 +600$/m);
    expect(text).toMatch(/^ {2}all of one customer +100,000 +not over: 1,234 applied$/m);
    expect(text).not.toContain('hops');
    const hops = { 'commit to log': { count: 10, p50: 1.25, p95: 2, p99: 3, max: 4 } };
    expect(toReportLines({ ...quiet, hops }).join('\n')).toMatch(/^ {2}commit to log +1\.25 +2\.00 +3\.00 +4\.00$/m);
  });
});

describe('warnings', () => {
  it('says nothing on a quiet machine', () => {
    expect(toWarnings({ ...quiet, legs: { backfill: [leg(12_500)] } })).toEqual([]);
  });

  it('doubts a busy machine, profilers, short legs, and a source that was too slow', () => {
    const busy = { ...quiet.machine, loadAtStart: 0.51 };
    expect(toWarnings({ ...quiet, machine: busy })).toEqual([expect.stringContaining('0.51')]);
    expect(toWarnings({ ...quiet, isProfiled: true })).toEqual([expect.stringContaining('profilers')]);
    expect(toWarnings({ ...quiet, legs: { source: [leg(1000, { seconds: 0.1 })] } })).toEqual([
      expect.stringContaining('connector alone'),
    ]);
    const latency = { crosswalk: [{ ...latencyOf(5), achievedPerSecond: 150 }] };
    expect(toWarnings({ ...quiet, latency })).toEqual([expect.stringContaining('only 150.0 of 200')]);
  });

  it('doubts a peer that had too few rows', () => {
    const legs = { peerSnapshot: [leg(5000)] };
    expect(toWarnings({ ...quiet, legs })).toEqual([]);
    expect(toWarnings({ ...quiet, legs, sizes: { ...quiet.sizes, rows: 99_999 } })).toEqual([
      expect.stringContaining('so few rows'),
    ]);
  });

  it('says why figures of the peer are missing', () => {
    expect(toWarnings({ ...quiet, failures: ['Maven is missing'] })).toEqual([expect.stringContaining('Maven')]);
  });
});
