import type { LegacyCheck } from '../../projectors/pipeline.ts';

/** Whether a validated foreign key of the legacy schema already prevents it. Then no rows are read. */
const isForbidden = (table: string, column: string) =>
  `EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
     WHERE k.conrelid = '${table}'::regclass AND k.contype = 'f' AND k.convalidated AND cardinality(k.conkey) = 1 AND a.attname = '${column}')`;

/** Rows of a table that reference a missing row. */
const orphans = (
  table: string,
  column: string,
  parent: string,
  { what, isFatal }: { what: string; isFatal: boolean },
): LegacyCheck => ({
  name: `${table} name ${what} that is not there`,
  sql: `SELECT CASE WHEN ${isForbidden(table, column)} THEN 0 ELSE (SELECT count(*) FROM ${table} c
     WHERE c.${column} IS NOT NULL AND NOT EXISTS (SELECT FROM ${parent} p WHERE p.id = c.${column})) END AS count`,
  isFatal,
  remedy: isFatal
    ? `Correct ${table}.${column}, or add the ${parent}: such rows would become dead letters.`
    : `They are kept as they are; correct ${table}.${column} where it should count.`,
});

const contact = { what: 'a contact', isFatal: true };

/** Invariants between legacy tables, whose foreign keys may have been dropped. */
export const legacyChecks: readonly LegacyCheck[] = [
  orphans('clients', 'converted_from_lead_id', 'leads', { what: 'a lead', isFatal: false }),
  orphans('leads', 'client_id', 'clients', { what: 'a client', isFatal: true }),
  ...['messages', 'appointments', 'opportunities', 'orders', 'campaign_subscribers'].map((table) =>
    orphans(table, 'contact_id', 'contacts', contact),
  ),
  orphans('campaign_subscribers', 'campaign_id', 'campaigns', { what: 'a campaign', isFatal: true }),
  {
    name: 'leads have the id of a quote that is a lead too',
    sql: `SELECT count(*) AS count FROM leads l JOIN quotes q ON q.id = l.id WHERE btrim(q.lead_status, E'\\t\\n\\x0B\\f\\r \\u00A0') <> ''`,
    isFatal: true,
    remedy: 'Give one of the two another id: both would be one row of leads, and the later one becomes a dead letter.',
  },
];
