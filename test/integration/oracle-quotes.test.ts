import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, createBench, idAt, idOf, type Row, TIMES } from '../oracle/hand-written.ts';
import { createDatabases } from '../support/stack.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let bench: Bench;
beforeAll(async () => {
  databases = await createDatabases('oracle_quotes');
  bench = await createBench(databases);
});
beforeEach(() => bench.clear());
afterAll(async () => {
  await bench?.close();
  await databases?.drop();
});

const COMPANY = 'c0000000-0000-4000-8000-000000000001';
const [Q1, Q2, Q3, Q4, Q5, Q6] = [1, 2, 3, 4, 5, 6].map(idAt) as [string, string, string, string, string, string];
const [EARLY, LATE] = ['2024-01-01 00:00:00+00', '2024-05-01 00:00:00+00'];
const OURS = { tenant_id: COMPANY, company_id: COMPANY };
const customerOf = (key: string) => idOf(`customer:${COMPANY}|${key}`);

const quote = (id: string, row: Row) => bench.legacy('quotes', { id, company_id: COMPANY, ...row });
const projected = (table: string, row: Row) => bench.projected(table, { ...OURS, ...row });
const customer = (key: string, row: Row = {}) =>
  projected('customers', { id: customerOf(key), customer_key: key, ...row });
/** The projected quote of a customer nobody else shares. */
const quoteNew = (id: string, row: Row) => projected('quotes_new', { id, customer_id: customerOf(`q:${id}`), ...row });
const address = (key: string, normalised: string, row: Row) =>
  bench.projected('customer_addresses', {
    id: idOf(`address:${customerOf(key)}|${normalised}`),
    tenant_id: COMPANY,
    customer_id: customerOf(key),
    normalised_address: normalised,
    ...row,
  });
const reject = (id: string, path: string, raw_value: string, reason: string) =>
  bench.projected('rejects', { id: idOf(`reject:quotes|${id}|${path}`), tenant_id: COMPANY, path, raw_value, reason });

