import type pg from 'pg';
import type { TenantHint } from '../../projectors/pipeline.ts';
import { toTenantId } from '../../projectors/values/cell.ts';
import { toStatusText } from '../../projectors/values/text.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import { isPhoneCountry, type Tenants } from './tenants.ts';

/**
 * Differences between the countries of `workspaces` and the pinned ones, by tenant id. A text that is not a country with phone numbers of its own is
 * ignored. Empty if the table or its column `country` does not exist. Errors: the server's.
 */
export async function findCountryDifferences(
  client: pg.ClientBase,
  schema: string,
  tenants: Tenants,
): Promise<TenantHint[]> {
  const { rows: columns } = await client.query(
    `SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname IN ('id', 'country') AND NOT attisdropped`,
    [`${quoteIdent(schema)}.workspaces`],
  );
  if (columns.length < 2) return [];
  const { rows } = await client.query<{ id: string; country: string | null }>(
    `SELECT id::text, country::text FROM ${quoteIdent(schema)}.workspaces ORDER BY id::text COLLATE "C"`,
  );
  return rows.flatMap(({ id, country }) => {
    const legacy = toStatusText(country)?.toUpperCase() ?? '';
    const tenantId = toTenantId(id);
    const pinned = tenants(tenantId).country;
    return isPhoneCountry(legacy) && legacy !== pinned ? [{ tenantId, setting: 'country', legacy, pinned }] : [];
  });
}
