import { describe, expect, it } from 'vitest';
import {
  type ConfirmationKind,
  confirmationKinds,
  type GateFacts,
  type VerifiedTable,
} from '../../../monitor/stages/gate-facts.ts';
import { toGateLines, toGateVerdict, toLargestGap, toVerifiedOf } from '../../../monitor/stages/gate-lines.ts';
import type { LagSample } from '../../../monitor/stages/lag-samples.ts';

const NOW = 1_800_000_000;
const config = { slot: 'crosswalk', lagWarningSeconds: 30, lagFailingSeconds: 300 };
const scope = { projections: ['contacts', 'quotes'], tables: ['leads', 'payments'], mapping: 'contacts@1 quotes@2' };
const limits = { maxLagSeconds: 30, verifiedWithinSeconds: 86_400 };

function samples(change: Partial<LagSample> = {}, at = 0): LagSample[] {
  return scope.projections.flatMap((projection) =>
    Array.from({ length: 240 }, (_, n) => ({
      projection,
      atSeconds: NOW - 15 * (239 - n),
      lagSeconds: 1,
      lagOffsets: 0n,
      ...(n === at ? change : {}),
    })),
  );
}
const verified = (table: string, change: Partial<VerifiedTable> = {}): VerifiedTable => ({
  ...{
    table,
    tenantId: '*',
    mapping: 'contacts@1 quotes@2',
    throughSeconds: NOW - 60,
    rows: 10,
    differences: 0,
    unsettled: 0,
  },
  ...change,
});
const partition = (projection: string, lagSeconds: number | null) => ({
  ...{ projection, topic: 't', partition: 0, endOffset: 5n, nextOffset: 5n, lagSeconds },
  lagOffsets: lagSeconds === 0 ? 0n : 1n,
});
const confirmation = (kind: ConfirmationKind) => ({
  ...{ kind, by: 'ann', note: 'n', at: '2027-01-15 08:00:00+00', validUntil: '2027-01-22 08:00:00+00', isValid: true },
});
const allBut = (left: ConfirmationKind) => confirmationKinds.filter((kind) => kind !== left).map(confirmation);

/** Everything is fine, but for what a test changes. */
function factsWith(change: Partial<GateFacts> = {}, pipeline: Partial<GateFacts['pipeline']> = {}): GateFacts {
  const slot = { active: true, walStatus: 'reserved', invalidation: null, retainedBytes: 100n, confirmedLsn: 10n };
  const position = { lsn: 10n } as never;
  return {
    tenant: 'ws',
    isKnown: true,
    pipeline: {
      legacy: { state: 'up', flushLsn: 10n, nowMicros: 0n, slot, estimatedRows: {} },
      kafka: { state: 'up', position, deadLetters: 0 },
      target: { state: 'up', offsets: [], projections: {}, rejects: [], figures: null },
      source: { lagBytes: 0n, lagSeconds: 0 },
      tables: [{ table: 'contacts', rows: 1, done: true, estimatedRows: 1 }],
      projections: scope.projections.map((projection) => ({
        ...{
          projection,
          topic: 't',
          partitions: [partition(projection, 0)],
          parked: 0,
          parkedSeconds: 0,
          deadLetters: 0,
        },
      })),
      ...pipeline,
    },
    nowSeconds: NOW,
    samples: samples(),
    verified: scope.tables.flatMap((table) => [verified(table), verified(table, { tenantId: 'ws' })]),
    deadLetters: { own: 0, unknown: 0 },
    parked: { own: 0, unknown: 0 },
    oversized: { state: 'up', count: 0 },
    rejects: 7,
    confirmations: confirmationKinds.map(confirmation),
    ...change,
  };
}
const linesOf = (facts: GateFacts) => toGateLines(facts, scope, limits, config);
/** Names of the lines that say no. */
const missing = (change: Partial<GateFacts> = {}, pipeline: Partial<GateFacts['pipeline']> = {}) =>
  linesOf(factsWith(change, pipeline))
    .filter(({ state }) => state === 'no-go')
    .map(({ name }) => name);