describe('the customer', () => {
  /** Draft quotes, so that what they say lands in quotes_new and the customers stay bare. */
  async function draft(id: string, key: string, row: Row) {
    await quote(id, { ...row, status: 'draft' });
    await projected('quotes_new', { id, customer_id: customerOf(key), status: 'draft', ...row });
  }

  it('is known by phone, else email, else name and address, else by nothing but the quote', async () => {
    const phone = { phone: '212-555-2723', email: 'a@b.c' };
    const extension = { phone: '212-555-2723 x5', email: ' \u0130@B.co\u00a0' };
    const placeholder = { email: 'NoReply@b.co', customer_name: ' ＪＯ\u00a0\t Σ', address: '5, Main-St. $2!' };
    const dotless = { email: 'a@b.', customer_name: 'Walk-In', address: '5 Main St' };
    const nowhere = { email: 'a b@c.d', customer_name: 'Jo', address: ' .-' };
    const twice = { email: 'a@b@c.d', phone: ' ' };
    await draft(Q1, 'p:+12125552723', phone);
    await draft(Q2, 'e:i@b.co', extension);
    await draft(Q3, 'n:jo σ|5 main st $2', placeholder);
    await draft(Q4, `q:${Q4}`, dotless);
    await draft(Q5, `q:${Q5}`, nowhere);
    await draft(Q6, `q:${Q6}`, twice);
    await customer('p:+12125552723', { phone_raw: '212-555-2723', email: 'a@b.c', phone_e164: '+12125552723' });
    await customer('e:i@b.co', { phone_raw: '212-555-2723 x5', email: extension.email });
    await customer('n:jo σ|5 main st $2', { name: placeholder.customer_name, email: placeholder.email });
    await customer(`q:${Q4}`, { name: 'Walk-In', email: 'a@b.' });
    await customer(`q:${Q5}`, { name: 'Jo', email: 'a b@c.d' });
    await customer(`q:${Q6}`, { email: 'a@b@c.d' });
    await address('n:jo σ|5 main st $2', '5 main st $2', { address: placeholder.address, is_primary: true });
    await address(`q:${Q4}`, '5 main st', { address: '5 Main St', is_primary: true });
    expect(await bench.differences({ '212-555-2723': '+12125552723' })).toEqual([]);
  });

  it('shows per field what its greatest quote says; ties go to the greater id, a row without time is the least', async () => {
    const key = 'e:a@b.co';
    await draft(Q1, key, {
      email: 'a@b.co',
      customer_name: 'One',
      phone: 'p1',
      address: 'Main St 1',
      created_at: EARLY,
      updated_at: EARLY,
    });
    await draft(Q2, key, { email: 'A@b.co', customer_name: 'Two', address: 'MAIN ST. 1', updated_at: LATE });
    await draft(Q3, key, { email: 'a@B.co', customer_name: 'Three', address: 'Side St', updated_at: LATE });
    await draft(Q4, key, {
      email: ' a@b.co',
      customer_name: 'Four',
      phone: 'p4',
      address: 'Far away',
      updated_at: null,
    });
    await draft(Q5, key, { email: 'a@b.co ', customer_name: ' ', address: '-', updated_at: 'infinity' });
    await customer(key, {
      name: 'Three',
      email: 'a@b.co ',
      phone_raw: 'p1',
      created_at: EARLY,
      updated_at: 'infinity',
    });
    await address(key, 'main st 1', { address: 'MAIN ST. 1', is_primary: false, created_at: EARLY, updated_at: LATE });
    await address(key, 'side st', { address: 'Side St', is_primary: true, updated_at: LATE });
    await address(key, 'far away', { address: 'Far away', is_primary: false, updated_at: null });
    expect(await bench.differences()).toEqual([]);
  });

  it('shows a placeholder only where nobody knows better', async () => {
    const key = 'n:ada|main st 1';
    const said = { customer_name: 'Ada', address: 'Main St 1' };
    await draft(Q1, key, { ...said, email: 'call me', phone: '206', updated_at: EARLY });
    await draft(Q2, key, { ...said, email: ' NoEmail@b.co', phone: '000-000-0001', updated_at: LATE });
    await draft(Q3, key, { ...said, email: 'x@b.co', phone: 'none', updated_at: LATE });
    await customer(key, { name: 'Ada', email: 'x@b.co', phone_raw: '206', updated_at: LATE });
    await address(key, 'main st 1', { address: 'Main St 1', is_primary: true, updated_at: LATE });
    const phone = 'p:+12125552723';
    await draft(Q4, phone, { phone: '212-555-2723', customer_name: 'Bo', email: 'b@b.co', updated_at: EARLY });
    await draft(Q5, phone, { phone: '212-555-2723', customer_name: ' Walk  In', email: 'na@b.co', updated_at: LATE });
    await customer(phone, {
      ...{ name: 'Bo', email: 'b@b.co', phone_raw: '212-555-2723', phone_e164: '+12125552723', updated_at: LATE },
    });
    expect(await bench.differences({ '212-555-2723': '+12125552723' })).toEqual([]);
  });

  it('is known by what its tenant calls no placeholder', async () => {
    await draft(Q1, 'e:test@b.co', { email: 'test@b.co' });
    await customer('e:test@b.co', { email: 'test@b.co' });
    await draft(Q2, `q:${Q2}`, { email: 'info@b.co' });
    await customer(`q:${Q2}`, { email: 'info@b.co' });
    const own = { tenantId: COMPANY, country: 'US', userId: '1', chatbotId: '1' };
    const tenants = [{ ...own, placeholders: { mailboxes: ['info'], names: [] } }];
    expect(await bench.differences({}, tenants)).toEqual([]);
  });

  it('was created with the first of its quotes that has a time, its address likewise', async () => {
    await draft(Q1, 'e:a@b.co', { email: 'a@b.co', address: 'Main St', created_at: null });
    await draft(Q2, 'e:a@b.co', { email: 'a@b.co', created_at: EARLY });
    await draft(Q3, 'e:a@b.co', { email: 'a@b.co', created_at: LATE });
    await customer('e:a@b.co', { email: 'a@b.co', created_at: EARLY });
    await address('e:a@b.co', 'main st', { address: 'Main St', is_primary: true, created_at: null });
    expect(await bench.differences()).toEqual([]);
  });

  it('is another one in every company', async () => {
    await bench.legacy('quotes', { id: Q1, email: 'a@b.co', status: 'draft' });
    await draft(Q2, 'e:a@b.co', { email: 'a@b.co' });
    await customer('e:a@b.co', { email: 'a@b.co' });
    const id = idOf('customer:unassigned|e:a@b.co');
    await bench.projected('customers', { id, tenant_id: 'unassigned', customer_key: 'e:a@b.co', email: 'a@b.co' });
    await bench.projected('quotes_new', {
      id: Q1,
      tenant_id: 'unassigned',
      customer_id: id,
      email: 'a@b.co',
      status: 'draft',
    });
    expect(await bench.differences()).toEqual([]);
  });
});

