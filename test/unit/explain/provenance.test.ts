// Where cells come from: asked of the real mappings, over generated rows and for rows of which it is known.

import { describe, expect, it } from 'vitest';
import crm from '../../../pipelines/crm/pipeline.ts';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { contactHistory, quoteHistory } from '../../../pipelines/crm/projections/lead-history.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { statusOptions } from '../../../pipelines/crm/projections/status-options.ts';
import { workspaces } from '../../../pipelines/crm/projections/workspaces.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { contactRow } from '../../../pipelines/crm/sample/rows/contacts.ts';
import { quoteRow } from '../../../pipelines/crm/sample/rows/quotes.ts';
import { statusOptionRows, workspaceRow } from '../../../pipelines/crm/sample/rows/workspaces.ts';
import { sampleSetting } from '../../../pipelines/crm/sample/sample-setting.ts';
import type { Tenants } from '../../../pipelines/crm/tenants.ts';
import { contributionsTo, toAppendedRows, toHistoryInput } from '../../../projectors/explain/implied-rows.ts';
import { type Origin, traceRow, withoutJsonKeys } from '../../../projectors/explain/provenance.ts';
import { createSeenValues } from '../../../projectors/explain/seen-values.ts';
import type { Implied, LegacyRow, NewRow, Projection } from '../../../projectors/projection.ts';
import { companyId, contactId, quoteId, tenants } from '../projections/mapped.ts';

const seed = process.env.CROSSWALK_SEED ?? 'provenance';
const setting = sampleSetting(seed, 4);

const otherSettings = crm.tenants.others ?? {};

function full(projection: Projection, row: LegacyRow): LegacyRow {
  return { ...Object.fromEntries(projection.reads.map((column) => [column, null])), ...row };
}

/** What a row of a table comes from, as text: `column` copied, `=column,…` computed, `#` constant, `%setting` configured. */
function originsOf(projection: Projection, row: LegacyRow, table: string, id: string, seen?: Map<string, string[]>) {
  const rowsOf = (input: LegacyRow, under: Tenants) => projection.map(input, under).rows[table] ?? [];
  const trace = traceRow(
    { otherSettings, input: full(projection, row), tenants, rowsOf, ...(seen ? { seen } : {}) },
    id,
  )!;
  const texts = Object.entries(trace.origins).map(([column, origin]) => [column, toText(origin)]);
  return { ...Object.fromEntries(texts), '': trace.existence.join(',') } as Record<string, string>;
}

function toText({ kind, from, settings }: Origin): string {
  const names = from
    .map(({ column, path }) => (path === undefined ? column : `${column}:${path.join('.')}`))
    .toSorted();
  const all = [...names, ...settings.map((name) => `%${name}`)].join(',');
  return kind === 'constant' ? '#' : kind === 'computed' ? `=${all}` : all;
}

const only = (implied: Implied, table: string) => implied.rows[table]![0]!.id!;

