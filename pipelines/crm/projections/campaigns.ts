import { defineProjection } from '../../../projectors/projection.ts';
import { cellOf, copyOf, toOthers, toTenantId } from '../../../projectors/values/cell.ts';
import { Rejects, rejectsTarget, toFiniteNumber } from '../../../projectors/values/rejects.ts';
import { toTellerKey, toTenantData } from '../values/told-tenant.ts';
import { subscribersAggregate } from './campaigns/subscriber-fold.ts';

const copied = ['id', 'workspace_id', 'name', 'channel', 'status', 'starts_at', 'ends_at', 'created_at', 'updated_at'];
const read = [...copied, 'budget'];
const taken: ReadonlySet<string> = new Set(read);

/** campaigns → campaigns, rejects, and the tenant of campaign_subscribers. */
export const campaigns = defineProjection({
  name: 'campaigns',
  version: '1',
  source: 'campaigns',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'workspace_id', 'budget'],
  reads: read,
  owned: [
    {
      table: 'campaigns',
      columns: ['id', 'tenant_id', 'budget', 'source_metadata', ...copied.slice(1)],
      retract: 'soft-delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
    rejectsTarget,
  ],
  aggregates: [subscribersAggregate],
  map: (row) => {
    const id = cellOf(row, 'id') ?? '';
    const tenantId = toTenantId(row.workspace_id);
    const rejects = new Rejects('campaigns', id, tenantId);
    const campaign = {
      ...copyOf(row, copied),
      tenant_id: tenantId,
      budget: toFiniteNumber(row, 'budget', rejects),
      source_metadata: toOthers(row, (column) => taken.has(column)),
    };
    return {
      rows: { campaigns: [campaign], rejects: rejects.rows },
      contributions: [
        { aggregate: subscribersAggregate.name, mergeKey: toTellerKey(id), data: toTenantData(row.workspace_id) },
      ],
    };
  },
});
