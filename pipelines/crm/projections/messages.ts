import { defineProjection } from '../../../projectors/projection.ts';
import { copyOf, toOthers, toTenantId } from '../../../projectors/values/cell.ts';
import type { TenantSettings } from '../tenants.ts';
import { activityTarget, toActivity } from './activities/lead-activity.ts';

const source = { table: 'messages', type: 'message', at: 'sent_at' };
const copied = [
  ...['id', 'contact_id', 'workspace_id', 'direction', 'channel', 'body', 'media', 'status', 'external_id'],
  ...['sent_at', 'delivered_at', 'read_at'],
];
const taken: ReadonlySet<string> = new Set(copied);

/** messages → messages, lead_activities. */
export const messages = defineProjection<TenantSettings>({
  name: 'messages',
  version: '1',
  source: 'messages',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'contact_id', 'workspace_id'],
  reads: copied,
  owned: [
    {
      table: 'messages',
      columns: ['id', 'tenant_id', 'user_id', 'chatbot_id', 'source_metadata', ...copied.slice(1)],
      retract: 'soft-delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
    activityTarget(source),
  ],
  aggregates: [],
  map: (row, tenants) => {
    const tenantId = toTenantId(row.workspace_id);
    const { userId, chatbotId } = tenants(tenantId);
    const message = {
      ...copyOf(row, copied),
      ...{ tenant_id: tenantId, user_id: userId, chatbot_id: chatbotId },
      source_metadata: toOthers(row, (column) => taken.has(column)),
    };
    return {
      rows: { messages: [message], lead_activities: [toActivity(row, source, ['body', 'media'])] },
      contributions: [],
    };
  },
});
