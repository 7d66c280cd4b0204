import { describe, expect, it } from 'vitest';
import { connectorHealth, projectorHealth, stallAfterMs, verifyHealth } from '../../../monitor/health.ts';
import { createProjectionStatus, type ProjectionStatus } from '../../../projectors/status.ts';
import { createVerifyStatus, type VerifyStatus } from '../../../projectors/verify/status.ts';

const config = { heartbeatMs: 1000, lagWarningSeconds: 30, stallSeconds: 60 };
const NOW = 10_000_000;
const WALL = 1_700_000_000_000_000n;

describe('connectorHealth', () => {
  const cases: [string, Parameters<typeof connectorHealth>[0]['state'], number, bigint, object][] = [
    ['streams', 'streaming', 500, 1n, { live: true, ready: true, sign: 'healthy' }],
    ['just within the limit', 'streaming', 60_000, 1n, { live: true, ready: true, sign: 'healthy' }],
    ['writes no position', 'streaming', 60_001, 1n, { live: false, ready: false, sign: 'stalled' }],
    ['is late', 'streaming', 500, 31n, { live: true, ready: true, sign: 'lagging' }],
    ['waits for a server for an hour', 'starting', 3_600_000, 3600n, { live: true, ready: false, sign: 'waiting' }],
    ['stands by for an hour', 'standing by', 3_600_000, 3600n, { live: true, ready: false, sign: 'waiting' }],
    ['is ending', 'stopped', 500, 1n, { live: true, ready: false, sign: 'stopped' }],
  ];
  it.each(cases)('%s', (_, state, idleMs, lagSeconds, expected) => {
    const status = { state, lastProgressMs: NOW - idleMs, sourceMicros: WALL - lagSeconds * 1_000_000n };
    expect(connectorHealth(status, config, NOW, WALL)).toMatchObject(expected);
  });

  it('has no lag before the first position', () => {
    const status = { state: 'streaming', lastProgressMs: NOW, sourceMicros: 0n } as const;
    expect(connectorHealth(status, config, NOW, WALL).sign).toBe('healthy');
  });

  it('waits for a server that answers and has nothing to send yet', () => {
    const status = { state: 'streaming', lastProgressMs: NOW - 3_600_000, sourceMicros: WALL } as const;
    const health = (heardMs: number) => connectorHealth({ ...status, lastHeardMs: NOW - heardMs }, config, NOW, WALL);
    expect(health(1000)).toMatchObject({ live: true, ready: true, sign: 'healthy' });
    expect(health(60_001)).toMatchObject({ live: false, sign: 'stalled' });
  });

  it('gives slow heartbeats ten of them', () => {
    expect(stallAfterMs({ heartbeatMs: 1000, stallSeconds: 60 })).toBe(60_000);
    expect(stallAfterMs({ heartbeatMs: 30_000, stallSeconds: 60 })).toBe(300_000);
  });
});

describe('verifyHealth', () => {
  const cases: [string, Partial<VerifyStatus>, object][] = [
    ['compares', { state: 'comparing', lastProgressMs: NOW - 60_000 }, { live: true, sign: 'healthy' }],
    ['compares nothing', { state: 'comparing', lastProgressMs: NOW - 60_001 }, { live: false, sign: 'stalled' }],
    ['asks for whole tables', { state: 'checking', lastProgressMs: NOW - 900_000 }, { live: true, sign: 'healthy' }],
    ['rests', { state: 'resting', lastProgressMs: NOW - 900_000 }, { live: true, sign: 'healthy' }],
    [
      'waits for the pipeline',
      { state: 'comparing', lastProgressMs: NOW - 900_000, waitingSinceMs: NOW - 900_000 },
      { live: true, ready: false, sign: 'waiting' },
    ],
  ];
  it.each(cases)('%s', (_, change, expected) => {
    expect(verifyHealth({ ...createVerifyStatus(['leads']), ...change }, config, NOW)).toMatchObject(expected);
  });
});

describe('projectorHealth', () => {
  const running = (changes: Partial<ProjectionStatus> = {}): ProjectionStatus => ({
    ...createProjectionStatus('quotes'),
    state: 'running',
    lastProgressMs: NOW - 3_600_000,
    ...changes,
  });
  const cases: [string, ProjectionStatus[], object][] = [
    ['idle for an hour, nothing to do', [running()], { live: true, ready: true, sign: 'healthy' }],
    ['idle for an hour, then behind', [running({ behindSinceMs: NOW - 1000 })], { live: true, sign: 'healthy' }],
    ['behind, no progress', [running({ behindSinceMs: NOW - 60_001 })], { live: false, ready: false, sign: 'stalled' }],
    [
      'long behind, and getting on',
      [running({ behindSinceMs: NOW - 900_000, lastProgressMs: NOW - 1000, lagSeconds: 900 })],
      { live: true, ready: true, sign: 'lagging' },
    ],
    ['a parked change waits', [running({ parkedSeconds: 31 })], { live: true, ready: true, sign: 'blocked' }],
    [
      'starting, behind',
      [running({ state: 'starting', behindSinceMs: NOW - 900_000 })],
      { live: true, ready: false, sign: 'waiting' },
    ],
    [
      'a server does not answer, nothing is applied',
      [running({ unreachable: { problem: 'target database t: no answer within 5 s', askedMs: NOW - 5000 } })],
      { live: true, ready: false, sign: 'waiting', reason: 'target database t: no answer within 5 s' },
    ],
    [
      'starting while a server does not answer',
      [running({ state: 'starting', unreachable: { problem: 'no answer', askedMs: NOW - 5000 } })],
      { live: true, ready: false, sign: 'waiting', reason: 'no answer' },
    ],
    [
      'a look at the lag fails, and batches are applied',
      [running({ unreachable: { problem: 'no answer', askedMs: NOW - 5000 }, lastProgressMs: NOW - 1000 })],
      { live: true, ready: true, sign: 'healthy' },
    ],
    ['stopped', [running({ state: 'stopped' })], { live: true, ready: false, sign: 'stopped' }],
    [
      'the worst one speaks',
      [running(), running({ behindSinceMs: NOW - 99_000 }), running({ parkedSeconds: 99 })],
      { live: false, ready: false, sign: 'stalled' },
    ],
    ['one waits, one runs', [running(), running({ state: 'starting' })], { live: true, ready: false, sign: 'waiting' }],
    ['nothing runs', [], { live: true, ready: false, sign: 'waiting' }],
  ];
  it.each(cases)('%s', (_, statuses, expected) => {
    expect(projectorHealth(statuses, config, NOW)).toMatchObject(expected);
  });

  it('names the projection', () => {
    expect(projectorHealth([running({ behindSinceMs: NOW - 90_000 })], config, NOW).reason).toBe(
      'quotes: behind, and nothing applied for 90 s',
    );
  });
});
