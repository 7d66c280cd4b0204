import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import type { Cell, Implied, LegacyRow, NewRow } from '../../../projectors/projection.ts';

/** Tenant settings of the tests: everyone in the US but `berlin`. */
export const tenants = createTenants({ tenants: { berlin: { country: 'DE', userId: '5', chatbotId: '6' } } });

export const quoteId = '11111111-1111-4111-8111-111111111111';
export const companyId = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
export const contactId = '22222222-2222-4222-8222-222222222222';

/** What a quote of `companyId` implies, given the cells that matter. */
export function mapQuote(cells: LegacyRow): Implied {
  return quotes.map({ id: quoteId, company_id: companyId, ...cells }, tenants);
}

/** What a contact of workspace `acme` implies, given the cells that matter. */
export function mapContact(cells: LegacyRow): Implied {
  return contacts.map({ id: contactId, workspace_id: 'acme', opted_out: 'f', ...cells }, tenants);
}

/** The only row of a table. */
export function only(implied: Implied, table: string): NewRow {
  const rows = implied.rows[table] ?? [];
  if (rows.length !== 1) throw new Error(`${rows.length} rows of ${table}`);
  return rows[0]!;
}

/** Tables that have rows, in the order of the projection. */
export function tablesOf(implied: Implied): string[] {
  return Object.entries(implied.rows).flatMap(([table, rows]) => (rows.length > 0 ? [table] : []));
}

/** The data of the only contribution. */
export function contributed(implied: Implied): Readonly<Record<string, Cell>> {
  if (implied.contributions.length !== 1) throw new Error(`${implied.contributions.length} contributions`);
  return implied.contributions[0]!.data;
}

/** Rejects as path, raw value and reason. */
export function rejectsOf(implied: Implied): Cell[][] {
  return (implied.rows.rejects ?? []).map((row) => [row.path!, row.raw_value!, row.reason!]);
}
