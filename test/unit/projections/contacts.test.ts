import { describe, expect, it } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { expectedUuid } from '../values/expected-uuid.ts';
import { contactId, mapContact, only, rejectsOf, tenants } from './mapped.ts';

const at = '2024-05-01 10:00:00.123456+00';
const leadId = expectedUuid(`lead:contact:${contactId}`);

describe('contacts', () => {
  it('take the contact’s columns', () => {
    const same = {
      ...{ workspace_id: 'berlin', firstname: ' A', lastname: '', name: 'A B', phone_number: '030 123467', email: 'E' },
      ...{ market: 'm', tags: '{a,"b c"}', sentiment: 's', thread_id: 't', owner_id: 'o', opted_out: 't' },
      ...{ created_at: at, updated_at: 'infinity' },
    };
    expect(only(mapContact({ ...same, conversation_status: ' Open\t' }), 'contacts')).toEqual({
      ...{ ...same, id: contactId, tenant_id: 'berlin', user_id: '5', chatbot_id: '6' },
      ...{ phone_e164: '+4930123467', conversation_status: 'open' },
    });
  });

  it.each([null, '', ' \u00a0'])('of workspace %j are unassigned', (workspace) => {
    const implied = mapContact({ workspace_id: workspace });
    expect(only(implied, 'contacts')).toMatchObject({ tenant_id: 'unassigned', workspace_id: workspace, user_id: '1' });
    expect(only(implied, 'leads')).toMatchObject({ tenant_id: 'unassigned', workspace_id: workspace });
  });

  it('keep the workspace as it is spelled', () => {
    expect(only(mapContact({ workspace_id: ' acme' }), 'contacts').tenant_id).toBe(' acme');
  });
});

describe('leads', () => {
  it('take the contact’s columns', () => {
    const same = {
      ...{ workspace_id: 'acme', lead_status_id: '7', lead_source: 'x', sub_source: 'y', campaign_id: 'c' },
      ...{ utm_source: '1', utm_medium: '2', utm_campaign: '3', expected_close_date: '2024-01-01' },
      ...{ lead_score_factors: '{"a": 1}', notes: ' n', tags: '{}', source_metadata: '[]' },
      ...{ created_at: at, updated_at: '-infinity' },
    };
    const read = { lead_status: ' Converted', product: 'p', priority: ' High', qualification_status: ' Hot ' };
    const numbers = { lead_score: '100', estimated_value: '12.50', phone_number: '(415) 555-2732' };
    expect(only(mapContact({ ...same, ...read, ...numbers }), 'leads')).toEqual({
      ...{ ...same, id: leadId, tenant_id: 'acme', contact_id: contactId, status: 'converted', phone: '+14155552732' },
      ...{ product_interest: 'p', priority: ' High', qualification_status: 'hot', lead_score: '100' },
      ...{ estimated_value: '12.50', is_converted: 't' },
    });
  });

  it.each(['new', 'won', 'convertido', null])('of status %j are not converted', (lead_status) => {
    expect(only(mapContact({ lead_status }), 'leads').is_converted).toBe('f');
  });

  it.each([null, ' '])('have defaults for %j', (cell) => {
    expect(only(mapContact({ priority: cell, qualification_status: cell, lead_status: cell }), 'leads')).toMatchObject({
      ...{ priority: 'medium', qualification_status: 'unqualified', status: null },
    });
  });

  it.each([
    ['lead_status', ' Hot ', 'status', 'unknown lead status'],
    ['lead_score', '-1', 'lead_score', 'out of range 0 to 100'],
    ['lead_score', '101', 'lead_score', 'out of range 0 to 100'],
    ['estimated_value', 'NaN', 'estimated_value', 'not a finite number'],
    ['estimated_value', '-Infinity', 'estimated_value', 'not a finite number'],
  ])('reject %s %s', (column, cell, target, reason) => {
    const implied = mapContact({ [column]: cell });
    expect(only(implied, 'leads')[target]).toBeNull();
    expect(implied.rows.rejects).toEqual([
      {
        ...{ id: expectedUuid(`reject:contacts|${contactId}|${column}`), tenant_id: 'acme' },
        ...{ path: column, raw_value: cell, reason },
      },
    ]);
  });

  it.each(['0', '100'])('may score %s', (score) => {
    expect(only(mapContact({ lead_score: score }), 'leads').lead_score).toBe(score);
    expect(rejectsOf(mapContact({ lead_score: score }))).toEqual([]);
  });
});