const withSlot = (change: object): Partial<GateFacts['pipeline']> => {
  const { legacy } = factsWith().pipeline;
  return { legacy: legacy.state === 'up' ? { ...legacy, slot: { ...legacy.slot!, ...change } } : legacy };
};
const lagging = (seconds: number | null, source = 0): Partial<GateFacts['pipeline']> => ({
  source: { lagBytes: 1n, lagSeconds: source },
  projections: factsWith().pipeline.projections.map((state) => ({
    ...state,
    partitions: [partition(state.projection, seconds)],
  })),
});

describe('a gate', () => {
  it('is go where nothing is wrong, whatever was rejected', () => {
    const lines = linesOf(factsWith());
    expect(toGateVerdict(lines)).toBe('go');
    expect(lines.filter(({ state }) => state === 'shown')).toMatchObject([
      { name: 'rejects', what: expect.stringContaining('7') },
    ]);
    expect(missing({ tenant: null, rejects: 1_000_000 })).toEqual([]);
  });

  it.each<[string, Partial<GateFacts>, Partial<GateFacts['pipeline']>?]>([
    ['tenant', { isKnown: false }],
    ['replication slot', {}, withSlot({ walStatus: 'lost' })],
    ['replication slot', {}, withSlot({ walStatus: 'unreserved' })],
    ['replication slot', {}, withSlot({ invalidation: 'idle_timeout' })],
    ['replication slot', {}, withSlot({ confirmedLsn: 11n })],
    ['replication slot', {}, withSlot({ walStatus: 'lost', active: true })],
    ['connector', {}, withSlot({ active: false })],
    ['initial load', {}, { tables: [{ table: 'contacts', rows: 1, done: false, estimatedRows: 2 }] }],
    ['lag now', {}, lagging(31)],
    ['lag now', {}, lagging(16, 15)],
    ['lag now', {}, lagging(null)],
    ['lag now', {}, { source: null }],
    ['lag, last hour', { samples: samples({ lagSeconds: 30.1 }, 100) }],
    ['lag, last hour', { samples: samples({ lagSeconds: null }, 100) }],
    ['lag, last hour', { samples: [] }],
    ['lag, last hour', { samples: samples().filter(({ projection }) => projection !== 'quotes') }],
    ['lag, last hour', { samples: samples().filter(({ atSeconds }) => atSeconds < NOW - 60) }],
    ['verification', { verified: [verified('leads')] }],
    [
      'verification',
      { verified: scope.tables.map((table) => verified(table, { tenantId: 'ws', throughSeconds: NOW - 86_401 })) },
    ],
    ['verification', { verified: [verified('leads'), verified('payments', { tenantId: 'ws', differences: 1 })] }],
    ['verification', { verified: [verified('leads'), verified('payments', { tenantId: 'ws', unsettled: 1 })] }],
    ['verification', { verified: scope.tables.map((table) => verified(table)) }],
    [
      'verification',
      { verified: [verified('leads', { tenantId: 'ws', mapping: 'contacts@1 quotes@1' }), verified('payments')] },
    ],
    ['verification', { verified: [verified('leads', { tenantId: 'ws', mapping: null }), verified('payments')] }],
    [
      'verification',
      { verified: [verified('leads', { tenantId: 'ws', mapping: 'contacts@1 quotes@21' }), verified('payments')] },
    ],
    [
      'verification',
      {
        verified: [
          ...scope.tables.map((table) => verified(table, { tenantId: 'ws' })),
          verified('contribution', { tenantId: '', differences: 1 }),
        ],
      },
    ],
    ['verification', { tenant: null, verified: [verified('leads'), verified('payments', { differences: 1 })] }],
    ['dead letters', { deadLetters: { own: 1, unknown: 0 } }],
    ['dead letters', { deadLetters: { own: 0, unknown: 1 } }],
    ['dead letters', { oversized: { state: 'up', count: 1 } }],
    ['dead letters', { oversized: { state: 'down', problem: 'Kafka: away', remedy: 'Start it.' } }],
    ['parked changes', { parked: { own: 1, unknown: 0 } }],
    ['parked changes', { parked: { own: 0, unknown: 1 } }],
    ['backup', { confirmations: allBut('backup') }],
    ['backup', { confirmations: [{ ...confirmation('backup'), isValid: false }, ...allBut('backup')] }],
    ['way back', { confirmations: allBut('rollback') }],
    ['team', { confirmations: allBut('team') }],
    ['team', { confirmations: [{ ...confirmation('team'), isValid: false }, ...allBut('team')] }],
    ['monitoring', { confirmations: allBut('monitoring') }],
    ['monitoring', { confirmations: [{ ...confirmation('monitoring'), isValid: false }, ...allBut('monitoring')] }],
  ])('is no-go for %s alone: %o %o', (name, change, pipeline = {}) => {
    expect(missing(change, pipeline)).toEqual([name]);
    expect(linesOf(factsWith(change, pipeline)).find((line) => line.name === name)!.next).toMatch(/\w/);
  });

  it('passes what is at the limit, and no more', () => {
    expect(missing({}, lagging(15, 15))).toEqual([]);
    expect(missing({ samples: samples({ lagSeconds: 30 }) })).toEqual([]);
    expect(
      missing({
        verified: scope.tables.map((table) => verified(table, { tenantId: 'ws', throughSeconds: NOW - 86_400 })),
      }),
    ).toEqual([]);
  });

  it('lets differences and dead letters of others pass', () => {
    const others = {
      verified: scope.tables.flatMap((table) => [
        verified(table, { differences: 3 }),
        verified(table, { tenantId: 'ws' }),
      ]),
    };
    expect(missing(others)).toEqual([]);
    expect(missing({ ...others, tenant: null })).toEqual(['verification']);
  });

  it('says where a server is away what needs it, and nothing of the others', () => {
    const away = { state: 'down', problem: 'Kafka 1:1: refused', remedy: 'Start it.' } as const;
    expect(missing({}, { kafka: away, source: null, tables: [] })).toEqual([
      'replication slot',
      'connector',
      'initial load',
      'lag now',
    ]);
    expect(missing({}, { legacy: away, source: null })).toEqual(['replication slot', 'connector', 'lag now']);
  });
});

