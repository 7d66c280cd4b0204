import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clients } from '../../../pipelines/crm/projections/clients.ts';
import { leadsAggregate } from '../../../pipelines/crm/projections/leads/lead-fold.ts';
import { leads } from '../../../pipelines/crm/projections/leads.ts';
import { leadHistory } from '../../../pipelines/crm/projections/legacy-lead-history.ts';
import type { Contribution, LegacyRow } from '../../../projectors/projection.ts';
import { contribution, someTime } from './contributions.ts';
import { contributed, only, tenants } from './mapped.ts';

const LEAD = 'e0000000-0000-4000-8000-000000000001';
const [C1, C2, C3] = [1, 2, 3].map((n) => `c1000000-0000-4000-8000-00000000000${n}`) as [string, string, string];
const day = (date: number) => `2024-01-${String(date).padStart(2, '0')} 00:00:00+00`;

const toClient = (cells: LegacyRow) => clients.map({ id: C1, workspace_id: 'acme', ...cells }, tenants);
const toLead = (cells: LegacyRow) => leads.map({ id: LEAD, workspace_id: 'acme', ...cells }, tenants);
/** What legacy rows say, as contributions. */
const lead = (cells: LegacyRow = {}): Contribution =>
  contribution('leads', LEAD, contributed(toLead({ updated_at: day(20), ...cells })));
const client = (id: string, cells: LegacyRow = {}): Contribution =>
  contribution('clients', id, contributed(toClient({ id, converted_from_lead_id: LEAD, ...cells })));
const fold = (...contributions: Contribution[]) => leadsAggregate.fold(LEAD, contributions).leads!;
const conversion = (...contributions: Contribution[]) => {
  const { is_converted, converted_to_client_id, conversion_date } = fold(...contributions)[0]!.row;
  return [is_converted, converted_to_client_id, conversion_date];
};

describe('a client', () => {
  it('is a customer with its own id and key', () => {
    const cells = {
      ...{ name: ' N ', email: '', phone: '(206) 555-0200', created_at: day(1), updated_at: day(2) },
      ...{ converted_from_lead_id: LEAD, vat: ' ' },
    };
    expect(only(toClient(cells), 'customers')).toEqual({
      ...{ id: C1, tenant_id: 'acme', workspace_id: 'acme', customer_key: `c:${C1}`, name: ' N ', email: '' },
      ...{ phone_raw: '(206) 555-0200', phone_e164: '+12065550200', converted_from_lead_id: LEAD },
      ...{ source_metadata: '{"vat": " "}', created_at: day(1), updated_at: day(2) },
    });
  });

  it('reads phones as its tenant does, and has none where the phone is none', () => {
    const phoneOf = (cells: LegacyRow) => only(toClient(cells), 'customers').phone_e164;
    expect(phoneOf({ workspace_id: 'berlin', phone: '030 901820' })).toBe('+4930901820');
    expect(phoneOf({ phone: '123-456-7890' })).toBeNull();
    expect(only(toClient({ workspace_id: ' ' }), 'customers')).toMatchObject({
      tenant_id: 'unassigned',
      workspace_id: ' ',
    });
  });

  it('says nothing of a lead where it names none', () => {
    expect(toClient({ converted_from_lead_id: null }).contributions).toEqual([]);
    expect(toClient({ converted_from_lead_id: LEAD }).contributions).toMatchObject([
      { aggregate: 'leads', mergeKey: LEAD },
    ]);
  });
});

describe('a legacy lead', () => {
  it('is a lead with its own id', () => {
    const cells = {
      ...{ name: 'N', email: 'e', phone: '206 555 0200', status: ' Won', score: '100', created_at: day(1) },
      ...{ updated_at: day(2), source: 'web' },
    };
    const [folded, ...others] = fold(lead(cells));
    expect(others).toEqual([]);
    expect(folded).toMatchObject({ deletedAt: null });
    expect(Object.fromEntries(Object.entries(folded!.row).filter(([, cell]) => cell !== null))).toEqual({
      ...{ id: LEAD, tenant_id: 'acme', workspace_id: 'acme', name: 'N', email: 'e', phone: '+12065550200' },
      ...{ phone_raw: '206 555 0200', status: 'won', lead_score: '100', is_converted: 'f' },
      ...{ source_metadata: '{"source": "web"}', created_at: day(1), updated_at: day(2) },
    });
  });

  it('goes with its row, whatever clients say', () => {
    expect(fold(client(C1))).toEqual([]);
    expect(fold({ ...lead(), live: false }, client(C1))).toEqual([]);
  });
});

