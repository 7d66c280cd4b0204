import { defineProjection } from '../../../projectors/projection.ts';
import { copyOf, toOthers, toTenantId } from '../../../projectors/values/cell.ts';

const copied = [
  'id',
  'workspace_id',
  'category',
  'name',
  'color',
  'sort_order',
  'is_default',
  'is_active',
  'created_at',
  'updated_at',
];
const taken: ReadonlySet<string> = new Set(copied);

/** status_options → status_options. */
export const statusOptions = defineProjection({
  name: 'status_options',
  version: '2',
  source: 'status_options',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'workspace_id'],
  reads: copied,
  owned: [
    {
      table: 'status_options',
      columns: ['id', 'tenant_id', 'source_metadata', ...copied.slice(1)],
      retract: 'soft-delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
  ],
  aggregates: [],
  map: (row) => ({
    rows: {
      status_options: [
        {
          ...copyOf(row, copied),
          tenant_id: toTenantId(row.workspace_id),
          source_metadata: toOthers(row, (column) => taken.has(column)),
        },
      ],
    },
    contributions: [],
  }),
});
