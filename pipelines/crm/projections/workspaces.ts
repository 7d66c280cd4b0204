import { defineProjection } from '../../../projectors/projection.ts';
import { cellOf, copyOf, toOthers, toTenantId } from '../../../projectors/values/cell.ts';

const copied = ['id', 'name', 'plan', 'settings', 'created_at', 'updated_at'];
const taken: ReadonlySet<string> = new Set([...copied, 'country']);

/** workspaces → tenants. */
export const workspaces = defineProjection({
  name: 'workspaces',
  version: '2',
  source: 'workspaces',
  tenant: { column: 'id' },
  requires: ['id'],
  reads: [...taken],
  owned: [
    {
      table: 'tenants',
      columns: [
        'id',
        'tenant_id',
        'name',
        'plan',
        'country',
        'settings',
        'source_metadata',
        'created_at',
        'updated_at',
      ],
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
          source_metadata: toOthers(row, (column) => taken.has(column)),
          country: cellOf(row, 'country')?.replace(/ +$/, '') ?? null,
        },
      ],
    },
    contributions: [],
  }),
});
