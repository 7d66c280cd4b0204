import { describe, expect, it } from 'vitest';
import { expectedUuid } from '../values/expected-uuid.ts';
import { companyId, mapQuote, only, quoteId, rejectsOf, tablesOf } from './mapped.ts';

const at = '2024-05-01 10:00:00.123456+00';
const customerId = expectedUuid(`customer:${companyId}|q:${quoteId}`);
const jobId = expectedUuid(`job:${quoteId}`);
const invoiceId = expectedUuid(`invoice:${quoteId}`);

describe('which rows a quote implies', () => {
  it.each([
    [{}, []],
    [{ lead_status: ' ', status: '\u00a0', invoice_number: '', quote_number: ' ', items: '[]', total: '0.00' }, []],
    [{ items: 'null', completed_at: at, job_number: 'J' }, []],
    [{ paid_at: at }, ['rejects']],
    [{ lead_status: 'new' }, ['leads']],
    [{ lead_status: 'nonsense' }, ['leads', 'rejects']],
    [{ status: 'draft' }, ['quotes_new']],
    [{ status: 'anything' }, ['quotes_new']],
    [{ quote_number: 'Q' }, ['quotes_new']],
    [{ total: '0.01' }, ['quotes_new']],
    [{ total: '-5.00' }, ['quotes_new']],
    [{ total: 'NaN' }, ['quotes_new', 'rejects']],
    [{ items: '[1]' }, ['quotes_new', 'rejects']],
    [{ items: '[{}]' }, ['quotes_new', 'quote_items_new']],
    [{ items: '"[{}]"' }, ['quotes_new', 'quote_items_new']],
    [{ items: '"abc"' }, ['rejects']],
    [{ status: ' Accepted' }, ['quotes_new', 'jobs_new']],
    [{ status: 'completed' }, ['quotes_new', 'jobs_new']],
    [{ status: 'SCHEDULED' }, ['quotes_new', 'jobs_new']],
    [{ invoice_number: 'I', total: '1.00' }, ['quotes_new', 'jobs_new', 'invoices_new']],
    [{ invoice_number: 'I' }, ['quotes_new', 'jobs_new', 'invoices_new', 'rejects']],
    [{ invoice_number: 'I', total: '0', paid_at: at }, ['quotes_new', 'jobs_new', 'invoices_new', 'payments']],
    [{ invoice_number: ' ', paid_at: at, status: 'accepted' }, ['quotes_new', 'jobs_new', 'rejects']],
    [{ lead_status: 'won', status: 'sent' }, ['leads', 'quotes_new']],
  ])('%j: %j', (cells, tables) => expect(tablesOf(mapQuote(cells))).toEqual(tables));
});

describe('leads', () => {
  it('take the quote’s columns', () => {
    const cells = {
      ...{
        lead_status: ' New ',
        description: ' d',
        customer_name: 'Ada',
        email: 'x',
        phone: '(415) 555-2732',
        address: 'y',
      },
      ...{ scheduled_at: at, created_at: '2024-01-01 00:00:00+00', updated_at: 'infinity', sent_at: at },
    };
    const customer = expectedUuid(`customer:${companyId}|p:+14155552732`);
    expect(only(mapQuote(cells), 'leads')).toEqual({
      ...{ id: quoteId, tenant_id: companyId, customer_id: customer, company_id: companyId, status: 'new' },
      ...{
        description: ' d',
        name: 'Ada',
        email: 'x',
        phone: '+14155552732',
        phone_raw: '(415) 555-2732',
        address: 'y',
      },
      ...{ scheduled_visit_at: at, is_converted: 'f', converted_to_client_id: null, conversion_date: null },
      ...{ source_metadata: `{"sent_at": "${at}"}`, created_at: '2024-01-01 00:00:00+00', updated_at: 'infinity' },
    });
  });

  it.each([
    [{ sent_at: at, updated_at: 'infinity' }, at],
    [{ updated_at: '2024-06-01 00:00:00+00' }, '2024-06-01 00:00:00+00'],
    [{}, null],
  ])('are converted at %j', (cells, expected) => {
    expect(only(mapQuote({ lead_status: 'Converted', ...cells }), 'leads')).toMatchObject({
      ...{ status: 'converted', is_converted: 't', converted_to_client_id: customerId, conversion_date: expected },
      source_metadata: null,
    });
  });

  it.each(['new', 'contacted', 'qualified', 'nurturing', 'proposal', 'won', 'converted', 'lost', 'unqualified'])(
    'may be %s',
    (status) => expect(rejectsOf(mapQuote({ lead_status: `${status.toUpperCase()}\n` }))).toEqual([]),
  );

  it('of unknown status have none', () => {
    const implied = mapQuote({ lead_status: ' Hot ' });
    expect(only(implied, 'leads').status).toBeNull();
    expect(rejectsOf(implied)).toEqual([['lead_status', ' Hot ', 'unknown lead status']]);
  });
});

