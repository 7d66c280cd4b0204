import type { Choice, Contribution } from '../../../projectors/projection.ts';
import { cellOf, toTenantId, unassignedTenant } from '../../../projectors/values/cell.ts';
import { greatestOf, toGreatestFirst } from '../../../projectors/values/contribution-order.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';

/** Whether a contribution gives the tenant of all rows under its merge key, instead of standing for a row. */
export function tellsTenant({ data }: Contribution): boolean {
  return cellOf(data, 'tenant_id') !== null;
}

/** Chooses the contribution that gives the tenant. */
export const tenantTeller: Choice = greatestOf(tellsTenant);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Merge key for the id of the row that gives the tenant. A text that is not a UUID, which no legacy table allows, gets a derived key: PostgreSQL refuses the rows. */
export function toTellerKey(id: string): string {
  return UUID.test(id) ? id : uuid5(`teller:${id}`);
}

/** Contribution of a legacy row that gives the tenant of others. */
export function toTenantData(tenantCell: string | null | undefined) {
  return { tenant_id: toTenantId(tenantCell) };
}

/** The tenant of all rows under a merge key, from the row that exists now. */
export function toldTenant(contributions: readonly Contribution[]): string {
  return findTeller(contributions)?.data.tenant_id ?? unassignedTenant;
}

/** Live contributions that stand for rows, greatest first, with their common tenant and the contribution that gives it. */
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

/** The needs of a fold whose rows get their tenant from another row: each contribution is a part. */
export const toldNeeds = {
  version: '1',
  whole: [tenantTeller],
  parts: {
    of: (contribution: Contribution) => (tellsTenant(contribution) ? null : contribution.legacyKey),
    choices: [greatestOf()],
    shared: toldTenant,
  },
} as const;
