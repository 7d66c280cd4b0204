import { expect, test } from 'vitest';
import crm from '../../../pipelines/crm/pipeline.ts';
import { checkProjection, spec, update } from '../../../testkit/testkit.ts';

const seed = Number(process.env.CROSSWALK_SEED ?? Date.now() % 2 ** 31);
const times = { created_at: '2024-01-01 00:00:00+00', updated_at: '2024-02-01 00:00:00+00' };
const contact = {
  id: '0b5f0c3e-9d5c-4c1c-8f5e-2f4b1f0c9a01',
  workspace_id: 'ws',
  email: 'ada@example.org',
  opted_out: 'f',
  ...times,
};
const quote = { id: '0b5f0c3e-9d5c-4c1c-8f5e-2f4b1f0c9a02', company_id: 'ws', email: 'ada@example.org', ...times };
const phone = '415-555-2732';
const lead = { id: '0b5f0c3e-9d5c-4c1c-8f5e-2f4b1f0c9a03', workspace_id: 'ws', ...times };
const client = { id: '0b5f0c3e-9d5c-4c1c-8f5e-2f4b1f0c9a04', converted_from_lead_id: lead.id, phone, ...times };

test(`the shipped projections keep the promises of all projections (seed ${seed})`, () => {
  const examples = {
    contacts: [
      { ...contact, phone_number: phone, opted_out: 't', opted_out_at: '2024-01-03 00:00:00+00', lead_status: 'new' },
      { ...contact, phone_number: '(415) 555-2733', updated_at: '2024-03-01 00:00:00+00', status: 'active' },
    ],
    quotes: [
      {
        ...quote,
        phone,
        customer_name: 'Ada',
        address: '1 Main St',
        status: 'draft',
        quote_number: 'Q-1',
        total: '10.00',
      },
      {
        ...quote,
        phone,
        customer_name: 'cash',
        address: '2 Main St',
        status: 'accepted',
        job_number: 'J-1',
        items: '[{"name": "A", "total": 3}]',
      },
    ],
    leads: [
      { ...lead, status: 'converted', score: '101', client_id: client.id },
      { ...lead, client_id: null, phone },
    ],
    clients: [client, { ...client, id: '0b5f0c3e-9d5c-4c1c-8f5e-2f4b1f0c9a05', created_at: null }],
  };
  expect(() => checkProjection(crm, { examples, seed, runs: 30 })).not.toThrow();
});

test('a specification of a pipeline reads the settings that it pins', () => {
  spec(crm)
    .given({ contacts: [{ ...contact, phone_number: phone }] })
    .when(update('contacts', contact.id, { lead_status: 'purple' }))
    .then({ contacts: [{ tenant_id: 'ws', phone_e164: '+14155552732' }] })
    .rejects([{ path: 'lead_status', raw_value: 'purple', reason: 'unknown lead status' }]);
});
