import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, createBench, idAt, idOf } from '../oracle/hand-written.ts';
import { createDatabases } from '../support/stack.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let bench: Bench;
beforeAll(async () => {
  databases = await createDatabases('oracle');
  bench = await createBench(databases);
});
beforeEach(() => bench.clear());
afterAll(async () => {
  await bench?.close();
  await databases?.drop();
});

const C1 = idAt(1);
const C2 = idAt(2);
const C3 = idAt(3);
const leadOf = (contact: string) => idOf(`lead:contact:${contact}`);
const bareContact = { tenant_id: 'unassigned', user_id: 1, chatbot_id: 1, opted_out: false };
const bareLead = { tenant_id: 'unassigned', priority: 'medium', qualification_status: 'unqualified' };

/** The projected rows of a contact that says nothing but what is given. */
async function projectContact(id: string, contact = {}, lead = {}) {
  await bench.projected('contacts', { ...bareContact, id, ...contact });
  await bench.projected('leads', { ...bareLead, id: leadOf(id), contact_id: id, ...lead });
}

describe('the comparison', () => {
  it('finds nothing where there is nothing', async () => {
    expect(await bench.differences()).toEqual([]);
  });

  it('names missing and extra rows and differing columns, and counts the scale of a number', async () => {
    await bench.legacy('contacts', { id: C1, estimated_value: '10.50' });
    await bench.legacy('contacts', { id: C2 });
    await bench.projected('leads', { ...bareLead, id: leadOf(C1), contact_id: C1, estimated_value: '10.5' });
    await projectContact(C2);
    await projectContact(C3);
    const found = await bench.differences();
    expect(found.map((d) => `${d.table} ${d.id} ${d.kind} ${d.column}`).sort()).toEqual(
      [
        `contacts ${C1} missing null`,
        `contacts ${C3} extra null`,
        `leads ${leadOf(C1)} differs estimated_value`,
        `leads ${leadOf(C3)} extra null`,
      ].sort(),
    );
    expect(found.find((d) => d.kind === 'differs')).toMatchObject({ expected: '10.50', actual: '10.5' });
  });

  it('leaves out deleted rows and rows of the application', async () => {
    await projectContact(C1, { deleted_at: '2024-01-01' }, { deleted_at: '2024-01-01' });
    await projectContact(C2, { origin: 'app' }, { origin: 'app' });
    expect(await bench.differences()).toEqual([]);
  });

  it('refuses to run without an answer for every phone', async () => {
    await bench.legacy('contacts', { id: C1, workspace_id: 'fr', phone_number: '0612345678' });
    const french = { tenantId: 'fr', country: 'FR', userId: '1', chatbotId: '1' };
    await expect(bench.differences({}, [french])).rejects.toThrow('lacks 1 phones');
  });
});

describe('workspaces and status options', () => {
  it('are copied, the country without its padding', async () => {
    const workspace = { id: 'w', name: ' W ', plan: '', country: 'U', settings: '{"a": 1.50}' };
    await bench.legacy('workspaces', { ...workspace, industry: ' ' });
    await bench.projected('tenants', { ...workspace, tenant_id: 'w', source_metadata: '{"industry": " "}' });
    const option = {
      id: 7,
      workspace_id: '\u00a0',
      category: 'lead',
      name: 'Hot',
      sort_order: 2,
      is_default: true,
      is_active: false,
    };
    await bench.legacy('status_options', { ...option, description: 'said "yes"' });
    const source_metadata = JSON.stringify({ description: 'said "yes"' });
    await bench.projected('status_options', { ...option, tenant_id: 'unassigned', source_metadata });
    expect(await bench.differences()).toEqual([]);
  });
});

