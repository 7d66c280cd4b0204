import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { customersAggregate } from '../../../pipelines/crm/projections/quotes/customer-fold.ts';
import type { Cell, Contribution } from '../../../projectors/projection.ts';
import { expectedUuid } from '../values/expected-uuid.ts';
import { contribution, inTwoOrders, someTime } from './contributions.ts';

const day = (date: number) => `2024-01-${String(date).padStart(2, '0')} 00:00:00+00`;

function quote(key: string, data: Readonly<Record<string, Cell>>, given: Partial<Contribution> = {}): Contribution {
  const same = { tenant_id: 'acme', company_id: 'acme', customer_key: 'p:+14155552732', phone_e164: '+14155552732' };
  const blank = { name: null, email: null, phone: null, address: null, normalised_address: '', source_metadata: null };
  return contribution('quotes', key, { ...same, ...blank, created_at: day(1), updated_at: day(1), ...data }, given);
}

function fold(...contributions: Contribution[]) {
  const folded = customersAggregate.fold('cust', contributions);
  return { customers: folded.customers!, addresses: folded.customer_addresses! };
}

function at(address: string, normalised: string) {
  return { address, normalised_address: normalised };
}

describe('a customer', () => {
  it('shows per field the greatest contributor that has it', () => {
    const a = quote('a', { name: 'A', email: 'a', phone: '1', updated_at: day(3), created_at: day(2) });
    const b = quote('b', { name: ' ', email: 'b', phone: null, updated_at: day(4), source_metadata: '{"x": "1"}' });
    const c = quote('c', { name: 'C', email: 'c', phone: '3', updated_at: null, source_metadata: '{"y": "2"}' });
    expect(fold(a, b, c).customers).toEqual([
      {
        row: {
          ...{ id: 'cust', tenant_id: 'acme', company_id: 'acme', customer_key: 'p:+14155552732' },
          ...{ name: 'A', email: 'b', phone_raw: '1', phone_e164: '+14155552732' },
          ...{ source_metadata: '{"b": {"x": "1"}, "c": {"y": "2"}}', superseded_by: null },
          ...{ created_at: day(1), updated_at: day(4), workspace_id: null, converted_from_lead_id: null },
        },
        deletedAt: null,
        from: [b, a, c],
      },
    ]);
  });

  it('shows a placeholder only where nobody has a real value', () => {
    const real = quote('a', { name: 'Ada', email: 'a@b.c', phone: '206', updated_at: day(1) });
    const walkIn = quote('b', { name: 'Walk-in', email: 'x@b.c', phone: '000', placeholders: 'name email phone' });
    const later = { updated_at: day(5) };
    const customerOf = (...given: Contribution[]) => fold(...given).customers[0]!.row;
    const newer = { ...walkIn, data: { ...walkIn.data, ...later } };
    expect(customerOf(real, newer)).toMatchObject({ name: 'Ada', email: 'a@b.c', phone_raw: '206' });
    expect(customerOf(newer)).toMatchObject({ name: 'Walk-in', email: 'x@b.c', phone_raw: '000' });
  });

  it('breaks ties by legacy key in byte order', () => {
    expect(fold(quote('B', { name: 'upper' }), quote('a', { name: 'lower' })).customers[0]!.row.name).toBe('lower');
  });

  it('orders by time, not by text', () => {
    const [customer] = fold(
      quote('a', { name: 'BC', updated_at: '9999-01-01 00:00:00+00 BC' }),
      quote('b', { name: 'far', updated_at: '10000-01-01 00:00:00+00' }),
      quote('c', { name: 'near', updated_at: '9999-01-01 00:00:00+00' }),
    ).customers;
    expect(customer!.row).toMatchObject({ name: 'far', updated_at: '10000-01-01 00:00:00+00' });
  });

  it('has neither times nor metadata where no contributor has', () => {
    const [customer] = fold(quote('a', { created_at: null, updated_at: null })).customers;
    expect(customer!.row).toMatchObject({ created_at: null, updated_at: null, source_metadata: null });
  });

  it('is folded over live contributors alone', () => {
    const gone = quote(
      'z',
      { name: 'gone', updated_at: day(9), created_at: '-infinity' },
      { live: false, movedTo: 'x' },
    );
    const live = quote('a', { name: null, updated_at: day(2) });
    expect(fold(gone, live).customers).toMatchObject([
      {
        row: { name: null, created_at: day(1), updated_at: day(2), superseded_by: null },
        deletedAt: null,
        from: [live],
      },
    ]);
  });

  it('is deleted with its last contributor, and names where that moved to', () => {
    const gone = (key: string, hour: string, movedTo: string | null, updatedAt: string) =>
      quote(key, { name: key, updated_at: updatedAt }, { live: false, movedTo, committedAt: `2024-06-01 ${hour}+00` });
    const first = gone('a', '09:00:00', 'x', day(9));
    const last = gone('b', '09:00:00.5', 'y', day(2));
    expect(fold(first, last).customers).toMatchObject([
      { row: { name: 'a', superseded_by: 'y' }, deletedAt: '2024-06-01 09:00:00.5+00', from: [first, last] },
    ]);
    expect(fold(first, gone('b', '09:00:00', 'y', day(1))).customers[0]!.row.superseded_by).toBe('y');
    expect(fold(first, gone('c', '10:00:00', null, day(1))).customers[0]!.row.superseded_by).toBeNull();
    expect(fold(first, gone('0', '09:00:00', 'z', day(1))).customers[0]!.row.superseded_by).toBe('x');
  });
});

