import type { Aggregate, Cell, Contribution, FoldedRow } from '../../../../projectors/projection.ts';
import {
  cellsOf,
  earliestOf,
  firstFilled,
  greatestOf,
  toGreatestFirst,
} from '../../../../projectors/values/contribution-order.ts';
import { has, toLowerCase, trim } from '../../../../projectors/values/text.ts';
import { earliest, latest } from '../../../../projectors/values/timestamp.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';

/** The identity of a do-not-call entry. */
export interface DncIdentity {
  readonly kind: 'phone' | 'digits' | 'email';
  readonly identity: string;
}

/** Do-not-call entries. The merge key is the entry's id. */
export const dncAggregate: Aggregate = {
  name: 'dnc_list',
  targets: [
    {
      table: 'dnc_list',
      columns: ['id', 'tenant_id', 'identity', 'identity_kind', 'opted_out_at', 'created_at', 'updated_at'],
      key: 'id',
    },
  ],
  // A contact that opts out and changes its number within one batch must stay on the list under the old number.
  needsHistory: true,
  fold: (mergeKey, contributions) => ({ dnc_list: foldEntry(mergeKey, contributions) }),
  needs: {
    version: '1',
    whole: [
      greatestOf(isOptedOut),
      greatestOf((contribution) => isOptedOut(contribution) && has(contribution.data.opted_out_at)),
      earliestOf(isOptedOut),
    ],
  },
};

/** Merge key of an identity: the id of its entry. */
export function toDncKey(tenantId: string, identity: string): string {
  return uuid5(`dnc:${tenantId}|${identity}`);
}

/** The identity of a contact for the list; null if it has none. */
export function toDncIdentity(phoneE164: Cell, phoneNumber: Cell, email: Cell): DncIdentity | null {
  if (phoneE164 !== null) return { kind: 'phone', identity: phoneE164 };
  const digits = phoneNumber?.replace(/[^0-9]/g, '') ?? '';
  if (digits !== '') return { kind: 'digits', identity: digits };
  return has(email) ? { kind: 'email', identity: toLowerCase(trim(email)) } : null;
}

function isOptedOut({ data }: Contribution): boolean {
  return data.opted_out === 't';
}

// Retired contributions count as much as live ones: only the same contact, opted in under this identity, lifts its own entry.
function foldEntry(mergeKey: string, contributions: readonly Contribution[]): readonly FoldedRow[] {
  const optedOut = toGreatestFirst(contributions.filter(isOptedOut));
  const greatest = optedOut[0];
  if (greatest === undefined) return [];
  const row = {
    id: mergeKey,
    tenant_id: greatest.data.tenant_id ?? null,
    identity: greatest.data.identity ?? null,
    identity_kind: greatest.data.identity_kind ?? null,
    opted_out_at: firstFilled(optedOut, 'opted_out_at'),
    created_at: earliest(cellsOf(optedOut, 'created_at')),
    updated_at: latest(cellsOf(optedOut, 'updated_at')),
  };
  return [{ row, deletedAt: null, from: optedOut }];
}