describe('lead_custom_fields', () => {
  const fieldsOf = (cells: Record<string, string | null>) =>
    mapContact(cells).rows.lead_custom_fields!.map((row) => [row.field_name, row.field_value, row.field_type]);

  it('of custom_fields are typed', () => {
    const json =
      '{"t": " x", "n": 1.50, "b": false, "o": {"y": [1], "x": 2}, "a": [], "z": null, "10": "", "__proto__": "p"}';
    expect(fieldsOf({ custom_fields: json })).toEqual([
      ['custom.t', ' x', 'text'],
      ['custom.n', '1.50', 'number'],
      ['custom.b', 'false', 'boolean'],
      ['custom.o', '{"x": 2, "y": [1]}', 'json'],
      ['custom.a', '[]', 'json'],
      ['custom.z', null, 'json'],
      ['custom.10', '', 'text'],
      ['custom.__proto__', 'p', 'text'],
    ]);
  });

  it('belong to the lead', () => {
    expect(only(mapContact({ city: '', created_at: at }), 'lead_custom_fields')).toEqual({
      ...{ id: expectedUuid(`field:${leadId}|contact.city`), tenant_id: 'acme', lead_id: leadId },
      ...{ field_name: 'contact.city', field_value: '', field_type: 'text', created_at: at },
    });
  });

  it.each([
    ...['utm_term', 'utm_content', 'company', 'job_title', 'address', 'city', 'state', 'postal_code', 'country'],
    ...[
      'timezone',
      'language',
      'preferred_channel',
      'whatsapp_id',
      'instagram_handle',
      'website',
      'avatar_url',
      'added_yesterday',
    ],
  ])('of any other column, such as %s', (column) =>
    expect(fieldsOf({ [column]: ' x' })).toEqual([[`contact.${column}`, ' x', 'text']]),
  );

  it.each([
    ['opted_out_at', at, at, 'date'],
    ['birthday', '2000-02-29', '2000-02-29', 'date'],
    ['last_message_at', 'infinity', 'infinity', 'date'],
    ['last_contacted_at', at, at, 'date'],
    ['assigned_at', at, at, 'date'],
    ['unread_count', '0', '0', 'number'],
    ['is_blocked', 't', 'true', 'boolean'],
    ['is_blocked', 'f', 'false', 'boolean'],
  ])('of column %s %s', (column, cell, value, type) =>
    expect(fieldsOf({ [column]: cell })).toEqual([[`contact.${column}`, value, type]]),
  );

  it.each([null, 'null', '{}'])('of %s are none', (json) => {
    expect(fieldsOf({ custom_fields: json })).toEqual([]);
    expect(rejectsOf(mapContact({ custom_fields: json }))).toEqual([]);
  });

  it.each([
    ['[{"b":1,"a":2}]', '[{"a": 2, "b": 1}]'],
    ['"a b"', 'a b'],
    ['""', ''],
    ['1.50', '1.50'],
    ['true', 'true'],
  ])('of %s are rejected', (json, rawValue) => {
    expect(fieldsOf({ custom_fields: json })).toEqual([]);
    expect(rejectsOf(mapContact({ custom_fields: json }))).toEqual([['custom_fields', rawValue, 'not an object']]);
  });
});

describe('do-not-call contribution', () => {
  const given = { opted_out: 't', opted_out_at: at, created_at: '2024-01-01 00:00:00+00', updated_at: 'infinity' };

  it.each([
    [{ phone_number: '(415) 555-2732', email: 'a@b.c' }, 'phone', '+14155552732'],
    [{ phone_number: 'ext 12-34 ٣', email: 'a@b.c' }, 'digits', '1234'],
    [{ phone_number: '555-2732' }, 'digits', '5552732'],
    [{ phone_number: 'n/a', email: ' A@B.c\u00a0' }, 'email', 'a@b.c'],
    [{ phone_number: null, email: 'ΣΣ' }, 'email', 'σσ'],
  ])('%j', (cells, kind, identity) => {
    expect(mapContact({ ...given, ...cells }).contributions).toEqual([
      {
        aggregate: 'dnc_list',
        mergeKey: expectedUuid(`dnc:acme|${identity}`),
        data: { ...given, tenant_id: 'acme', identity, identity_kind: kind },
      },
    ]);
  });

  it('is made by those who are opted in, too', () => {
    expect(mapContact({ email: 'x' }).contributions[0]!.data).toMatchObject({ opted_out: 'f', opted_out_at: null });
  });

  it.each([{}, { phone_number: ' ', email: ' ' }, { phone_number: 'none' }])('%j is none', (cells) => {
    expect(mapContact({ ...given, ...cells }).contributions).toEqual([]);
  });
});

it('scopes follow the contact’s key', () => {
  const scopes = contacts.owned.map(({ table, scope }) => [table, scope.column, scope.of(contactId)]);
  expect(scopes).toEqual([
    ['contacts', 'id', contactId],
    ['leads', 'id', leadId],
    ['lead_custom_fields', 'lead_id', leadId],
    ['rejects', 'legacy_key', contactId],
  ]);
  expect(contacts.map({}, tenants).rows.contacts).toHaveLength(1);
});