describe('quotes_new', () => {
  it('takes the quote’s columns', () => {
    const money = { subtotal: '1.00', discount_amount: '0.10', tax_rate: '0.0825', tax_amount: '2.00', total: '3.00' };
    const same = {
      ...{ company_id: companyId, quote_number: ' Q', customer_name: ' ', email: 'e', phone: 'p', address: 'a' },
      ...{ job_name: 'j', description: 'd', notes: 'n', sent_at: at, created_at: at, updated_at: '-infinity' },
    };
    const user = '33333333-3333-4333-8333-333333333333';
    const implied = mapQuote({ ...same, ...money, user_id: user, status: ' Sent', lead_status: 'new' });
    expect(only(implied, 'quotes_new')).toEqual({
      ...{ ...same, ...money, id: quoteId, tenant_id: companyId, customer_id: customerId, lead_id: quoteId },
      ...{ status: 'sent', created_by: user, source_metadata: null },
    });
  });

  it.each([
    [{ quote_number: 'Q' }, 'draft'],
    [{ status: ' ', invoice_number: 'I' }, 'accepted'],
    [{ status: 'Declined', invoice_number: 'I' }, 'declined'],
  ])('%j has status %s', (cells, status) => expect(only(mapQuote(cells), 'quotes_new').status).toBe(status));

  it('has no lead unless there is one', () => {
    expect(only(mapQuote({ status: 'sent', lead_status: ' ' }), 'quotes_new').lead_id).toBeNull();
  });

  it.each(['subtotal', 'discount_amount', 'tax_rate', 'tax_amount', 'total'])(
    'rejects a %s that is not finite',
    (column) => {
      for (const cell of ['NaN', 'Infinity', '-Infinity']) {
        const implied = mapQuote({ status: 'sent', [column]: cell });
        expect(only(implied, 'quotes_new')[column]).toBeNull();
        expect(implied.rows.rejects).toEqual([
          {
            ...{ id: expectedUuid(`reject:quotes|${quoteId}|${column}`), tenant_id: companyId, path: column },
            ...{ raw_value: cell, reason: 'not a finite number' },
          },
        ]);
      }
    },
  );
});

describe('jobs_new', () => {
  it('takes the quote’s columns', () => {
    const times = {
      scheduled_at: '2024-01-01 00:00:00+00',
      started_at: '2024-01-02 00:00:00+00',
      completed_at: 'infinity',
    };
    const implied = mapQuote({
      ...{ ...times, status: 'scheduled', job_number: 'J-1', job_name: 'Roof', description: 'd' },
      ...{ created_at: at, updated_at: at },
    });
    expect(only(implied, 'jobs_new')).toEqual({
      ...{ id: jobId, tenant_id: companyId, company_id: companyId, quote_id: quoteId, customer_id: customerId },
      ...{ job_number: 'J-1', title: 'Roof', description: 'd', status: 'completed' },
      ...{ scheduled_start: '2024-01-01 00:00:00+00', actual_start: '2024-01-02 00:00:00+00', actual_end: 'infinity' },
      ...{ created_at: at, updated_at: at },
    });
  });

  it.each([
    [{ status: 'accepted' }, 'scheduled'],
    [{ status: 'accepted', started_at: at }, 'in_progress'],
    [{ status: 'accepted', started_at: at, completed_at: at }, 'completed'],
    [{ status: ' Completed' }, 'completed'],
    [{ status: 'declined', invoice_number: 'I' }, 'scheduled'],
  ])('%j is %s', (cells, status) => expect(only(mapQuote(cells), 'jobs_new').status).toBe(status));

  it('is numbered after the quote where it has no number', () => {
    expect(only(mapQuote({ status: 'accepted', job_number: ' ' }), 'jobs_new').job_number).toBe(`JOB-${quoteId}`);
  });
});