describe('what is verified of a tenant', () => {
  const all = verified('leads', { throughSeconds: 100, rows: 9, differences: 2 });
  const own = (throughSeconds: number) =>
    verified('leads', { tenantId: 'ws', throughSeconds, rows: 3, differences: 1 });

  it('is its own row, unless all were verified later without a row of it', () => {
    expect(toVerifiedOf([all, own(100)], 'leads', 'ws')).toEqual(own(100));
    expect(toVerifiedOf([all, own(150)], 'leads', 'ws')).toEqual(own(150));
    expect(toVerifiedOf([own(150)], 'leads', 'ws')).toEqual(own(150));
    expect(toVerifiedOf([all, own(50)], 'leads', 'ws')).toMatchObject({ throughSeconds: 100, rows: 0, differences: 0 });
    expect(toVerifiedOf([all], 'leads', 'ws')).toMatchObject({ throughSeconds: 100, rows: 0, differences: 0 });
    expect(toVerifiedOf([all], 'payments', 'ws')).toBeNull();
  });

  it('of all of them is the row of all', () => {
    expect(toVerifiedOf([all, own(150)], 'leads', null)).toEqual(all);
    expect(toVerifiedOf([own(150)], 'leads', null)).toBeNull();
  });
});

describe('the largest gap between samples', () => {
  it('also counts from the beginning of the hour, and up to now', () => {
    const of = (times: number[]) =>
      toLargestGap(
        times.map((at) => ({ projection: 'p', atSeconds: NOW - at, lagSeconds: 1, lagOffsets: 0n })),
        ['p'],
        NOW,
      );
    expect(of([])).toMatchObject({ seconds: 3600 });
    expect(of([1800])).toMatchObject({ seconds: 1800 });
    expect(of([100])).toMatchObject({ seconds: 3500, fromSeconds: NOW - 3600 });
    expect(of([3500, 3000])).toMatchObject({ seconds: 3000, fromSeconds: NOW - 3000 });
  });
});
