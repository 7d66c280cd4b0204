import type { Aggregate, Cell, Choice, Contribution, FoldedRow } from '../../../../projectors/projection.ts';
import { cellOf } from '../../../../projectors/values/cell.ts';
import {
  cellsOf,
  earliestOf,
  firstFilled,
  greatestOf,
  lastRetired,
  lastRetiredOf,
  latestCommitOf,
  toGreatestFirst,
} from '../../../../projectors/values/contribution-order.ts';
import { joinJsonbObject } from '../../../../projectors/values/json-text.ts';
import { has } from '../../../../projectors/values/text.ts';
import { earliest, latest } from '../../../../projectors/values/timestamp.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';
import { isRealPhone } from './customer-key.ts';
import type { LegacyQuote } from './legacy-quote.ts';

const withMetadata: Choice = { among: ({ data }) => Boolean(data.source_metadata), compare: null };

/** Customers with their addresses. The merge key is the customer's id. */
export const customersAggregate: Aggregate = {
  name: 'customers',
  targets: [
    {
      table: 'customers',
      columns: [
        ...['id', 'tenant_id', 'company_id', 'customer_key', 'name', 'email', 'phone_raw', 'phone_e164'],
        ...['source_metadata', 'created_at', 'updated_at', 'superseded_by', 'workspace_id', 'converted_from_lead_id'],
      ],
      key: 'id',
      ownedFrom: ['clients'],
    },
    {
      table: 'customer_addresses',
      columns: [
        ...['id', 'tenant_id', 'customer_id', 'address', 'normalised_address', 'is_primary'],
        ...['created_at', 'updated_at'],
      ],
      key: 'customer_id',
    },
  ],
  needsHistory: false,
  fold: foldCustomer,
  needs: {
    version: '1',
    whole: [
      greatestOf(),
      ...['name', 'email', 'phone'].flatMap((column) => [
        greatestOf((contribution) => isReal(contribution, column) && has(contribution.data[column])),
        greatestOf(({ data }) => has(data[column])),
      ]),
      greatestOf((contribution) => addressOf(contribution) !== ''),
      earliestOf(),
      lastRetired,
      withMetadata,
    ],
    parts: {
      of: (contribution) => addressOf(contribution) || null,
      choices: [greatestOf(), earliestOf(), lastRetired],
    },
  },
};

/** A quote's contribution to its customer. `metadata`: values that no other row of the quote can hold. */
export function toCustomerContribution(quote: LegacyQuote, metadata: Cell) {
  const { row, customerKey } = quote;
  const data = {
    tenant_id: quote.tenantId,
    company_id: cellOf(row, 'company_id'),
    customer_key: customerKey,
    name: cellOf(row, 'customer_name'),
    email: cellOf(row, 'email'),
    phone: cellOf(row, 'phone'),
    placeholders: toPlaceholders(quote),
    phone_e164: customerKey.startsWith('p:') ? quote.phoneE164 : null,
    address: cellOf(row, 'address'),
    normalised_address: quote.normalisedAddress,
    source_metadata: metadata,
    created_at: cellOf(row, 'created_at'),
    updated_at: cellOf(row, 'updated_at'),
  };
  return { aggregate: customersAggregate.name, mergeKey: quote.customerId, data };
}

/** Which of name, email and phone are present but are placeholders; null if none is. */
function toPlaceholders({ row, person }: LegacyQuote): Cell {
  const phone = cellOf(row, 'phone');
  const found = [
    ...(has(row.customer_name) && person.name === null ? ['name'] : []),
    ...(has(row.email) && person.email === null ? ['email'] : []),
    ...(has(phone) && person.phoneE164 === null && !isRealPhone(phone) ? ['phone'] : []),
  ];
  return found.length > 0 ? found.join(' ') : null;
}

/** The first real value in order of contributors, greatest first; if there is none, the first value. */
function firstReal(contributions: readonly Contribution[], column: string): Cell {
  const real = contributions.filter((contribution) => isReal(contribution, column));
  return firstFilled(real, column) ?? firstFilled(contributions, column);
}

