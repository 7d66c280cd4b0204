import { quoteIdent, quoteLiteral } from '../../schemas/quote.ts';
import { unassignedTenant } from '../values/cell.ts';

/** SQL condition that holds for the legacy rows of one tenant, as projections tell it from the column: blank (white space in ASCII, and U+00A0) is unassigned. */
export function toTenantCondition(column: string, tenant: string): string {
  const text = `${quoteIdent(column)}::text`;
  const isNamed = `${text} = ${quoteLiteral(tenant)}`;
  if (tenant !== unassignedTenant) return isNamed;
  const blanks = "chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || ' ' || chr(160)";
  return `(${isNamed} OR ${text} IS NULL OR btrim(${text}, ${blanks}) = '')`;
}
