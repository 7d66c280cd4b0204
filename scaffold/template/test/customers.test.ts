import { describe, test } from 'node:test';
import { checkProjection, gone, remove, spec, update } from 'crosswalk/testkit';
import pipeline from '../pipeline/pipeline.ts';
import { customers } from '../pipeline/projections/customers.ts';

const ann = { id: '1', tenant_id: 't1', name: 'Ann', email: ' Ann@Example.com', created_at: '2026-01-02 03:04:05+00' };

describe('customers', () => {
  test('have their address in one form', () => {
    spec(pipeline)
      .given({ customers: [ann] })
      .then({ customers: [{ id: '1', tenant_id: 't1', name: 'Ann', email: 'ann@example.com' }] })
      .rejects([]);
  });

  test('have none where theirs is no address, which is kept', () => {
    spec(pipeline)
      .given({ customers: [ann] })
      .when(update('customers', '1', { email: 'ask her' }))
      .then({ customers: [{ id: '1', email: null }] })
      .rejects([{ path: 'email', raw_value: 'ask her', reason: 'no e-mail address' }]);
  });

  test('are soft-deleted with their legacy row', () => {
    spec(pipeline)
      .given({ customers: [ann] })
      .when(remove('customers', '1'))
      .then({ customers: [gone({ id: '1' })] });
  });

  test('keep what every projection promises, whatever the legacy rows are', () => {
    checkProjection(customers, { examples: { customers: [ann] } });
  });
});
