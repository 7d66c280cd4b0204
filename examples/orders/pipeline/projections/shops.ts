import { copyOf, defineProjection, toOthers, toTenantId } from 'crosswalk';

const copied = ['id', 'name', 'settings', 'opened_at'];

/** shops → shops, the tenants. */
export const shops = defineProjection({
  name: 'shops',
  version: '1',
  source: 'shops',
  tenant: { column: 'id' },
  requires: ['id'],
  reads: copied,
  owned: [
    {
      table: 'shops',
      columns: ['id', 'tenant_id', 'source_metadata', ...copied.slice(1)],
      retract: 'soft-delete',
      scope: { column: 'id', of: (key) => key },
    },
  ],
  aggregates: [],
  map: (row) => ({
    rows: {
      shops: [
        {
          ...copyOf(row, copied),
          tenant_id: toTenantId(row.id),
          source_metadata: toOthers(row, (column) => copied.includes(column)),
        },
      ],
    },
    contributions: [],
  }),
});