function isReal({ data }: Contribution, column: string): boolean {
  return !(data.placeholders?.split(' ').includes(column) ?? false);
}

/** Normalised; empty if there is none. */
function addressOf({ data }: Contribution): string {
  return data.normalised_address ?? '';
}

function foldCustomer(mergeKey: string, contributions: readonly Contribution[]) {
  const live = toGreatestFirst(contributions.filter((contribution) => contribution.live));
  const retired = toGreatestFirst(contributions.filter((contribution) => !contribution.live));
  return {
    customers: [toCustomer(mergeKey, live, retired)],
    customer_addresses: toAddresses(mergeKey, live, retired),
  };
}

type GreatestFirst = readonly Contribution[];

function toCustomer(id: string, live: GreatestFirst, retired: GreatestFirst): FoldedRow {
  const from = live.length > 0 ? live : retired;
  const { company_id = null, tenant_id = null, customer_key = null, phone_e164 = null } = from[0]?.data ?? {};
  const row = {
    id,
    tenant_id,
    company_id,
    customer_key,
    phone_e164,
    name: firstReal(from, 'name'),
    email: firstReal(from, 'email'),
    phone_raw: firstReal(from, 'phone'),
    source_metadata: toMetadataByQuote(from),
    created_at: earliest(cellsOf(from, 'created_at')),
    updated_at: latest(cellsOf(from, 'updated_at')),
    superseded_by: live.length > 0 ? null : (lastRetiredOf(retired)?.movedTo ?? null),
    // Columns that only clients have.
    workspace_id: null,
    converted_from_lead_id: null,
  };
  return { row, deletedAt: live.length > 0 ? null : latestCommitOf(retired), from };
}

function toMetadataByQuote(contributions: readonly Contribution[]): Cell {
  const byQuote = new Map<string, string>();
  for (const { legacyKey, data } of contributions) {
    if (data.source_metadata) byQuote.set(legacyKey, data.source_metadata);
  }
  return joinJsonbObject(byQuote);
}

// An address with a live contributor is folded over its live contributors only. An address with only retired contributors is deleted.
function toAddresses(customerId: string, live: GreatestFirst, retired: GreatestFirst): FoldedRow[] {
  const liveByAddress = groupByAddress(live);
  const retiredByAddress = groupByAddress(retired);
  const primary = (live.length > 0 ? liveByAddress : retiredByAddress).keys().next().value;
  const rows: FoldedRow[] = [];
  for (const [address, from] of liveByAddress) {
    rows.push({ row: toAddress(customerId, address, address === primary, from), deletedAt: null, from });
  }
  for (const [address, from] of retiredByAddress) {
    if (liveByAddress.has(address)) continue;
    const row = toAddress(customerId, address, address === primary, from);
    rows.push({ row, deletedAt: latestCommitOf(from), from });
  }
  return rows;
}

// Keys are in the order of their greatest contributors, so the first is the primary address.
function groupByAddress(contributions: GreatestFirst): Map<string, Contribution[]> {
  const groups = new Map<string, Contribution[]>();
  for (const contribution of contributions) {
    const address = addressOf(contribution);
    if (address === '') continue;
    const group = groups.get(address);
    if (group === undefined) groups.set(address, [contribution]);
    else group.push(contribution);
  }
  return groups;
}

function toAddress(customerId: string, normalised: string, isPrimary: boolean, from: GreatestFirst) {
  return {
    id: uuid5(`address:${customerId}|${normalised}`),
    tenant_id: from[0]?.data.tenant_id ?? null,
    customer_id: customerId,
    address: from[0]?.data.address ?? null,
    normalised_address: normalised,
    is_primary: isPrimary ? 't' : 'f',
    created_at: earliest(cellsOf(from, 'created_at')),
    updated_at: latest(cellsOf(from, 'updated_at')),
  };
}
