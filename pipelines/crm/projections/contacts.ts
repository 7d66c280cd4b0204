import { defineProjection, type LegacyRow, type NewRow } from '../../../projectors/projection.ts';
import { cellOf, copyOf, filledCellOf, toTenantId } from '../../../projectors/values/cell.ts';
import { Rejects, rejectsTarget, toFiniteNumber } from '../../../projectors/values/rejects.ts';
import { toStatusText } from '../../../projectors/values/text.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import type { TenantSettings } from '../tenants.ts';
import { toE164 } from '../values/phone.ts';
import { fieldColumns, toCustomFields } from './contacts/custom-fields.ts';
import { dncAggregate, toDncIdentity, toDncKey } from './contacts/dnc-fold.ts';
import { toLeadScore, toLeadStatus } from './contacts/lead-status.ts';

const copiedToContact = [
  'workspace_id',
  'firstname',
  'lastname',
  'name',
  'phone_number',
  'email',
  'market',
  'tags',
  'sentiment',
  'thread_id',
  'owner_id',
  'opted_out',
  'created_at',
  'updated_at',
];
const copiedToLead = [
  'workspace_id',
  'lead_status_id',
  'lead_source',
  'sub_source',
  'campaign_id',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'expected_close_date',
  'lead_score_factors',
  'notes',
  'tags',
  'source_metadata',
  'created_at',
  'updated_at',
];
const read = [
  'id',
  'conversation_status',
  'lead_status',
  'product',
  'priority',
  'qualification_status',
  'lead_score',
  'estimated_value',
  'custom_fields',
];
/** Columns copied to contacts and leads. Every other column of the row becomes a custom field. */
const taken: ReadonlySet<string> = new Set([...read, ...copiedToContact, ...copiedToLead]);

/** contacts → contacts, leads, lead_custom_fields, dnc_list, rejects. */
export const contacts = defineProjection<TenantSettings>({
  name: 'contacts',
  version: '2',
  source: 'contacts',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'workspace_id', 'phone_number', 'email', 'opted_out'],
  reads: [...taken, ...fieldColumns],
  owned: [
    {
      table: 'contacts',
      columns: ['id', 'tenant_id', 'user_id', 'chatbot_id', 'phone_e164', 'conversation_status', ...copiedToContact],
      retract: 'soft-delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
    {
      table: 'leads',
      columns: [
        ...['id', 'tenant_id', 'contact_id', 'status', 'phone', 'product_interest', 'priority'],
        ...['qualification_status', 'lead_score', 'estimated_value', 'is_converted'],
        ...copiedToLead,
      ],
      retract: 'soft-delete',
      blank: [
        ...['customer_id', 'company_id', 'description', 'name', 'email', 'phone_raw', 'address'],
        ...['scheduled_visit_at', 'converted_to_client_id', 'conversion_date'],
      ],
      scope: { column: 'id', of: toLeadId },
    },
    {
      table: 'lead_custom_fields',
      columns: ['id', 'tenant_id', 'lead_id', 'field_name', 'field_value', 'field_type', 'created_at'],
      retract: 'delete',
      scope: { column: 'lead_id', of: toLeadId },
    },
    rejectsTarget,
  ],
  aggregates: [dncAggregate],
  map: (row, tenants) => {
    const id = row.id ?? '';
    const tenantId = toTenantId(row.workspace_id);
    const settings = tenants(tenantId);
    const phone = toE164(row.phone_number, settings.country);
    const rejects = new Rejects('contacts', id, tenantId);
    return {
      rows: {
        contacts: [toContact(row, tenantId, settings, phone)],
        leads: [toLead(row, tenantId, phone, rejects)],
        lead_custom_fields: toCustomFields(row, taken, toLeadId(id), tenantId, rejects),
        rejects: rejects.rows,
      },
      contributions: toDncContributions(row, tenantId, phone),
    };
  },
});

function toLeadId(contactId: string): string {
  return uuid5(`lead:contact:${contactId}`);
}

function toContact(row: LegacyRow, tenantId: string, settings: TenantSettings, phone: string | null): NewRow {
  return {
    ...copyOf(row, copiedToContact),
    id: cellOf(row, 'id'),
    tenant_id: tenantId,
    user_id: settings.userId,
    chatbot_id: settings.chatbotId,
    phone_e164: phone,
    conversation_status: toStatusText(row.conversation_status),
  };
}

function toLead(row: LegacyRow, tenantId: string, phone: string | null, rejects: Rejects): NewRow {
  const status = toLeadStatus(row, rejects);
  return {
    ...copyOf(row, copiedToLead),
    id: toLeadId(row.id ?? ''),
    tenant_id: tenantId,
    contact_id: cellOf(row, 'id'),
    status,
    phone,
    product_interest: cellOf(row, 'product'),
    priority: filledCellOf(row, 'priority') ?? 'medium',
    qualification_status: toStatusText(row.qualification_status) ?? 'unqualified',
    lead_score: toLeadScore(row, rejects),
    estimated_value: toFiniteNumber(row, 'estimated_value', rejects),
    is_converted: status === 'converted' ? 't' : 'f',
  };
}

function toDncContributions(row: LegacyRow, tenantId: string, phone: string | null) {
  const found = toDncIdentity(phone, cellOf(row, 'phone_number'), cellOf(row, 'email'));
  if (found === null) return [];
  const data = {
    ...copyOf(row, ['opted_out', 'opted_out_at', 'created_at', 'updated_at']),
    tenant_id: tenantId,
    identity: found.identity,
    identity_kind: found.kind,
  };
  return [{ aggregate: dncAggregate.name, mergeKey: toDncKey(tenantId, found.identity), data }];
}
