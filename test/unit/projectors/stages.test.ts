import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../../cli/duration.ts';
import { toLagSamples } from '../../../monitor/stages/lag-samples.ts';
import { toTenantsOf } from '../../../monitor/stages/letter-tenants.ts';
import { isChange, isRaise, type StageEntry, type Stages, toStageChange } from '../../../monitor/stages/stage-log.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { allProjections, projections } from '../../support/crm.ts';

describe('a change of stage', () => {
  const entry = (tenant: string, stage: number) => ({ tenant, stage }) as StageEntry;
  const stages = (others: number, ...own: [string, number][]): Stages => ({
    others: { stage: others, entry: null },
    tenants: own.map(([tenant, stage]) => entry(tenant, stage)),
  });
  const of = (before: Stages, tenant: string | null, stage: number) => {
    const change = toStageChange(before, tenant, stage);
    return { change: isChange(change), raise: isRaise(change) };
  };

  it('of one tenant is a raise where it sees more, from its own stage or that of all', () => {
    expect(of(stages(0), 'a', 1)).toEqual({ change: true, raise: true });
    expect(of(stages(2), 'a', 1)).toEqual({ change: true, raise: false });
    expect(of(stages(2), 'a', 2)).toEqual({ change: false, raise: false });
    expect(of(stages(0, ['a', 3]), 'a', 3)).toEqual({ change: false, raise: false });
    expect(of(stages(0, ['a', 3]), 'a', 0)).toEqual({ change: true, raise: false });
    expect(of(stages(4, ['a', 0]), 'a', 1)).toEqual({ change: true, raise: true });
  });

  it('of all is a raise where anybody sees more', () => {
    expect(of(stages(0), null, 1)).toEqual({ change: true, raise: true });
    expect(of(stages(2, ['a', 4]), null, 2)).toEqual({ change: true, raise: false });
    expect(of(stages(2, ['a', 0]), null, 1)).toEqual({ change: true, raise: true });
    expect(of(stages(2, ['a', 0]), null, 2)).toEqual({ change: true, raise: true });
    expect(of(stages(2, ['a', 2]), null, 2)).toEqual({ change: false, raise: false });
    expect(of(stages(2, ['a', 4]), null, 0)).toEqual({ change: true, raise: false });
  });

  it('names who goes with all', () => {
    expect(toStageChange(stages(1, ['a', 0], ['b', 4], ['c', 2]), null, 2)).toMatchObject({
      others: { from: 1 },
      raises: [{ tenant: 'a', from: 0 }],
      lowers: [{ tenant: 'b', from: 4 }],
    });
  });
});

describe('a sample of lag', () => {
  const lag = (projection: string, lagSeconds: number | null, lagOffsets = 3n) => ({
    ...{ projection, topic: 't', partition: 0, endOffset: 3n, nextOffset: 0n, lagOffsets, lagSeconds },
  });
  const position = { sourceMicros: 10_000_000n, snapshot: { contacts: { done: true, lastKey: null, rows: 1 } } };
  const of = (lags: ReturnType<typeof lag>[], at = position, wallMicros = 12_500_000n) =>
    toLagSamples([{ name: 'contacts', source: 'contacts' }], lags, at, wallMicros);

  it('reaches from now back to what is applied', () => {
    expect(of([lag('contacts', 4), lag('contacts', 1), lag('quotes', 99)])).toEqual([
      { projection: 'contacts', lagSeconds: 6.5, lagOffsets: 6n },
    ]);
    expect(of([lag('contacts', 0, 0n)])).toEqual([{ projection: 'contacts', lagSeconds: 2.5, lagOffsets: 0n }]);
    expect(of([lag('contacts', 1)], position, 9_000_000n)).toEqual([
      { projection: 'contacts', lagSeconds: 1, lagOffsets: 3n },
    ]);
  });

  it('is not known before the first change, and during the initial load; there is none of a table that is not in the log', () => {
    expect(of([lag('contacts', null)])).toMatchObject([{ lagSeconds: null }]);
    expect(
      of([lag('contacts', 0)], { ...position, snapshot: { contacts: { done: false, lastKey: null, rows: 1 } } }),
    ).toMatchObject([{ lagSeconds: null }]);
    expect(of([])).toEqual([]);
  });
});

describe('the tenant of a recorded change', () => {
  const tenants = createTenants({});
  const row = {
    id: 'b0000000-0000-4000-8000-000000000001',
    workspace_id: 'ws',
    company_id: 'c0000000-0000-4000-8000-00000000000a',
    lead_status: 'new',
  };

  it.each(allProjections.map((projection) => [projection.name, projection] as const))(
    'is read from a row of %s',
    (_, projection) => {
      // A history belongs to whom its state does; a projection that names no column gives its rows to nobody.
      const { tenant } = projections.find(({ source }) => source === projection.source)!;
      const cells: Readonly<Record<string, string>> = row;
      const expected = tenant === undefined ? 'unassigned' : cells[tenant.column];
      expect([...(toTenantsOf(projection, row, tenants) ?? [])]).toEqual([expected]);
    },
  );

  it('is not known where the mapping throws', () => {
    const { tenant: _, ...contacts } = projections.find(({ name }) => name === 'contacts')!;
    const broken = {
      ...contacts,
      map: () => {
        throw new Error('defect');
      },
    };
    expect(toTenantsOf(broken, row, tenants)).toBeNull();
  });
});

describe('a duration', () => {
  it('is a number with its unit, in seconds', () => {
    expect(['90s', '30m', '24h', '7d', ' 1h '].map(parseDuration)).toEqual([90, 1800, 86_400, 604_800, 3600]);
    expect(['', '0h', '1', '1w', '-1h', '1.5h', 'h', '12345678s'].map(parseDuration)).toEqual(Array(8).fill(null));
  });
});