describe('customer addresses', () => {
  it('are one per normalised address, spelled as by its greatest contributor', () => {
    const a = quote('a', { ...at('1 MAIN', '1 main'), updated_at: day(5), created_at: day(3) });
    const b = quote('b', { ...at('1, Main', '1 main'), updated_at: day(6), created_at: day(2) });
    const c = quote('c', { ...at('2 Elm', '2 elm'), updated_at: day(7), created_at: day(4) });
    const newestWithout = quote('d', { ...at(' ', ''), updated_at: day(8) });
    const same = { tenant_id: 'acme', customer_id: 'cust' };
    expect(fold(a, b, c, newestWithout).addresses).toEqual([
      {
        row: {
          ...{ ...same, id: expectedUuid('address:cust|2 elm'), address: '2 Elm', normalised_address: '2 elm' },
          ...{ is_primary: 't', created_at: day(4), updated_at: day(7) },
        },
        deletedAt: null,
        from: [c],
      },
      {
        row: {
          ...{ ...same, id: expectedUuid('address:cust|1 main'), address: '1, Main', normalised_address: '1 main' },
          ...{ is_primary: 'f', created_at: day(2), updated_at: day(6) },
        },
        deletedAt: null,
        from: [b, a],
      },
    ]);
  });

  it('are none without one', () => expect(fold(quote('a', {})).addresses).toEqual([]));

  it('that only retired contributors name are deleted, and never primary', () => {
    const retired = (key: string, hour: string, address: string) =>
      quote(
        key,
        { ...at(address, address), updated_at: day(9) },
        { live: false, committedAt: `2024-06-01 ${hour}:00:00+00` },
      );
    const live = quote('a', { ...at('1 Main', '1 main') });
    const [kept, gone] = fold(
      retired('x', '08', '2 elm'),
      retired('y', '09', '2 elm'),
      retired('z', '10', '1 main'),
      live,
    ).addresses;
    expect(kept).toMatchObject({ row: { address: '1 Main', is_primary: 't' }, deletedAt: null, from: [live] });
    expect(gone).toMatchObject({ row: { address: '2 elm', is_primary: 'f' }, deletedAt: '2024-06-01 09:00:00+00' });
  });

  it('are deleted with their customer', () => {
    const gone = quote('a', at('1 Main', '1 main'), { live: false, committedAt: day(20) });
    expect(fold(gone).addresses).toMatchObject([{ row: { is_primary: 't' }, deletedAt: day(20), from: [gone] }]);
  });
});

it('the fold does not depend on the order of contributions', () => {
  const maybe = fc.constantFrom(null, '', ' ', 'x', 'y');
  const data = fc.record({
    ...{
      name: maybe,
      email: maybe,
      phone: maybe,
      address: maybe,
      normalised_address: fc.constantFrom('', 'x', 'y', 'z'),
    },
    ...{ source_metadata: fc.constantFrom(null, '{"a": "1"}') },
    ...{ created_at: fc.option(someTime), updated_at: fc.option(someTime) },
  });
  fc.assert(
    fc.property(inTwoOrders('quotes', data), ([one, other]) => {
      const folded = fold(...one);
      expect(fold(...other)).toEqual(folded);
      expect(folded.customers).toHaveLength(1);
      expect(
        folded.addresses.filter(({ row, deletedAt }) => row.is_primary === 't' && deletedAt === null).length,
      ).toBeLessThan(2);
    }),
  );
});