describe('values without a column', () => {
  const times = { started_at: EARLY, sent_at: LATE, scheduled_at: 'infinity' };
  const said = {
    job_number: 'J',
    notes: 'N',
    subtotal: '1.50',
    total: '0.00',
    tax_rate: 'NaN',
    user_id: COMPANY,
    payment_method: ' ',
    ...times,
  };
  const jobless = { job_number: 'J', started_at: EARLY };
  const quoteless = { ...jobless, notes: 'N', subtotal: '1.50', total: '0.00', user_id: COMPANY };

  it('are kept in the quote, else in the lead, else in the customer', async () => {
    await quote(Q1, { ...said, description: 'D', quote_number: '7' });
    await customer(`q:${Q1}`);
    await quoteNew(Q1, {
      quote_number: '7',
      status: 'draft',
      description: 'D',
      notes: 'N',
      subtotal: '1.50',
      total: '0.00',
      created_by: COMPANY,
      sent_at: LATE,
      source_metadata: JSON.stringify({ ...jobless, payment_method: ' ', scheduled_at: 'infinity' }),
    });
    await quote(Q2, { ...said, description: 'D', lead_status: 'new', paid_at: EARLY });
    await customer(`q:${Q2}`);
    await projected('leads', {
      id: Q2,
      customer_id: customerOf(`q:${Q2}`),
      status: 'new',
      description: 'D',
      scheduled_visit_at: 'infinity',
      source_metadata: JSON.stringify({ ...quoteless, payment_method: ' ', sent_at: LATE, paid_at: EARLY }),
    });
    await quote(Q3, { ...said, description: 'D', customer_name: 'Cash', items: '[]' });
    await customer(`q:${Q3}`, {
      name: 'Cash',
      source_metadata: JSON.stringify({
        [Q3]: {
          ...quoteless,
          payment_method: ' ',
          description: 'D',
          customer_name: 'Cash',
          sent_at: LATE,
          scheduled_at: 'infinity',
          ...TIMES,
        },
      }),
    });
    await reject(Q2, 'paid_at', EARLY, 'paid without an invoice number');
    for (const id of [Q1, Q2, Q3]) await reject(id, 'tax_rate', 'NaN', 'not a finite number');
    expect(await bench.differences()).toEqual([]);
  });
});

describe('leads', () => {
  it('that converted name the customer and the date', async () => {
    await quote(Q1, { lead_status: ' Converted', phone: '212-555-2723', customer_name: 'Ada', sent_at: LATE });
    await quote(Q2, { lead_status: 'converted', sent_at: null, updated_at: EARLY });
    const key = 'p:+12125552723';
    await customer(key, { name: 'Ada', phone_raw: '212-555-2723', phone_e164: '+12125552723' });
    await customer(`q:${Q2}`, { updated_at: EARLY });
    const converted = (id: string, conversion_date: string, customerKey: string) => ({
      id,
      status: 'converted',
      is_converted: true,
      conversion_date,
      customer_id: customerOf(customerKey),
      converted_to_client_id: customerOf(customerKey),
    });
    await projected('leads', {
      ...converted(Q1, LATE, key),
      name: 'Ada',
      phone_raw: '212-555-2723',
      phone: '+12125552723',
    });
    await projected('leads', { ...converted(Q2, EARLY, `q:${Q2}`), updated_at: EARLY });
    expect(await bench.differences({ '212-555-2723': '+12125552723' })).toEqual([]);
  });

  it('of an unknown status exist beside a reject, and their quote names them', async () => {
    await quote(Q1, { lead_status: 'HOT', status: ' Sent\t' });
    await customer(`q:${Q1}`);
    await projected('leads', { id: Q1, customer_id: customerOf(`q:${Q1}`) });
    await quoteNew(Q1, { lead_id: Q1, status: 'sent' });
    await reject(Q1, 'lead_status', 'HOT', 'unknown lead status');
    expect(await bench.differences()).toEqual([]);
  });
});

