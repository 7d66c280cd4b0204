// Tables of the application alone: no legacy table fills them, no projection writes them.

interface OwnTable {
  /** From which on the application sees it; docs/application.md. */
  readonly stage: number;
  /** What the application may do with rows of its tenant, beside reading them. */
  readonly may: readonly ('INSERT' | 'UPDATE' | 'DELETE')[];
  /** A row of it, beside id and tenant: `$row` stands for the id of the lead, the contact and the sequence of the same tenant, `$account` for its account and chatbot. */
  readonly columns: string;
  readonly values: string;
}

const ALL = ['INSERT', 'UPDATE', 'DELETE'] as const;
const ADD = ['INSERT'] as const;

/** Those first that others refer to. */
export const OWN_TABLES: Readonly<Record<string, OwnTable>> = {
  system_config: { stage: 0, may: ALL, columns: 'key, value', values: `gen_random_uuid()::text, 'true'` },
  lead_source_costs: {
    stage: 1,
    may: ALL,
    columns: 'lead_source, month, cost',
    values: `gen_random_uuid()::text, '2026-01-01', 10`,
  },
  nurture_sequences: {
    ...{ stage: 1, may: ALL, columns: 'name, steps, channels' },
    values: `gen_random_uuid()::text, '[{"day": 0}]', '{email,sms}'`,
  },
  lead_sequence_enrollments: {
    stage: 1,
    may: ALL,
    columns: 'lead_id, sequence_id, status',
    values: `'$row', '$row', 'stopped'`,
  },
  segments: { stage: 1, may: ALL, columns: 'name, filter, user_id', values: `gen_random_uuid()::text, '{}', $account` },
  consents: {
    stage: 1,
    may: ADD,
    columns: 'contact_id, channel, is_given, method',
    values: `'$row', 'email', true, 'form'`,
  },
  budget_transactions: { stage: 1, may: ADD, columns: 'kind, amount_usd', values: `'deposit', 5` },
  actions: {
    ...{ stage: 1, may: ALL, columns: 'user_id, chatbot_id, contact_id, lead_id, action_type, title' },
    values: `$account, $account, '$row', '$row', 'approve', 'x'`,
  },
  products: { stage: 1, may: ALL, columns: 'name, price', values: `'x', 1.50` },
  usage_tracking: {
    ...{ stage: 1, may: ALL, columns: 'user_id, tracking_date' },
    values: `$account, date '2026-01-01' + (SELECT count(*)::int FROM crm.usage_tracking)`,
  },
  monthly_usage_summary: {
    ...{ stage: 1, may: ALL, columns: 'user_id, month, messages_sent, messages_received, campaigns_sent, api_calls' },
    values: `$account, (date '2026-01-01' + make_interval(months => (SELECT count(*)::int FROM crm.monthly_usage_summary)))::date, 1, 1, 1, 1`,
  },
  api_keys: {
    ...{ stage: 1, may: ALL, columns: 'user_id, name, key_hash, key_start' },
    values: `$account, 'x', encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 'cw_'`,
  },
  webhooks: {
    stage: 1,
    may: ALL,
    columns: 'user_id, name, url, events',
    values: `$account, 'x', 'https://example.com/a', '{lead.created}'`,
  },
  bot_knowledge_base: { stage: 1, may: ALL, columns: 'chatbot_id, question, answer', values: `$account, 'x', 'y'` },
  conversation_instructions: {
    stage: 1,
    may: ALL,
    columns: 'chatbot_id, name, instructions',
    values: `$account, 'x', 'y'`,
  },
  analytics_events: { stage: 1, may: ADD, columns: 'user_id, event_type', values: `$account, 'x'` },
  lead_audit_archive: { stage: 2, may: [], columns: 'lead_id, changed_at, entry', values: `'$row', now(), '{}'` },
};

/** The statement that adds a row of `table` for a tenant. */
export function insertOwn(
  table: string,
  { id, tenant, row, account }: { id: string; tenant: string; row: string; account: number },
): string {
  const { columns, values } = OWN_TABLES[table]!;
  const filled = values.replaceAll('$row', row).replaceAll('$account', String(account));
  return `INSERT INTO crm.${table} (id, tenant_id, ${columns}) VALUES ('${id}', '${tenant}', ${filled})`;
}