describe('invoices_new and payments', () => {
  const invoiced = { invoice_number: ' I-1', total: '12.50' };

  it('take the quote’s columns', () => {
    const given = { payment_method: 'card', payment_link_url: 'u', created_at: at, updated_at: at };
    const implied = mapQuote({ ...invoiced, ...given, paid_at: 'infinity', invoice_sent_at: at });
    expect(only(implied, 'invoices_new')).toEqual({
      ...{
        ...given,
        id: invoiceId,
        tenant_id: companyId,
        company_id: companyId,
        job_id: jobId,
        customer_id: customerId,
      },
      ...{ invoice_number: ' I-1', amount_due: '12.50', amount_paid: '12.50', status: 'paid', sent_at: at },
      paid_at: 'infinity',
    });
    expect(only(implied, 'payments')).toEqual({
      ...{ id: expectedUuid(`payment:${quoteId}`), tenant_id: companyId, invoice_id: invoiceId, amount: '12.50' },
      ...{ method: 'card', paid_at: 'infinity', created_at: 'infinity' },
    });
  });

  it.each([
    [{}, { amount_due: '12.50', amount_paid: '0', status: 'pending' }],
    [{ invoice_sent_at: at }, { amount_due: '12.50', amount_paid: '0', status: 'sent' }],
    [{ paid_at: at }, { amount_due: '12.50', amount_paid: '12.50', status: 'paid' }],
    [
      { paid_at: at, total: null },
      { amount_due: '0', amount_paid: '0', status: 'paid' },
    ],
    [
      { paid_at: at, total: 'NaN' },
      { amount_due: '0', amount_paid: '0', status: 'paid' },
    ],
  ])('%j: %j', (cells, expected) =>
    expect(only(mapQuote({ ...invoiced, ...cells }), 'invoices_new')).toMatchObject(expected),
  );

  it.each([
    [{ payment_method: ' ' }, { method: 'unknown', amount: '12.50' }],
    [{ payment_method: 'Cash ' }, { method: 'Cash ', amount: '12.50' }],
    [{ total: 'NaN' }, { method: 'unknown', amount: '0' }],
  ])('payment %j: %j', (cells, expected) =>
    expect(only(mapQuote({ ...invoiced, paid_at: at, ...cells }), 'payments')).toMatchObject(expected),
  );
});

describe('money that no new row shows', () => {
  it('is a reject where it was paid without an invoice', () => {
    const implied = mapQuote({ status: 'sent', total: '12.50', paid_at: at });
    expect(rejectsOf(implied)).toEqual([['paid_at', at, 'paid without an invoice number']]);
    expect(only(implied, 'quotes_new').source_metadata).toBe(`{"paid_at": "${at}"}`);
  });

  it.each([null, 'NaN', 'Infinity'])('is a reject where an invoice has the total %j', (total) => {
    const implied = mapQuote({ invoice_number: ' I-1', total });
    expect(rejectsOf(implied)).toContainEqual(['invoice_number', ' I-1', 'invoice without an amount']);
    expect(only(implied, 'invoices_new')).toMatchObject({ invoice_number: ' I-1', amount_due: '0' });
  });

  it('is none where an invoice shows it', () => {
    expect(rejectsOf(mapQuote({ invoice_number: 'I', total: '0.00', paid_at: at }))).toEqual([]);
  });
});
