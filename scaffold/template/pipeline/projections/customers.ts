import { cellOf, copyOf, defineProjection, has, Rejects, rejectsTarget, toTenantId } from 'crosswalk';
import { isEmail, toEmail } from '../values/email.ts';

const copied = ['id', 'name', 'created_at'];

/** customers → customers: addresses in one form; what is none is kept among the rejects. Raise `version` with every change of `map`. */
export const customers = defineProjection({
  name: 'customers',
  version: '1',
  source: 'customers',
  tenant: { column: 'tenant_id' },
  requires: ['id', 'tenant_id', 'email'],
  reads: [...copied, 'tenant_id', 'email'],
  owned: [
    {
      table: 'customers',
      columns: ['id', 'tenant_id', 'name', 'email', 'created_at'],
      retract: 'soft-delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
    rejectsTarget,
  ],
  aggregates: [],
  map: (row) => {
    const tenantId = toTenantId(row.tenant_id);
    const rejects = new Rejects('customers', row.id ?? '', tenantId);
    const email = cellOf(row, 'email');
    const toValidEmail = () => {
      if (!has(email)) return null;
      return isEmail(email) ? toEmail(email) : rejects.add('email', email, 'no e-mail address');
    };
    return {
      rows: {
        customers: [{ ...copyOf(row, copied), tenant_id: tenantId, email: toValidEmail() }],
        rejects: rejects.rows,
      },
      contributions: [],
    };
  },
});
