import type pg from 'pg';
import type { Oracle } from '../../../projectors/pipeline.ts';
import placeholders from '../placeholders.json' with { type: 'json' };
import type { TenantSettings } from '../tenants.ts';
import { toE164 } from '../values/phone.ts';

export interface PhoneIdentity {
  /** The phone as a legacy row spells it. */
  readonly raw: string;
  readonly country: string;
  readonly e164: string | null;
}

export interface TenantConfiguration {
  /** '' stands for every unlisted tenant. */
  readonly tenantId: string;
  readonly country: string;
  readonly userId: string;
  readonly chatbotId: string;
  /** Texts that identify nobody; if omitted, those of ''. */
  readonly placeholders?: { readonly mailboxes: Iterable<string>; readonly names: Iterable<string> };
}

/** The mapping of docs/mapping.md in SQL that shares no code with the projections, except for the library that reads phones. */
export const oracle: Oracle<TenantSettings> = {
  sql: ['oracle/values.sql', 'oracle/oracle.sql', 'oracle/campaigns-and-orders.sql'],
  aggregates: ['dnc_list'],
  async prepare(scratch, { tenants, configured }) {
    const settings = ['', ...configured].map((tenantId) => ({ tenantId, ...tenants(tenantId) }));
    const countries = [...new Set(settings.map(({ country }) => country))];
    const phones = await readPhones(scratch, 'legacy');
    await insertInputs(scratch, {
      tenants: settings,
      phones: countries.flatMap((country) => phones.map((raw) => ({ raw, country, e164: toE164(raw, country) }))),
    });
  },
};

const DEFAULT_TENANT: TenantConfiguration = { tenantId: '', country: 'US', userId: '1', chatbotId: '1', placeholders };

/**
 * Inserts the input tables. `tenants`: tenants with their own configuration; without an entry '', the others have US, 1 and 1. `phones`: every raw phone
 * of the legacy rows with the country of its tenant, once per country.
 */
export async function insertInputs(
  scratch: pg.ClientBase,
  { phones, tenants = [] }: { phones: readonly PhoneIdentity[]; tenants?: readonly TenantConfiguration[] },
): Promise<void> {
  const all = tenants.some((tenant) => tenant.tenantId === '') ? tenants : [DEFAULT_TENANT, ...tenants];
  const lists = all.map(({ placeholders: own }) => own && { mailboxes: [...own.mailboxes], names: [...own.names] });
  await scratch.query(
    `CREATE UNLOGGED TABLE oracle_input.phone (raw text NOT NULL, country text NOT NULL, e164 text);
     CREATE UNLOGGED TABLE oracle_input.tenant (tenant_id text PRIMARY KEY, country text NOT NULL, user_id text NOT NULL, chatbot_id text NOT NULL, mailboxes text[], names text[])`,
  );
  await scratch.query(
    `INSERT INTO oracle_input.phone SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])`,
    [phones.map((p) => p.raw), phones.map((p) => p.country), phones.map((p) => p.e164)],
  );
  // Two entries for one phone would double the rows that use it.
  await scratch.query(`ALTER TABLE oracle_input.phone ADD CONSTRAINT phone_key EXCLUDE USING hash ((raw || ' ' || country) WITH =);
    ANALYZE oracle_input.phone`);
  await scratch.query(
    `INSERT INTO oracle_input.tenant SELECT tenant_id, country, user_id, chatbot_id,
       CASE WHEN lists IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(lists -> 'mailboxes')) END,
       CASE WHEN lists IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(lists -> 'names')) END
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[]) r (tenant_id, country, user_id, chatbot_id, lists)`,
    [
      ...[all.map((t) => t.tenantId), all.map((t) => t.country), all.map((t) => t.userId), all.map((t) => t.chatbotId)],
      lists.map((list) => (list ? JSON.stringify(list) : null)),
    ],
  );
}

/** The distinct phones of the legacy rows, as stored. `schema`: quoted if necessary. */
export async function readPhones(client: pg.ClientBase, schema: string): Promise<string[]> {
  const result = await client.query<{ raw: string }>(
    `SELECT phone_number AS raw FROM ${schema}.contacts WHERE phone_number IS NOT NULL
     UNION SELECT phone FROM ${schema}.quotes WHERE phone IS NOT NULL
     UNION SELECT phone FROM ${schema}.clients WHERE phone IS NOT NULL
     UNION SELECT phone FROM ${schema}.leads WHERE phone IS NOT NULL ORDER BY raw`,
  );
  return result.rows.map((row) => row.raw);
}
