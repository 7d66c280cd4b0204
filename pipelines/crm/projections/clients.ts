import { defineProjection } from '../../../projectors/projection.ts';
import { cellOf, copyOf, toOthers, toTenantId } from '../../../projectors/values/cell.ts';
import type { TenantSettings } from '../tenants.ts';
import { toE164 } from '../values/phone.ts';
import { leadsAggregate, toConversionContributions } from './leads/lead-fold.ts';

const copied = ['id', 'workspace_id', 'name', 'email', 'converted_from_lead_id', 'created_at', 'updated_at'];
const taken: ReadonlySet<string> = new Set([...copied, 'phone']);

/** clients → customers, and the conversions of leads that they record. */
export const clients = defineProjection<TenantSettings>({
  name: 'clients',
  version: '1',
  source: 'clients',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'workspace_id', 'phone', 'converted_from_lead_id'],
  reads: [...taken],
  owned: [
    {
      table: 'customers',
      columns: [
        ...['id', 'tenant_id', 'customer_key', 'phone_raw', 'phone_e164', 'source_metadata'],
        ...copied.filter((column) => column !== 'id'),
      ],
      retract: 'soft-delete',
      blank: ['company_id', 'superseded_by'],
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
  ],
  aggregates: [leadsAggregate],
  map: (row, tenants) => {
    const tenantId = toTenantId(row.workspace_id);
    const customer = {
      ...copyOf(row, copied),
      tenant_id: tenantId,
      customer_key: `c:${row.id ?? ''}`,
      phone_raw: cellOf(row, 'phone'),
      phone_e164: toE164(row.phone, tenants(tenantId).country),
      source_metadata: toOthers(row, (column) => taken.has(column)),
    };
    return { rows: { customers: [customer] }, contributions: toConversionContributions(row) };
  },
});
