import { defineProjection } from '../../../projectors/projection.ts';
import { toTenantId } from '../../../projectors/values/cell.ts';
import { Rejects, rejectsTarget } from '../../../projectors/values/rejects.ts';
import type { TenantSettings } from '../tenants.ts';
import { toE164 } from '../values/phone.ts';
import { leadColumns, leadsAggregate, toLeadContribution } from './leads/lead-fold.ts';

/** leads → leads, rejects. The fold adds conversions recorded by clients. */
export const leads = defineProjection<TenantSettings>({
  name: 'leads',
  version: '1',
  source: 'leads',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'workspace_id', 'client_id', 'status'],
  reads: leadColumns,
  owned: [rejectsTarget],
  aggregates: [leadsAggregate],
  map: (row, tenants) => {
    const tenantId = toTenantId(row.workspace_id);
    const rejects = new Rejects('leads', row.id ?? '', tenantId);
    const phone = toE164(row.phone, tenants(tenantId).country);
    const contribution = toLeadContribution(row, phone, rejects);
    return { rows: { rejects: rejects.rows }, contributions: [contribution] };
  },
});
