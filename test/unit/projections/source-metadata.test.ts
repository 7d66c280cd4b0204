import { describe, expect, it } from 'vitest';
import { contributed, mapQuote, only } from './mapped.ts';

const at = '2024-05-01 10:00:00+00';

function inQuote(cells: Record<string, string | null>): string | null {
  return only(mapQuote({ status: 'sent', ...cells }), 'quotes_new').source_metadata!;
}

function inLead(cells: Record<string, string | null>): string | null {
  return only(mapQuote({ lead_status: 'new', ...cells }), 'leads').source_metadata!;
}

function inCustomer(cells: Record<string, string | null>): string | null {
  return contributed(mapQuote(cells)).source_metadata!;
}

const ofCustomer = ['customer_name', 'email', 'phone', 'address', 'description', 'created_at', 'updated_at'];
const ofQuote = ['job_name', 'notes', 'user_id'];
const ofMoney = ['subtotal', 'discount_amount', 'tax_rate', 'tax_amount'];
const ofJob = ['job_number', 'started_at', 'completed_at'];
const ofInvoice = ['invoice_sent_at', 'paid_at', 'payment_method', 'payment_link_url'];

describe('a column that no row takes is kept', () => {
  it.each([...ofJob, ...ofInvoice, 'scheduled_at', 'unheard_of'])('%s in quotes_new', (column) => {
    expect(inQuote({ [column]: ' 7' })).toBe(`{"${column}": " 7"}`);
    expect(inQuote({ [column]: ' \u00a0' })).toBe(`{"${column}": " \u00a0"}`);
    expect(inQuote({ [column]: null })).toBeNull();
  });

  it.each([...ofQuote, ...ofMoney, ...ofJob, ...ofInvoice, 'sent_at', 'unheard_of'])('%s in leads', (column) => {
    expect(inLead({ [column]: '7' })).toBe(`{"${column}": "7"}`);
  });

  it.each([...ofCustomer, ...ofQuote, ...ofMoney, ...ofJob, ...ofInvoice, 'scheduled_at', 'sent_at', 'unheard_of'])(
    '%s in customers',
    (column) => expect(inCustomer({ [column]: '7' })).toBe(`{"${column}": "7"}`),
  );

  it('a total of zero too', () => {
    expect(inLead({ total: '0.00' })).toBe('{"total": "0.00"}');
    expect(inCustomer({ total: '0.00' })).toBe('{"total": "0.00"}');
  });

  it('in one row alone', () => {
    const both = mapQuote({ lead_status: 'new', status: 'sent', paid_at: at });
    expect(only(both, 'quotes_new').source_metadata).toBe(`{"paid_at": "${at}"}`);
    expect(only(both, 'leads').source_metadata).toBeNull();
    expect(contributed(both).source_metadata).toBeNull();
    expect(contributed(mapQuote({ lead_status: 'new', paid_at: at })).source_metadata).toBeNull();
  });

  it('as jsonb text', () => {
    expect(inQuote({ paid_at: at, job_number: '"\n', started_at: at })).toBe(
      `{"paid_at": "${at}", "job_number": "\\"\\n", "started_at": "${at}"}`,
    );
  });
});

describe('a column that a row takes is not', () => {
  it.each([...ofCustomer, ...ofQuote, ...ofMoney, 'sent_at', 'total', 'quote_number'])('%s by quotes_new', (column) => {
    expect(inQuote({ [column]: '7' })).toBeNull();
  });

  it.each([...ofCustomer, 'scheduled_at'])('%s by leads', (column) => expect(inLead({ [column]: '7' })).toBeNull());

  it.each(['id', 'items'])('%s ever', (column) => {
    expect(inCustomer({ [column]: column === 'items' ? '"x"' : at })).toBeNull();
  });

  it.each([...ofJob, 'scheduled_at'])('%s by jobs_new', (column) => {
    expect(inQuote({ status: 'accepted', [column]: at })).toBeNull();
  });

  it.each(ofInvoice)('%s by invoices_new', (column) => {
    expect(inQuote({ invoice_number: 'I', [column]: at })).toBeNull();
    expect(inQuote({ status: 'accepted', [column]: at })).toBe(`{"${column}": "${at}"}`);
  });

  it('scheduled_at by a lead beside a quote', () =>
    expect(inQuote({ lead_status: 'new', scheduled_at: at })).toBeNull());

  it('sent_at by a lead, when it is the conversion date', () => {
    expect(inLead({ lead_status: 'converted', sent_at: at })).toBeNull();
    expect(inLead({ lead_status: 'won', sent_at: at })).toBe(`{"sent_at": "${at}"}`);
  });

  it.each(ofMoney)('%s where it is rejected', (column) => {
    expect(inLead({ [column]: 'NaN' })).toBeNull();
    expect(inCustomer({ [column]: 'Infinity' })).toBeNull();
  });
});
