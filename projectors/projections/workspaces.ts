import { defineProjection } from '../projection.ts';
import { cellOf, copyOf, toTenantId } from './cell.ts';

const copied = ['id', 'name', 'plan', 'settings', 'created_at', 'updated_at'];

/** workspaces → tenants. */
export const workspaces = defineProjection({
  name: 'workspaces',
  version: '1',
  source: 'workspaces',
  tenant: { column: 'id' },
  requires: [...copied, 'country'],
  owned: [
    {
      table: 'tenants',
      columns: ['id', 'tenant_id', 'name', 'plan', 'country', 'settings', 'created_at', 'updated_at'],
      retract: 'soft-delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
  ],
  aggregates: [],
  map: (row) => ({
    rows: {
      tenants: [
        {
          ...copyOf(row, copied),
          tenant_id: toTenantId(row.id),
          country: cellOf(row, 'country')?.replace(/ +$/, '') ?? null,
        },
      ],
    },
    contributions: [],
  }),
});
