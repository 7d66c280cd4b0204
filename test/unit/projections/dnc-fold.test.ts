import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dncAggregate } from '../../../pipelines/crm/projections/contacts/dnc-fold.ts';
import type { Cell, Contribution } from '../../../projectors/projection.ts';
import { contribution, inTwoOrders, someTime } from './contributions.ts';

function contact(key: string, data: Readonly<Record<string, Cell>>, given: Partial<Contribution> = {}): Contribution {
  const identity = { tenant_id: 'acme', identity: '+14155552732', identity_kind: 'phone' };
  const times = { opted_out_at: null, created_at: '2024-01-01 00:00:00+00', updated_at: '2024-02-01 00:00:00+00' };
  return contribution('contacts', key, { ...identity, ...times, ...data }, given);
}

function fold(...contributions: Contribution[]) {
  return dncAggregate.fold('entry', contributions).dnc_list!;
}

describe('a do-not-call entry', () => {
  it('shows its opted-out contributors alone', () => {
    const early = contact('b', { opted_out: 't', opted_out_at: '2024-01-09 00:00:00+00', created_at: 'infinity' });
    const late = contact('a', { opted_out: 't', opted_out_at: null, updated_at: '2024-03-01 00:00:00+00' });
    const optedIn = contact('c', {
      ...{ opted_out: 'f', opted_out_at: 'infinity' },
      ...{ created_at: '-infinity', updated_at: 'infinity' },
    });
    expect(fold(early, late, optedIn)).toEqual([
      {
        row: {
          ...{ id: 'entry', tenant_id: 'acme', identity: '+14155552732', identity_kind: 'phone' },
          ...{ opted_out_at: '2024-01-09 00:00:00+00' },
          ...{ created_at: '2024-01-01 00:00:00+00', updated_at: '2024-03-01 00:00:00+00' },
        },
        deletedAt: null,
        from: [late, early],
      },
    ]);
  });

  it('takes the time of the greatest contributor that has one', () => {
    const by = (key: string, optedOutAt: string, updatedAt: string | null) =>
      contact(key, { opted_out: 't', opted_out_at: optedOutAt, updated_at: updatedAt });
    const [first] = fold(
      by('a', '1', '2024-01-01 00:00:00+00'),
      by('b', '2', '2024-01-01 00:00:00+00'),
      by('z', '3', null),
    );
    expect(first!.row.opted_out_at).toBe('2');
  });

  it('lives on when who opted out was deleted or moved away', () => {
    for (const movedTo of [null, 'elsewhere']) {
      const gone = contact('a', { opted_out: 't' }, { live: false, movedTo });
      expect(fold(gone, contact('b', { opted_out: 'f' }))).toMatchObject([{ deletedAt: null, from: [gone] }]);
    }
  });

  it('is none when nobody is opted out', () => {
    expect(fold(contact('a', { opted_out: 'f' }), contact('b', { opted_out: null }, { live: false }))).toEqual([]);
  });

  it('does not depend on the order of contributions', () => {
    const data = fc.record({
      opted_out: fc.constantFrom('t', 'f'),
      identity_kind: fc.constantFrom('digits', 'email'),
      opted_out_at: fc.option(someTime),
      created_at: fc.option(someTime),
      updated_at: fc.option(someTime),
    });
    fc.assert(
      fc.property(inTwoOrders('contacts', data), ([one, other]) => {
        expect(fold(...one)).toEqual(fold(...other));
      }),
    );
  });

  it('needs every change', () => expect(dncAggregate.needsHistory).toBe(true));
});
