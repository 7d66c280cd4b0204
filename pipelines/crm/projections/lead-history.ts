import {
  type Cell,
  defineHistory,
  type History,
  type NewRow,
  type Projection,
  type StateChange,
} from '../../../projectors/projection.ts';
import { cellOf } from '../../../projectors/values/cell.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import type { TenantSettings } from '../tenants.ts';
import { contacts } from './contacts.ts';
import { quotes } from './quotes.ts';

/** Columns that change with every write and carry no information of their own. */
const unaudited = new Set(['id', 'tenant_id', 'created_at', 'updated_at']);

export const targets = [
  {
    table: 'lead_audit_log',
    columns: [
      ...['id', 'tenant_id', 'lead_id', 'action', 'field_name', 'old_value', 'new_value', 'changed_at', 'ordinal'],
      ...['actor', 'ip_address', 'reason'],
    ],
  },
  {
    table: 'lead_status_history',
    columns: ['id', 'tenant_id', 'lead_id', 'from_status', 'to_status', 'changed_at', 'ordinal'],
  },
  {
    table: 'lead_score_history',
    columns: ['id', 'tenant_id', 'lead_id', 'from_score', 'to_score', 'factors', 'changed_at', 'ordinal'],
  },
  {
    table: 'lead_assignments',
    columns: ['id', 'tenant_id', 'lead_id', 'from_owner', 'to_owner', 'assigned_at', 'ordinal'],
  },
] as const satisfies History['targets'];

/** Rows name the lead that a legacy row implies. */
const scopeOf = ({ owned }: Projection): History['scope'] => ({
  column: 'lead_id',
  of: owned.find(({ table }) => table === 'leads')!.scope.of,
});

export function rowsOf({ id, ordinal, before, after, committedAt, context }: StateChange): Record<string, NewRow[]> {
  const lead = after ?? before ?? {};
  const { id: lead_id = null, tenant_id = null } = lead;
  const audited = (field_name: Cell, action: string, old_value: Cell, new_value: Cell): NewRow => ({
    id: uuid5(`audit:${id}|${field_name ?? ''}`),
    ...{ tenant_id, lead_id, action, field_name, old_value, new_value },
    changed_at: committedAt,
    ordinal,
    actor: context?.actor ?? null,
    ip_address: context?.ip ?? null,
    reason: context?.reason ?? null,
  });
  if (after === null) return { lead_audit_log: [audited(null, 'deleted', null, null)] };
  const old = before ?? {};
  const hasChanged = (column: string) => (old[column] ?? null) !== (after[column] ?? null);
  const changed = Object.keys({ ...old, ...after }).filter((column) => !unaudited.has(column) && hasChanged(column));
  const transition = (kind: string, column: string, row: NewRow) =>
    hasChanged(column) ? [{ id: uuid5(`${kind}:${id}`), tenant_id, lead_id, ...row }] : [];
  return {
    lead_audit_log:
      before === null
        ? [audited(null, 'created', null, null)]
        : changed.map((column) => audited(column, 'changed', old[column] ?? null, after[column] ?? null)),
    lead_status_history: transition('status', 'status', {
      ...{ from_status: old.status ?? null, to_status: after.status ?? null },
      changed_at: committedAt,
      ordinal,
    }),
    lead_score_history: transition('score', 'lead_score', {
      ...{ from_score: old.lead_score ?? null, to_score: after.lead_score ?? null },
      factors: after.lead_score_factors ?? null,
      changed_at: committedAt,
      ordinal,
    }),
    lead_assignments: transition('assignment', 'owner_id', {
      ...{ from_owner: old.owner_id ?? null, to_owner: after.owner_id ?? null },
      assigned_at: committedAt,
      ordinal,
    }),
  };
}

/** contacts → lead_audit_log, lead_status_history, lead_score_history, lead_assignments: history of the leads that contacts imply, and of their owners. */
export const contactHistory = defineHistory<TenantSettings>({
  name: 'contact_history',
  version: '3',
  source: 'contacts',
  requires: contacts.requires,
  reads: contacts.reads,
  history: {
    targets,
    scope: scopeOf(contacts),
    rowsOf,
    stateOf: (row, tenants) => {
      const lead = contacts.map(row, tenants).rows.leads?.[0];
      return lead === undefined ? null : { ...lead, owner_id: cellOf(row, 'owner_id') };
    },
  },
});

/** quotes → lead_audit_log, lead_status_history: history of the leads that quotes imply. */
export const quoteHistory = defineHistory<TenantSettings>({
  name: 'quote_history',
  version: '3',
  source: 'quotes',
  requires: quotes.requires,
  reads: quotes.reads,
  history: {
    targets,
    scope: scopeOf(quotes),
    rowsOf,
    stateOf: (row, tenants) => quotes.map(row, tenants).rows.leads?.[0] ?? null,
  },
});
