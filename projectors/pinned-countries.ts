import type pg from 'pg';
import { quoteIdent } from '../schemas/quote.ts';
import type { Tenants } from './projection.ts';
import { toTenantId } from './projections/cell.ts';
import { isPhoneCountry } from './tenants.ts';
import { toStatusText } from './values/text.ts';

/** A tenant whose workspace names another country than is pinned for its phones. ISO 3166 alpha-2, upper case. */
export interface CountryDifference {
  readonly tenantId: string;
  readonly workspace: string;
  readonly pinned: string;
}

/**
 * Where the countries of `workspaces` and the pinned ones differ, by tenant id. What is no country that has phone numbers of its own says nothing. Empty where the table is not there or
 * has no column `country`. Errors: the server's.
 */
export async function findCountryDifferences(
  client: pg.ClientBase,
  schema: string,
  tenants: Tenants,
): Promise<CountryDifference[]> {
  const { rows: columns } = await client.query(
    `SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname IN ('id', 'country') AND NOT attisdropped`,
    [`${quoteIdent(schema)}.workspaces`],
  );
  if (columns.length < 2) return [];
  const { rows } = await client.query<{ id: string; country: string | null }>(
    `SELECT id::text, country::text FROM ${quoteIdent(schema)}.workspaces ORDER BY id::text COLLATE "C"`,
  );
  return rows.flatMap(({ id, country }) => {
    const workspace = toStatusText(country)?.toUpperCase() ?? '';
    const tenantId = toTenantId(id);
    const pinned = tenants(tenantId).country;
    return isPhoneCountry(workspace) && workspace !== pinned ? [{ tenantId, workspace, pinned }] : [];
  });
}

/** The configuration with the countries of the workspaces pinned; the rest of it as it is. */
export function pinCountries(configuration: unknown, differences: readonly CountryDifference[]): unknown {
  const { tenants = {}, ...rest } = configuration as { tenants?: Readonly<Record<string, object>> };
  const pinned = differences.map(({ tenantId, workspace }): [string, object] => [
    tenantId,
    { ...tenants[tenantId], country: workspace },
  ]);
  return { ...rest, tenants: { ...tenants, ...Object.fromEntries(pinned) } };
}
