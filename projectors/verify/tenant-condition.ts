import { quoteIdent, quoteLiteral } from '../../schemas/quote.ts';
import { unassignedTenant } from '../values/cell.ts';

/** SQL condition for the legacy rows of one tenant, with the rule that projections apply to the column: blank (ASCII white space and U+00A0) means unassigned. */
export function toTenantCondition(column: string, tenant: string): string {
  const text = `${quoteIdent(column)}::text`;
  const isNamed = `${text} = ${quoteLiteral(tenant)}`;
  if (tenant !== unassignedTenant) return isNamed;
  const blanks = "chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || ' ' || chr(160)";
  return `(${isNamed} OR ${text} IS NULL OR btrim(${text}, ${blanks}) = '')`;
}