describe('contacts', () => {
  it('become a contact and a lead; a converted one is converted', async () => {
    await bench.legacy('contacts', {
      id: C1,
      workspace_id: 'w',
      name: 'Ada',
      phone_number: '(212) 555-2723',
      lead_status: ' CONVERTED\u00a0',
      conversation_status: ' Open',
      product: 'Roof',
      priority: ' ',
      qualification_status: ' MQL ',
      lead_score: 100,
      tags: '{a,"b c"}',
      notes: '',
      expected_close_date: 'infinity',
      lead_score_factors: '{"x": 1}',
      source_metadata: 'null',
      updated_at: '-infinity',
    });
    await projectContact(
      C1,
      {
        tenant_id: 'w',
        user_id: 5,
        chatbot_id: 6,
        workspace_id: 'w',
        name: 'Ada',
        phone_number: '(212) 555-2723',
        phone_e164: '+12125552723',
        conversation_status: 'open',
        tags: '{a,"b c"}',
        updated_at: '-infinity',
      },
      {
        tenant_id: 'w',
        workspace_id: 'w',
        status: 'converted',
        is_converted: true,
        phone: '+12125552723',
        product_interest: 'Roof',
        qualification_status: 'mql',
        lead_score: 100,
        tags: '{a,"b c"}',
        notes: '',
        expected_close_date: 'infinity',
        lead_score_factors: '{"x": 1}',
        source_metadata: 'null',
        updated_at: '-infinity',
      },
    );
    const tenants = [{ tenantId: 'w', country: 'US', userId: '5', chatbotId: '6' }];
    expect(await bench.differences({ '(212) 555-2723': '+12125552723' }, tenants)).toEqual([]);
  });

  it('keep what has no valid form as rejects', async () => {
    await bench.legacy('contacts', {
      id: C1,
      lead_status: ' Hot ',
      lead_score: 101,
      estimated_value: 'NaN',
      custom_fields: '"none"',
    });
    await projectContact(C1);
    const reject = (path: string, raw_value: string, reason: string) =>
      bench.projected('rejects', {
        id: idOf(`reject:contacts|${C1}|${path}`),
        tenant_id: 'unassigned',
        path,
        raw_value,
        reason,
      });
    await reject('lead_status', ' Hot ', 'unknown lead status');
    await reject('lead_score', '101', 'out of range 0 to 100');
    await reject('estimated_value', 'NaN', 'not a finite number');
    await reject('custom_fields', 'none', 'not an object');
    expect(await bench.differences()).toEqual([]);
  });

  it('keep every column without a place of its own as a custom field', async () => {
    await bench.legacy('contacts', {
      id: C1,
      custom_fields: '{"é": "x", "n": 1.50, "b": false, "z": null, "o": {"b": 1, "a": [2]}}',
      company: '',
      birthday: '2001-02-03',
      last_message_at: '2024-05-01 12:00:00.5+02',
      unread_count: 0,
      is_blocked: true,
      utm_term: 't',
    });
    await projectContact(C1);
    const field = (field_name: string, field_value: string | null, field_type: string) =>
      bench.projected('lead_custom_fields', {
        id: idOf(`field:${leadOf(C1)}|${field_name}`),
        tenant_id: 'unassigned',
        lead_id: leadOf(C1),
        field_name,
        field_value,
        field_type,
      });
    await field('custom.é', 'x', 'text');
    await field('custom.n', '1.50', 'number');
    await field('custom.b', 'false', 'boolean');
    await field('custom.z', null, 'json');
    await field('custom.o', '{"a": [2], "b": 1}', 'json');
    await field('contact.company', '', 'text');
    await field('contact.birthday', '2001-02-03', 'date');
    await field('contact.last_message_at', '2024-05-01 10:00:00.5+00', 'date');
    await field('contact.unread_count', '0', 'number');
    await field('contact.is_blocked', 'true', 'boolean');
    await field('contact.utm_term', 't', 'text');
    expect(await bench.differences()).toEqual([]);
  });
});

describe('columns that no rule names', () => {
  const odd =
    '"Loyalty-Card" text, since timestamp DEFAULT \'2024-02-03 04:05:06.7\', vip boolean, score numeric(5, 2)';
  const changeAll = (what: string) => bench.alter(['workspaces', 'status_options', 'contacts', 'quotes'], what);
  afterEach(() => changeAll('DROP "Loyalty-Card", DROP since, DROP vip, DROP score'));

  it('are kept, whatever they are called, in their output form', async () => {
    await changeAll(`ADD ${odd.replaceAll(', ', ', ADD ').replace('(5, ADD 2)', '(5, 2)')}`);
    const given = { 'Loyalty-Card': ' ', vip: true, score: '1.50' };
    const kept = JSON.stringify({ 'Loyalty-Card': ' ', since: '2024-02-03 04:05:06.7', vip: 't', score: '1.50' });
    await bench.legacy('workspaces', { id: 'w', name: 'W', ...given });
    await bench.projected('tenants', { id: 'w', tenant_id: 'w', name: 'W', settings: '{}', source_metadata: kept });
    await bench.legacy('contacts', { id: C1, ...given });
    await projectContact(C1);
    for (const [name, value] of Object.entries(JSON.parse(kept) as Record<string, string>))
      await bench.projected('lead_custom_fields', {
        id: idOf(`field:${leadOf(C1)}|contact.${name}`),
        tenant_id: 'unassigned',
        lead_id: leadOf(C1),
        field_name: `contact.${name}`,
        field_value: value,
        field_type: 'text',
      });
    await bench.legacy('quotes', { id: idAt(9), status: 'draft', ...given });
    const customer_id = idOf(`customer:unassigned|q:${idAt(9)}`);
    const customer = { id: customer_id, tenant_id: 'unassigned', customer_key: `q:${idAt(9)}` };
    await bench.projected('customers', customer);
    const quote = { id: idAt(9), tenant_id: 'unassigned', customer_id, status: 'draft', source_metadata: kept };
    await bench.projected('quotes_new', quote);
    expect(await bench.differences()).toEqual([]);
  });
});

