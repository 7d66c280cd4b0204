import type { Cell, LegacyRow, NewRow, OwnedTarget } from '../../../../projectors/projection.ts';
import { cellOf, toOthers, toTenantId } from '../../../../projectors/values/cell.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';

/** How rows of one legacy table become activities. Each row belongs to a contact. */
export interface ActivitySource {
  /** The legacy table. */
  readonly table: string;
  /** `activity_type`, and the name of the legacy id in the data: `<type>_id`. */
  readonly type: string;
  /** The column with the time. */
  readonly at: string;
  /** The column that becomes the notes. */
  readonly notes?: string;
}

/** Rows of lead_activities that one legacy row implies. */
export function activityTarget({ table }: ActivitySource): OwnedTarget {
  return {
    table: 'lead_activities',
    columns: [
      ...['id', 'tenant_id', 'lead_id', 'activity_type', 'activity_data', 'performed_by', 'performed_at', 'notes'],
    ],
    retract: 'delete',
    scope: { column: 'id', of: (legacyKey) => toActivityId(table, legacyKey) },
  };
}

/** The activity of a legacy row. `leftOut`: columns omitted from its data. */
export function toActivity(row: LegacyRow, source: ActivitySource, leftOut: readonly string[] = []): NewRow {
  const { table, type, at, notes } = source;
  const taken = new Set(['id', 'contact_id', at, ...(notes === undefined ? [] : [notes]), ...leftOut]);
  return {
    id: toActivityId(table, row.id ?? ''),
    tenant_id: toTenantId(row.workspace_id),
    lead_id: toLeadOfContact(cellOf(row, 'contact_id')),
    activity_type: type,
    activity_data: toOthers({ [`${type}_id`]: cellOf(row, 'id'), ...row }, (column) => taken.has(column)),
    performed_by: null,
    performed_at: cellOf(row, at),
    notes: notes === undefined ? null : cellOf(row, notes),
  };
}

function toActivityId(table: string, legacyKey: string): string {
  return uuid5(`activity:${table}:${legacyKey}`);
}

/** The lead that a contact implies. */
function toLeadOfContact(contactId: Cell): Cell {
  return contactId === null ? null : uuid5(`lead:contact:${contactId}`);
}