describe('jobs, invoices and payments', () => {
  const ofQuote = (id: string) => ({ customer_id: customerOf(`q:${id}`) });
  const job = (id: string, row: Row) =>
    projected('jobs_new', { id: idOf(`job:${id}`), quote_id: id, job_number: `JOB-${id}`, ...ofQuote(id), ...row });
  const invoice = (id: string, row: Row) =>
    projected('invoices_new', { id: idOf(`invoice:${id}`), job_id: idOf(`job:${id}`), ...ofQuote(id), ...row });

  it('exist for a quote that was only sent but invoiced, and for one without a status', async () => {
    await quote(Q1, {
      status: 'sent',
      invoice_number: 'I1',
      total: '120.00',
      invoice_sent_at: EARLY,
      job_name: 'Roof',
      description: 'D',
    });
    await customer(`q:${Q1}`);
    await quoteNew(Q1, { status: 'sent', total: '120.00', job_name: 'Roof', description: 'D' });
    await job(Q1, { status: 'scheduled', title: 'Roof', description: 'D' });
    await invoice(Q1, { invoice_number: 'I1', amount_due: '120.00', amount_paid: 0, status: 'sent', sent_at: EARLY });

    await quote(Q2, {
      invoice_number: ' I2',
      total: '5.10',
      paid_at: LATE,
      started_at: EARLY,
      job_number: ' ',
      payment_method: '',
    });
    await customer(`q:${Q2}`);
    await quoteNew(Q2, { status: 'accepted', total: '5.10' });
    await job(Q2, { status: 'in_progress', actual_start: EARLY });
    const paid = { amount_due: '5.10', amount_paid: '5.10', status: 'paid', paid_at: LATE, payment_method: '' };
    await invoice(Q2, { invoice_number: ' I2', ...paid });
    const payment = { id: idOf(`payment:${Q2}`), invoice_id: idOf(`invoice:${Q2}`), amount: '5.10', method: 'unknown' };
    await bench.projected('payments', { tenant_id: COMPANY, ...payment, paid_at: LATE, created_at: LATE });
    expect(await bench.differences()).toEqual([]);
  });

  it('follow the status without an invoice; money that is no number is null in the quote and 0 in the invoice', async () => {
    await quote(Q1, {
      status: 'Completed',
      started_at: EARLY,
      scheduled_at: EARLY,
      job_number: 'J 1',
      invoice_number: '\u00a0',
    });
    await customer(`q:${Q1}`);
    await quoteNew(Q1, { status: 'completed', source_metadata: '{"invoice_number": "\u00a0"}' });
    await job(Q1, { status: 'completed', job_number: 'J 1', scheduled_start: EARLY, actual_start: EARLY });

    await quote(Q2, { total: 'NaN' });
    await customer(`q:${Q2}`);
    await quoteNew(Q2, { status: 'draft' });
    await reject(Q2, 'total', 'NaN', 'not a finite number');

    await quote(Q3, {
      total: 'NaN',
      subtotal: 'NaN',
      invoice_number: 'I',
      completed_at: LATE,
      paid_at: LATE,
      payment_method: 'Cash',
    });
    await customer(`q:${Q3}`);
    await quoteNew(Q3, { status: 'accepted' });
    await job(Q3, { status: 'completed', actual_end: LATE });
    const paid = { amount_due: 0, amount_paid: 0, status: 'paid', paid_at: LATE, payment_method: 'Cash' };
    await invoice(Q3, { invoice_number: 'I', ...paid });
    const payment = { id: idOf(`payment:${Q3}`), invoice_id: idOf(`invoice:${Q3}`), amount: 0, method: 'Cash' };
    await bench.projected('payments', { tenant_id: COMPANY, ...payment, paid_at: LATE, created_at: LATE });
    await reject(Q3, 'total', 'NaN', 'not a finite number');
    await reject(Q3, 'subtotal', 'NaN', 'not a finite number');
    await reject(Q3, 'invoice_number', 'I', 'invoice without an amount');
    expect(await bench.differences()).toEqual([]);
  });
});