describe('a conversion', () => {
  it('is told by the lead, by a client, by both or by none', () => {
    expect(conversion(lead())).toEqual(['f', null, null]);
    expect(conversion(lead({ client_id: C1 }))).toEqual(['t', C1, day(20)]);
    expect(conversion(lead(), client(C1, { created_at: day(5) }))).toEqual(['t', C1, day(5)]);
    expect(conversion(lead({ client_id: C1 }), client(C1, { created_at: day(5) }))).toEqual(['t', C1, day(5)]);
  });

  it('is what the lead says where the two disagree', () => {
    expect(conversion(lead({ client_id: C2 }), client(C1, { created_at: day(5) }))).toEqual(['t', C2, day(20)]);
    const both = [client(C1, { created_at: day(5) }), client(C2, { created_at: day(9) })];
    expect(conversion(lead({ client_id: C2 }), ...both)).toEqual(['t', C2, day(9)]);
  });

  it('is what the first of several clients says where the lead says nothing', () => {
    const [first, same, unknown] = [client(C2, { created_at: day(3) }), client(C3, { created_at: day(3) }), client(C1)];
    expect(conversion(lead(), unknown, same, first)).toEqual(['t', C2, day(3)]);
    expect(conversion(lead(), unknown)).toEqual(['t', C1, day(20)]);
  });

  it('is no longer told by a client that went', () => {
    expect(conversion(lead(), { ...client(C1, { created_at: day(5) }), live: false })).toEqual(['f', null, null]);
  });

  it('may be a status alone', () => {
    expect(conversion(lead({ status: 'Converted ' }))).toEqual(['t', null, null]);
  });

  it('does not depend on who is heard first', () => {
    const said = fc.tuple(
      fc.option(fc.constantFrom(C1, C2, C3)),
      fc.uniqueArray(fc.tuple(fc.constantFrom(C1, C2, C3), fc.option(someTime), fc.boolean()), {
        selector: ([id]) => id,
      }),
    );
    const histories = said.chain(([own, told]) => {
      const all = [
        lead({ client_id: own }),
        ...told.map(([id, created_at, live]) => ({ ...client(id, { created_at }), live })),
      ];
      return fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }));
    });
    fc.assert(
      fc.property(histories, ([one, other]) => {
        expect(fold(...other)[0]!.row).toEqual(fold(...one)[0]!.row);
      }),
    );
  });
});

describe('the history of a legacy lead', () => {
  const stateOf = (cells: LegacyRow) =>
    leadHistory.history!.stateOf({ id: LEAD, workspace_id: 'acme', ...cells }, tenants);

  it('is about what its own row says', () => {
    const state = stateOf({ status: 'won', score: '7', client_id: C1, updated_at: day(1) })!;
    expect(state).toMatchObject({ id: LEAD, tenant_id: 'acme', status: 'won', lead_score: '7' });
    expect(state).toMatchObject({ is_converted: 't', converted_to_client_id: C1 });
    expect(Object.keys(state)).not.toContain('conversion_date');
  });

  it('has a row for each change', () => {
    const [before, after] = [stateOf({ status: 'new', updated_at: day(1) }), stateOf({ status: 'won', score: '7' })];
    const rows = leadHistory.history!.rowsOf({
      id: '1/0/10/0',
      ordinal: '0',
      before,
      after,
      committedAt: day(3),
      context: null,
    });
    expect(
      rows.lead_audit_log!.map(({ field_name, old_value, new_value }) => [field_name, old_value, new_value]),
    ).toEqual([
      ['status', 'new', 'won'],
      ['lead_score', null, '7'],
    ]);
    expect(rows.lead_status_history).toMatchObject([{ lead_id: LEAD, from_status: 'new', to_status: 'won' }]);
    expect(rows.lead_score_history).toHaveLength(1);
  });
});