describe('the do-not-call list', () => {
  const T0 = '2024-01-01 00:00:00+00';
  const LATER = '2024-04-01 00:00:00+00';
  const entry = (identity: string, identity_kind: string, more = {}) =>
    bench.projected('dnc_list', {
      id: idOf(`dnc:unassigned|${identity}`),
      tenant_id: 'unassigned',
      identity,
      identity_kind,
      ...more,
    });

  it('knows people by E.164, else by digits, else by email, and merges them', async () => {
    await bench.legacy('contacts', { id: C1, phone_number: '212-555-2723', opted_out: true });
    await bench.legacy('contacts', { id: C2, phone_number: '2125552723', opted_out: false, updated_at: LATER });
    await bench.legacy('contacts', { id: C3, phone_number: '(0)12 x7', email: 'a@b.c', opted_out: true });
    await bench.legacy('contacts', { id: idAt(4), phone_number: 'none', email: ' A@B.C ', opted_out: true });
    await bench.legacy('contacts', { id: idAt(5), phone_number: ' ', email: ' ', opted_out: true });
    await bench.legacy('contacts', {
      id: idAt(6),
      phone_number: '+1 212 555 2723',
      opted_out: true,
      created_at: LATER,
      updated_at: LATER,
    });
    await bench.legacy('contacts', {
      id: idAt(7),
      phone_number: '212 555 2723',
      opted_out: true,
      opted_out_at: T0,
      created_at: T0,
    });
    const e164 = { phone_e164: '+12125552723' };
    const phone = { phone: '+12125552723' };
    await projectContact(C1, { phone_number: '212-555-2723', opted_out: true, ...e164 }, phone);
    await projectContact(
      C2,
      { phone_number: '2125552723', updated_at: LATER, ...e164 },
      { updated_at: LATER, ...phone },
    );
    await projectContact(C3, { phone_number: '(0)12 x7', email: 'a@b.c', opted_out: true });
    await projectContact(idAt(4), { phone_number: 'none', email: ' A@B.C ', opted_out: true });
    await projectContact(idAt(5), { phone_number: ' ', email: ' ', opted_out: true });
    const times = { created_at: LATER, updated_at: LATER };
    await projectContact(
      idAt(6),
      { phone_number: '+1 212 555 2723', opted_out: true, ...e164, ...times },
      { ...phone, ...times },
    );
    await projectContact(
      idAt(7),
      { phone_number: '212 555 2723', opted_out: true, created_at: T0, ...e164 },
      { ...phone, created_at: T0 },
    );
    await bench.projected('lead_custom_fields', {
      id: idOf(`field:${leadOf(idAt(7))}|contact.opted_out_at`),
      tenant_id: 'unassigned',
      lead_id: leadOf(idAt(7)),
      field_name: 'contact.opted_out_at',
      field_value: T0,
      field_type: 'date',
      created_at: T0,
    });
    await entry('+12125552723', 'phone', { opted_out_at: T0, created_at: T0, updated_at: LATER });
    await entry('0127', 'digits');
    await entry('a@b.c', 'email');
    const known = ['212-555-2723', '2125552723', '+1 212 555 2723', '212 555 2723'].map(
      (raw) => [raw, '+12125552723'] as const,
    );
    expect(await bench.differences(Object.fromEntries(known))).toEqual([]);
  });

  it('accepts an entry that a past contribution explains, and no other', async () => {
    await entry('12', 'digits');
    await entry('34', 'digits');
    await bench.pastOptOut(idOf('dnc:unassigned|12'));
    expect((await bench.differences()).map((d) => [d.table, d.id, d.kind])).toEqual([
      ['dnc_list', idOf('dnc:unassigned|34'), 'extra'],
    ]);
  });

  it('accepts that a past contribution widens the times of an entry, and does not accept that it narrows them', async () => {
    for (const [contact, digits] of [
      [C1, '12'],
      [C2, '34'],
    ] as const) {
      await bench.legacy('contacts', { id: contact, phone_number: digits, opted_out: true });
      await projectContact(contact, { phone_number: digits, opted_out: true });
      await bench.pastOptOut(idOf(`dnc:unassigned|${digits}`));
    }
    await entry('12', 'digits', { created_at: T0, updated_at: LATER, opted_out_at: T0 });
    await entry('34', 'digits', { updated_at: T0 });
    expect((await bench.differences()).map((d) => [d.id, d.column])).toEqual([
      [idOf('dnc:unassigned|34'), 'updated_at'],
    ]);
  });
});