describe('hand-checked origins', () => {
  it('of a workspace', () => {
    const row = {
      id: 'acme',
      name: 'Acme',
      country: 'DE',
      settings: '{"a": {"b": 1}}',
      created_at: '2024-01-01 00:00:00+00',
    };
    expect(originsOf(workspaces, row, 'tenants', 'acme')).toEqual({
      ...{ id: 'id', tenant_id: 'id', name: 'name', plan: 'plan', settings: 'settings' },
      ...{ country: 'country', created_at: 'created_at', updated_at: 'updated_at', source_metadata: '#', '': '' },
    });
    expect(originsOf(workspaces, { ...row, country: 'D ' }, 'tenants', 'acme').country).toBe('=country');
  });

  it('of a status option', () => {
    const row = { id: '7', workspace_id: 'acme', category: 'lead', name: 'New', sort_order: '3', is_default: 't' };
    const origins = originsOf(statusOptions, row, 'status_options', '7');
    for (const [column, origin] of Object.entries(origins)) {
      if (column !== '' && column !== 'source_metadata')
        expect(`${column} ${origin}`).toBe(`${column} ${column === 'tenant_id' ? 'workspace_id' : column}`);
    }
    expect(originsOf(statusOptions, { ...row, workspace_id: ' ' }, 'status_options', '7').tenant_id).toBe(
      '=workspace_id',
    );
  });

  const contact = {
    ...{ id: contactId, workspace_id: 'berlin', phone_number: '030 123467', lead_status: ' New', lead_score: '50' },
    ...{
      conversation_status: 'open',
      opted_out: 't',
      utm_term: 'shoes',
      custom_fields: '{"vip": true, "deep": {"x": 1, "y": 2}}',
    },
  };

  it('of a contact', () => {
    expect(originsOf(contacts, contact, 'contacts', contactId)).toMatchObject({
      ...{ id: 'id', tenant_id: 'workspace_id', phone_number: 'phone_number', email: 'email', opted_out: 'opted_out' },
      // Berlin's settings are others than everybody else's.
      ...{ user_id: '=workspace_id,%userId', chatbot_id: '=workspace_id,%chatbotId' },
      ...{ phone_e164: '=phone_number,workspace_id,%country', conversation_status: 'conversation_status', '': '' },
    });
    expect(originsOf(contacts, { ...contact, workspace_id: 'acme' }, 'contacts', contactId)).toMatchObject({
      ...{ user_id: '%userId', chatbot_id: '%chatbotId' },
    });
  });

  it('of the lead of a contact', () => {
    const id = only(contacts.map(full(contacts, contact), tenants), 'leads');
    expect(originsOf(contacts, contact, 'leads', id)).toMatchObject({
      ...{ id: '=id', contact_id: 'id', status: '=lead_status', lead_score: 'lead_score', is_converted: '#' },
      ...{ priority: '=priority', product_interest: 'product', estimated_value: 'estimated_value' },
    });
    expect(originsOf(contacts, { ...contact, lead_status: 'new', priority: 'high' }, 'leads', id)).toMatchObject({
      ...{ status: 'lead_status', priority: 'priority' },
    });
  });

  it('of custom fields, down to the part of a JSON cell', () => {
    const fields = contacts.map(full(contacts, contact), tenants).rows.lead_custom_fields!;
    const of = (name: string) => {
      const { id } = fields.find(({ field_name }) => field_name === name)!;
      return originsOf(contacts, contact, 'lead_custom_fields', id!);
    };
    expect(of('contact.utm_term')).toMatchObject({
      field_value: 'utm_term',
      field_name: '#',
      field_type: '#',
      '': 'utm_term',
    });
    expect(of('custom.vip')).toMatchObject({ id: '=id', field_value: 'custom_fields:vip', '': 'custom_fields' });
    expect(of('custom.deep').field_value).toBe('=custom_fields:deep.x,custom_fields:deep.y');
  });

  it('of what a contact contributes to the do-not-call list', () => {
    const rowsOf = (input: LegacyRow, under: Tenants) =>
      contacts.map(input, under).contributions.map(({ mergeKey, data }) => ({ ...data, id: mergeKey }));
    const input = full(contacts, contact);
    const [row] = rowsOf(input, tenants);
    const { origins } = traceRow({ otherSettings, input, tenants, rowsOf }, row!.id!)!;
    expect(
      Object.fromEntries(Object.entries(origins).map(([column, origin]) => [column, toText(origin)])),
    ).toMatchObject({
      ...{ id: '=phone_number,workspace_id,%country', opted_out: 'opted_out', opted_out_at: 'opted_out_at' },
      ...{
        tenant_id: 'workspace_id',
        identity: '=phone_number,workspace_id,%country',
        identity_kind: '=phone_number,workspace_id,%country',
      },
    });
  });

  it('of rejects', () => {
    const row = { ...contact, lead_score: '120', estimated_value: 'NaN' };
    const rejects = contacts.map(full(contacts, row), tenants).rows.rejects!;
    const score = rejects.find(({ path }) => path === 'lead_score')!;
    expect(originsOf(contacts, row, 'rejects', score.id!)).toMatchObject({
      raw_value: 'lead_score',
      path: '#',
      reason: '#',
      '': 'lead_score',
    });
  });

  const quote = {
    ...{
      id: quoteId,
      company_id: companyId,
      customer_name: 'Ann',
      phone: '(415) 555-2732',
      email: 'a@b.c',
      address: '1 Main St.',
    },
    ...{
      lead_status: 'converted',
      status: 'Accepted',
      invoice_number: 'I-1',
      paid_at: '2024-05-01 00:00:00+00',
      total: '12.50',
    },
    ...{
      updated_at: '2024-06-01 00:00:00+00',
      items: '[{"name": "pipe", "unit_price": 2.50, "quantity": "3"}, {"name": "tap"}]',
    },
  };

  it('of all rows of a quote', () => {
    const { rows } = quotes.map(full(quotes, quote), tenants);
    const of = (table: string) => originsOf(quotes, quote, table, rows[table]![0]!.id!);
    const customer = '=company_id,phone,%country';
    expect(of('leads')).toMatchObject({
      ...{ id: 'id', tenant_id: 'company_id', customer_id: customer, name: 'customer_name', phone_raw: 'phone' },
      ...{
        phone: '=phone,%country',
        is_converted: '=lead_status',
        conversion_date: '=lead_status,sent_at,updated_at',
        '': 'lead_status',
      },
      converted_to_client_id: '=company_id,lead_status,phone,%country',
    });
    expect(of('quotes_new')).toMatchObject({
      ...{
        lead_id: '=id,lead_status',
        status: '=status',
        total: 'total',
        created_by: 'user_id',
        customer_id: customer,
        '': '',
      },
    });
    expect(of('jobs_new')).toMatchObject({
      ...{
        id: '=id',
        quote_id: 'id',
        job_number: '=id,job_number',
        title: 'job_name',
        status: '=completed_at,started_at',
      },
    });
    expect(of('invoices_new')).toMatchObject({
      ...{
        job_id: '=id',
        amount_due: 'total',
        amount_paid: '=paid_at,total',
        status: '=paid_at',
        '': 'invoice_number',
      },
    });
    expect(of('payments')).toMatchObject({
      ...{ invoice_id: '=id', amount: 'total', paid_at: 'paid_at', created_at: 'paid_at', method: '=payment_method' },
      '': 'invoice_number,paid_at',
    });
  });

  it('of a null that only looks like the copy of another one', () => {
    const row = { ...quote, lead_status: null };
    expect(originsOf(quotes, row, 'quotes_new', quoteId)).toMatchObject({ lead_id: '=lead_status', notes: 'notes' });
  });

  it('of an item', () => {
    const [pipe, tap] = quotes.map(full(quotes, quote), tenants).rows.quote_items_new!;
    expect(originsOf(quotes, quote, 'quote_items_new', pipe!.id!)).toMatchObject({
      ...{
        id: '=id',
        quote_id: 'id',
        name: 'items:0.name',
        unit_price: 'items:0.unit_price',
        quantity: 'items:0.quantity',
      },
      ...{ total: '=items:0.quantity,items:0.unit_price', '': 'items' },
    });
    expect(originsOf(quotes, quote, 'quote_items_new', tap!.id!)).toMatchObject({ name: 'items:1.name' });
  });

  it('of a history', () => {
    const [before, after] = [full(contacts, contact), full(contacts, { ...contact, lead_status: 'won' })];
    const lineage = { lsn: '0/1', xid: '1', committedAt: '2024-01-01 00:00:00+00' };
    const input = toHistoryInput({ op: 'u', before, after, identity: '1/0/1/4', lineage }, undefined);
    const rowsOf = (table: string) => (cells: LegacyRow, under: Tenants) => [
      ...(toAppendedRows(contactHistory, under, cells).get(table)?.values() ?? []),
    ];
    const [step] = rowsOf('lead_status_history')(input, tenants);
    const seen = new Map([['after.lead_status', ['new']]]);
    const { origins, existence } = traceRow(
      { input, tenants, rowsOf: rowsOf('lead_status_history'), seen },
      step!.id!,
    )!;
    expect(Object.fromEntries(Object.entries(origins).map(([column, origin]) => [column, toText(origin)]))).toEqual({
      ...{
        id: '=change.identity',
        tenant_id: 'after.workspace_id',
        lead_id: '=after.id',
        from_status: '=before.lead_status',
      },
      ...{ to_status: 'after.lead_status', changed_at: 'change.committed_at', ordinal: 'change.ordinal' },
    });
    expect(existence).toEqual(['after.lead_status']);
    expect(
      toAppendedRows(
        quoteHistory,
        tenants,
        toHistoryInput({ op: 'd', before: full(quotes, quote), after: null, identity: '1/0/1/4', lineage }, undefined),
      ).get('lead_audit_log')!.size,
    ).toBe(1);
  });

  it('of what only a value seen elsewhere decides', () => {
    const row = { ...quote, lead_status: 'new' };
    const { id } = quotes.map(full(quotes, row), tenants).rows.leads![0]!;
    expect(originsOf(quotes, row, 'leads', id!).is_converted).toBe('#');
    expect(originsOf(quotes, row, 'leads', id!, new Map([['lead_status', ['converted']]])).is_converted).toBe(
      '=lead_status',
    );
  });
});

