import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dncAggregate } from '../../../pipelines/crm/projections/contacts/dnc-fold.ts';
import { customersAggregate } from '../../../pipelines/crm/projections/quotes/customer-fold.ts';
import { traceFold } from '../../../projectors/explain/fold-provenance.ts';
import type { Aggregate, Cell, Contribution } from '../../../projectors/projection.ts';
import { contribution, inTwoOrders, someTime } from '../projections/contributions.ts';

const day = (date: number) => `2024-01-${String(date).padStart(2, '0')} 00:00:00+00`;

function quote(key: string, data: Readonly<Record<string, Cell>>, given: Partial<Contribution> = {}): Contribution {
  const same = { tenant_id: 'acme', company_id: 'acme', customer_key: 'p:+14155552732', phone_e164: '+14155552732' };
  const blank = { name: null, email: null, phone: null, address: null, normalised_address: '', source_metadata: null };
  return contribution('quotes', key, { ...same, ...blank, created_at: day(1), updated_at: day(1), ...data }, given);
}

/** Origins as text: contributor's key and column, `=` where computed, `#` where constant, `key` for the merge key. */
function originsOf(aggregate: Aggregate, contributions: readonly Contribution[], table: string, id: string) {
  const trace = traceFold(aggregate, 'merged', contributions, table, id)!;
  const texts = Object.entries(trace.origins).map(([column, { kind, from }]) => {
    const names = from.map((source) => `${contributions[source.contributor]!.legacyKey}.${source.column ?? '*'}`);
    return [
      column,
      kind === 'key'
        ? 'key'
        : kind === 'constant'
          ? '#'
          : `${kind === 'computed' ? '=' : ''}${names.toSorted().join(',')}`,
    ];
  });
  return Object.fromEntries(texts) as Record<string, string>;
}

describe('a customer', () => {
  it('has each field of the contributor that gives it', () => {
    const a = quote('a', { name: 'A', email: 'a', phone: '1', updated_at: day(3), created_at: day(2) });
    const b = quote('b', { name: ' ', email: 'b', updated_at: day(4), source_metadata: '{"x": "1"}' });
    const c = quote('c', { name: 'A', email: 'b', phone: '3', updated_at: null, source_metadata: '{"y": "2"}' });
    expect(originsOf(customersAggregate, [a, b, c], 'customers', 'merged')).toEqual({
      ...{ id: 'key', tenant_id: 'b.tenant_id', company_id: 'b.company_id', customer_key: 'b.customer_key' },
      // The others say the same in part, and it does not come from them.
      ...{ name: 'a.name', email: 'b.email', phone_raw: 'a.phone', phone_e164: 'b.phone_e164' },
      ...{ source_metadata: '=b.source_metadata,c.source_metadata', created_at: 'b.created_at,c.created_at' },
      ...{ updated_at: 'b.updated_at', superseded_by: '#' },
      // What clients alone say.
      ...{ workspace_id: '#', converted_from_lead_id: '#' },
    });
  });

  it('comes from its live contributors alone', () => {
    const gone = quote('z', { name: 'gone', updated_at: day(9), created_at: day(1) }, { live: false, movedTo: 'x' });
    const live = quote('a', { name: 'A', updated_at: day(2), created_at: day(2) });
    expect(originsOf(customersAggregate, [gone, live], 'customers', 'merged')).toMatchObject({
      // It names no successor because this one is there.
      ...{ name: 'a.name', created_at: 'a.created_at', superseded_by: '=a.*' },
    });
  });

  it('that is deleted names its successor by the one that moved last', () => {
    const retired = (key: string, hour: string, movedTo: string | null) =>
      quote(key, { updated_at: day(1) }, { live: false, movedTo, committedAt: `2024-06-01 ${hour}+00` });
    const all = [retired('a', '10:00:00', 'x'), retired('b', '12:00:00', 'y'), retired('c', '11:00:00', null)];
    expect(originsOf(customersAggregate, all, 'customers', 'merged').superseded_by).toBe('b.moved_to');
  });
});

