import type { Choice, Contribution } from '../../../projectors/projection.ts';
import { cellOf, toTenantId, unassignedTenant } from '../../../projectors/values/cell.ts';
import { greatestOf, toGreatestFirst } from '../../../projectors/values/contribution-order.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';

/** Whether a contribution tells the tenant of all rows under its merge key, and stands for none of them. */
export function tellsTenant({ data }: Contribution): boolean {
  return cellOf(data, 'tenant_id') !== null;
}

/** What tells the tenant. */
export const tenantTeller: Choice = greatestOf(tellsTenant);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The id of the row that tells the tenant, as a merge key. What is no UUID, which no legacy table lets in, is one of its own: PostgreSQL refuses the rows. */
export function toTellerKey(id: string): string {
  return UUID.test(id) ? id : uuid5(`teller:${id}`);
}

/** What a legacy row contributes that tells the tenant of others. */
export function toTenantData(tenantCell: string | null | undefined) {
  return { tenant_id: toTenantId(tenantCell) };
}

/** The tenant of all rows under a merge key: what the row says that is there now. */
export function toldTenant(contributions: readonly Contribution[]): string {
  return findTeller(contributions)?.data.tenant_id ?? unassignedTenant;
}

/** Live contributions that stand for rows, greatest first, with the tenant of all of them and what tells it. */
export function readTold(contributions: readonly Contribution[]) {
  const teller = findTeller(contributions);
  return {
    tenantId: toldTenant(contributions),
    tellers: teller === undefined ? [] : [teller],
    told: toGreatestFirst(contributions.filter((each) => each.live && !tellsTenant(each))),
  };
}

function findTeller(contributions: readonly Contribution[]): Contribution | undefined {
  return toGreatestFirst(contributions.filter((each) => each.live && tellsTenant(each)))[0];
}

/** What the fold of rows needs whose tenant is told: each of them is a part. */
export const toldNeeds = {
  version: '1',
  whole: [tenantTeller],
  parts: {
    of: (contribution: Contribution) => (tellsTenant(contribution) ? null : contribution.legacyKey),
    choices: [greatestOf()],
    shared: toldTenant,
  },
} as const;