it('leaves out what the mapping throws on, and the cells that nothing was found out about', () => {
  const rowsOf = (input: LegacyRow) => {
    if (input.a === null) throw new Error('no');
    return [{ id: '1', a: input.a!, b: input.a === 'x' ? 'y' : 'z' }];
  };
  expect(traceRow({ input: { id: '1', a: 'x' }, tenants, rowsOf }, '1')).toMatchObject({
    origins: { a: { kind: 'copied', from: [{ column: 'a' }] }, b: { kind: 'computed' }, id: { kind: 'constant' } },
  });
  expect(traceRow({ input: { a: 'x' }, tenants, rowsOf }, '2')).toBeNull();
});

it('shows keys of JSON objects only where they are names', () => {
  const origin: Origin = { kind: 'copied', settings: [], from: [{ column: 'c', path: ['vip', 2, 'ann@example.org'] }] };
  expect(withoutJsonKeys(origin).from).toEqual([{ column: 'c', path: ['vip', 2, '*'] }]);
});

describe(`over generated rows, seed ${seed}`, () => {
  const generated: [Projection, (index: number) => LegacyRow][] = [
    [workspaces, (index) => workspaceRow(setting.seed, index % 4, setting.firstDay)],
    [
      statusOptions,
      (index) => ({ id: String(index), ...statusOptionRows(setting.seed, index % 4, setting.firstDay)[index % 5]! }),
    ],
    [contacts, (index) => contactRow(setting, index).row],
    [quotes, (index) => quoteRow(setting, index).row],
  ];

  it.each(generated.map(([projection, rowAt]) => [projection.name, projection, rowAt] as const))(
    '%s: every cell has one origin; a copied one is equal and follows; what nothing names changes nothing',
    (_name, projection, rowAt) => {
      const random = createRandom(`${seed}/${projection.name}`);
      const seen = createSeenValues();
      for (let index = 100; index < 200; index++) seen.add(rowAt(index));
      const names = [...projection.owned.map(({ table }) => table), ...projection.aggregates.map(contributionsTo)];
      const rowsOf =
        (table: string) =>
        (input: LegacyRow, under: Tenants): readonly NewRow[] => {
          const { rows, contributions } = projection.map(input, under);
          return (
            rows[table] ??
            contributions
              .filter(({ aggregate }) => contributionsTo({ name: aggregate }) === table)
              .map(({ mergeKey, data }) => ({ ...data, id: mergeKey }))
          );
        };
      let followed = 0;
      const missed: string[] = [];
      let swaps = 0;
      for (let index = 0; index < 12; index++) {
        const input = full(projection, rowAt(index));
        for (const table of names) {
          const rows = rowsOf(table)(input, tenants);
          for (const row of rows.slice(0, 2)) {
            const trace = traceRow(
              { otherSettings, input, tenants, rowsOf: rowsOf(table), seen: seen.byColumn },
              row.id!,
            )!;
            expect(Object.keys(trace.origins).toSorted()).toEqual(Object.keys(row).toSorted());
            const others = Array.from({ length: 20 }, () => full(projection, rowAt(random.int(200, 900))));
            for (const [column, origin] of Object.entries(trace.origins)) {
              const sources = origin.from.map((source) => source.column);
              if (origin.kind === 'copied' && origin.from[0]!.path === undefined) {
                expect(row[column] ?? null).toBe(input[sources[0]!] ?? null);
                followed += 1;
              }
              expect(origin.kind === 'constant' || origin.kind === 'configured').toBe(sources.length === 0);
            }
            for (const other of others) {
              const swapped = random.pick(projection.reads.filter((column) => column !== 'id'));
              const now = rowsOf(table)({ ...input, [swapped]: other[swapped] ?? null }, tenants).find(
                ({ id }) => id === row.id,
              );
              if (now === undefined) continue;
              swaps += 1;
              for (const column of Object.keys(row)) {
                const isNamed = trace.origins[column]!.from.some((source) => source.column === swapped);
                if (!isNamed && (now[column] ?? null) !== (row[column] ?? null))
                  missed.push(
                    `${table}.${column} with ${swapped}: ${input[swapped]} > ${other[swapped]}, ${row[column]} > ${now[column]}`,
                  );
              }
            }
          }
        }
      }
      expect(followed).toBeGreaterThan(50);
      expect(swaps).toBeGreaterThan(100);
      // What no value decides that was seen stays unknown.
      expect(missed.slice(swaps / 200)).toEqual([]);
    },
    60_000,
  );
});
