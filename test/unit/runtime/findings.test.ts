import { describe, expect, it } from 'vitest';
import { toFindings, toVerdict } from '../../../monitor/findings.ts';
import type { PipelineState, ProjectionState } from '../../../monitor/pipeline-state.ts';

const thresholds = { slot: 'crosswalk', lagWarningSeconds: 30, lagFailingSeconds: 300 };
const position = {
  bound: { systemId: '1', timeline: 1, database: 'legacy', slot: 'crosswalk', clusterId: 'c' },
  lsn: 100n,
  sourceMicros: 0n,
  unseenXids: [],
  snapshot: {},
  offsets: {},
};
const slot = { active: true, walStatus: 'reserved', invalidation: null, retainedBytes: 0n, confirmedLsn: 100n };
const up = { state: 'up' } as const;
const down = { state: 'down', problem: 'no answer', remedy: 'Start it.' } as const;
const legacy = { ...up, flushLsn: 100n, nowMicros: 0n, slot, estimatedRows: {} };
const quotes: ProjectionState = {
  projection: 'quotes',
  topic: 'legacy.public.quotes',
  partitions: [
    {
      projection: 'quotes',
      topic: 'legacy.public.quotes',
      partition: 0,
      endOffset: 9n,
      nextOffset: 9n,
      lagOffsets: 0n,
      lagSeconds: 0,
    },
  ],
  parked: 0,
  parkedSeconds: 0,
  deadLetters: 0,
};
const behind = (lagSeconds: number | null): Partial<PipelineState> => ({
  projections: [{ ...quotes, partitions: [{ ...quotes.partitions[0]!, lagOffsets: 4n, lagSeconds }] }],
});
const healthy: PipelineState = {
  legacy,
  kafka: { ...up, position, deadLetters: 0 },
  target: {
    ...up,
    offsets: [],
    projections: {},
    rejects: [{ table: 'quotes', reason: 'not a number', count: 3 }],
    figures: null,
  },
  source: { lagBytes: 10n, lagSeconds: 0.5 },
  tables: [{ table: 'quotes', rows: 9, done: true, estimatedRows: 9 }],
  projections: [quotes],
};

describe('toFindings', () => {
  const cases: [string, Partial<PipelineState>, ReturnType<typeof toVerdict>, string[]][] = [
    ['all is well; rejects are no finding', {}, 'healthy', []],
    ['a server is down', { target: down }, 'failing', ['no answer']],
    [
      'the connector has never run',
      { kafka: { ...up, position: null, deadLetters: 0 }, source: null },
      'failing',
      ['No position'],
    ],
    [
      'the connector ended for a person',
      {
        legacy: { ...legacy, slot: { ...slot, active: false } },
        kafka: {
          ...up,
          position,
          deadLetters: 0,
          stop: { code: 'stuck', line: 'It failed. Do this.', progress: '0/64', at: 'then' },
        },
      },
      'failing',
      ['No connector reads the slot. The last connector ended at then: It failed. Do this.'],
    ],
    [
      'it ended for a person, and another one runs',
      {
        kafka: {
          ...up,
          position,
          deadLetters: 0,
          stop: { code: 'stuck', line: 'It failed.', progress: '0/64', at: 'then' },
        },
      },
      'healthy',
      [],
    ],
    [
      'a projector ended for a person',
      {
        projections: [
          {
            ...behind(1).projections![0]!,
            stop: { code: 'stuck', line: 'It failed. Do this.', progress: '9', at: 'then' },
          },
        ],
      },
      'failing',
      ['Projection quotes has got no further since its process ended at then: It failed. Do this.'],
    ],
    ['the slot is gone', { legacy: { ...legacy, slot: null } }, 'failing', ['does not exist']],
    [
      'the slot is gone, or not: Kafka is down',
      { legacy: { ...legacy, slot: null }, kafka: down },
      'failing',
      ['no answer'],
    ],
    [
      'the slot is invalid',
      { legacy: { ...legacy, slot: { ...slot, walStatus: 'lost' } } },
      'failing',
      ['was invalidated'],
    ],
    [
      'the slot is invalid for another reason',
      { legacy: { ...legacy, slot: { ...slot, invalidation: 'idle_timeout' } } },
      'failing',
      ['was invalidated (idle_timeout)'],
    ],
    [
      'the slot was re-created',
      { legacy: { ...legacy, slot: { ...slot, confirmedLsn: 101n } } },
      'failing',
      ['was re-created'],
    ],
    [
      'the slot soon is',
      { legacy: { ...legacy, slot: { ...slot, walStatus: 'unreserved' } } },
      'failing',
      ['about to be'],
    ],
    [
      'no connector runs',
      { legacy: { ...legacy, slot: { ...slot, active: false } } },
      'warning',
      ['No connector reads'],
    ],
    [
      'no connector has run for long',
      { legacy: { ...legacy, slot: { ...slot, active: false } }, source: { lagBytes: 10n, lagSeconds: 301 } },
      'failing',
      ['No connector reads', '301 s behind'],
    ],
    ['source lag at the threshold', { source: { lagBytes: 10n, lagSeconds: 30 } }, 'healthy', []],
    ['source lag past it', { source: { lagBytes: 10n, lagSeconds: 31 } }, 'warning', ['31 s behind the legacy']],
    ['source lag failing', { source: { lagBytes: 10n, lagSeconds: 301 } }, 'failing', ['301 s behind the legacy']],
    [
      'loading',
      { tables: [{ table: 'quotes', rows: 2, done: false, estimatedRows: 9 }] },
      'warning',
      ['1 of 1 tables'],
    ],
    [
      'rows that are too large for the log',
      { kafka: { ...up, position, deadLetters: 3 } },
      'warning',
      ['3 legacy rows are too large for their topics'],
    ],
    ['a little behind', behind(30), 'healthy', []],
    ['behind', behind(31), 'warning', ['4 offsets behind, up to 31 s']],
    ['far behind', behind(301), 'failing', ['4 offsets behind, up to 301 s']],
    ['behind from the start', behind(null), 'warning', ['not been applied at all']],
    [
      'a topic that is not written',
      { projections: [{ ...quotes, partitions: [] }] },
      'failing',
      ['does not write topic'],
    ],
    ['parked for a moment', { projections: [{ ...quotes, parked: 2, parkedSeconds: 3 }] }, 'healthy', []],
    ['parked', { projections: [{ ...quotes, parked: 2, parkedSeconds: 40 }] }, 'warning', ['2 changes parked']],
    [
      'parked for long',
      { projections: [{ ...quotes, parked: 2, parkedSeconds: 400 }] },
      'failing',
      ['2 changes parked'],
    ],
    ['dead letters', { projections: [{ ...quotes, deadLetters: 1 }] }, 'warning', ['1 open dead letter']],
  ];
  it.each(cases)('%s', (_, changes, verdict, expected) => {
    const findings = toFindings({ ...healthy, ...changes }, thresholds);
    expect(toVerdict(findings)).toBe(verdict);
    expect(findings).toHaveLength(expected.length);
    for (const [at, text] of expected.entries()) expect(findings[at]!.what).toContain(text);
    for (const { remedy } of findings) expect(remedy).not.toBe('');
  });

  it('puts failures first', () => {
    const state = { ...healthy, source: { lagBytes: 1n, lagSeconds: 31 }, ...behind(301) };
    expect(toFindings(state, thresholds).map(({ level }) => level)).toEqual(['failing', 'warning']);
  });
});