describe('an address', () => {
  const at = (address: string, normalised: string) => ({ address, normalised_address: normalised });
  const all = [
    quote('a', { ...at('1 Main St', '1 main st'), updated_at: day(5) }),
    quote('b', { ...at('1, Main St.', '1 main st'), updated_at: day(2), created_at: day(1) }),
    quote('c', { ...at('2 Oak', '2 oak'), updated_at: day(3) }),
  ];
  const rows = customersAggregate.fold('merged', all).customer_addresses!.map(({ row }) => row);

  it('has the spelling of its greatest contributor, and is primary by what decides between them', () => {
    const main = rows.find(({ normalised_address }) => normalised_address === '1 main st')!;
    expect(originsOf(customersAggregate, all, 'customer_addresses', main.id!)).toMatchObject({
      ...{ customer_id: 'key', address: 'a.address', normalised_address: 'a.normalised_address,b.normalised_address' },
      ...{ updated_at: 'a.updated_at', tenant_id: 'a.tenant_id' },
    });
    expect(originsOf(customersAggregate, all, 'customer_addresses', main.id!).is_primary).toContain('a.');
    expect(originsOf(customersAggregate, all, 'customer_addresses', main.id!).is_primary).not.toContain('b.');
  });

  it('is not told of another one', () => {
    expect(traceFold(customersAggregate, 'merged', all, 'customer_addresses', 'nowhere')).toBeNull();
    expect(traceFold(customersAggregate, 'merged', [], 'customers', 'merged')).toBeNull();
  });
});

it('an entry of the do-not-call list comes from those that opted out', () => {
  const contact = (key: string, optedOut: string, updatedAt: string, given: Partial<Contribution> = {}) =>
    contribution(
      'contacts',
      key,
      {
        ...{ tenant_id: 'acme', identity: '+1', identity_kind: 'phone', opted_out: optedOut },
        ...{ opted_out_at: optedOut === 't' ? updatedAt : null, created_at: day(1), updated_at: updatedAt },
      },
      given,
    );
  const all = [contact('a', 't', day(3), { live: false }), contact('b', 'f', day(9)), contact('c', 't', day(2))];
  expect(originsOf(dncAggregate, all, 'dnc_list', 'merged')).toMatchObject({
    ...{ id: 'key', identity: 'a.identity', opted_out_at: 'a.opted_out_at', updated_at: 'a.updated_at' },
  });
});

it('names the same contributors in any order, and the first one that has a name for it', { timeout: 60_000 }, () => {
  const data = fc.record({
    name: fc.constantFrom(null, ' ', 'Ann', 'Bob'),
    email: fc.constantFrom(null, 'a', 'b'),
    address: fc.constantFrom(null, '1 Main', '1 main'),
    normalised_address: fc.constantFrom('', '1 main'),
    created_at: fc.oneof(fc.constant(null), someTime),
    updated_at: fc.oneof(fc.constant(null), someTime),
  });
  fc.assert(
    fc.property(inTwoOrders('quotes', data), ([one, two]) => {
      const origins = originsOf(customersAggregate, one, 'customers', 'merged');
      expect(originsOf(customersAggregate, two, 'customers', 'merged')).toEqual(origins);
      const row = customersAggregate.fold('merged', one).customers![0]!.row;
      const { origins: traced } = traceFold(customersAggregate, 'merged', one, 'customers', 'merged')!;
      for (const [column, { kind, from }] of Object.entries(traced)) {
        if (kind !== 'copied') continue;
        for (const { contributor, column: source } of from) {
          const cell = source === 'moved_to' ? one[contributor]!.movedTo : (one[contributor]!.data[source!] ?? null);
          expect(cell).toBe(row[column] ?? null);
        }
      }
      if (row.name !== null) {
        const counting = one.some(({ live }) => live) ? one.filter(({ live }) => live) : one;
        const named = counting.filter((each) => (each.data.name ?? '').trim() !== '');
        expect(origins.name).toMatch(/^[a-h]\.name$/);
        expect(named.map(({ legacyKey }) => `${legacyKey}.name`)).toContain(origins.name);
      }
    }),
    { numRuns: 100 },
  );
});

it('finds them among very many, or says that it did not ask all', { timeout: 60_000 }, () => {
  const many = Array.from({ length: 3000 }, (_, index) => {
    const key = String(index).padStart(5, '0');
    return quote(key, {
      name: index % 3 === 0 ? `N${index}` : null,
      updated_at: `2024-01-01 00:00:00.${String(index).padStart(6, '0')}+00`,
    });
  });
  const trace = traceFold(customersAggregate, 'merged', many, 'customers', 'merged')!;
  expect(trace.origins.name).toEqual({ kind: 'copied', from: [{ contributor: 2997, column: 'name' }] });
  expect(trace.origins.updated_at).toEqual({ kind: 'copied', from: [{ contributor: 2999, column: 'updated_at' }] });
  expect(trace.isWhole).toBe(false);
});
