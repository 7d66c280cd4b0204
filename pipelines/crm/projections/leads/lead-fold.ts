import type { Aggregate, Cell, Contribution, FoldedRow, LegacyRow } from '../../../../projectors/projection.ts';
import { cellOf, copyOf, toOthers, toTenantId } from '../../../../projectors/values/cell.ts';
import { toGreatestFirst } from '../../../../projectors/values/contribution-order.ts';
import type { Rejects } from '../../../../projectors/values/rejects.ts';
import { compareBytes } from '../../../../projectors/values/text.ts';
import { compareTimestamps } from '../../../../projectors/values/timestamp.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';
import { toLeadScore, toLeadStatus } from '../contacts/lead-status.ts';

/** Columns of leads without a source in a legacy lead. */
const blank = [
  ...['contact_id', 'customer_id', 'company_id', 'lead_status_id', 'lead_source', 'sub_source', 'product_interest'],
  ...['description', 'address', 'priority', 'campaign_id', 'utm_source', 'utm_medium', 'utm_campaign'],
  ...['estimated_value', 'expected_close_date', 'lead_score_factors', 'qualification_status', 'notes', 'tags'],
  ...['scheduled_visit_at'],
];
const copied = ['workspace_id', 'name', 'email', 'created_at', 'updated_at'];
/** Columns of leads that come from the lead itself. */
const said = ['tenant_id', ...copied, 'status', 'phone', 'phone_raw', 'lead_score', 'source_metadata'];

/** Columns of the legacy table with a mapping rule. */
export const leadColumns: readonly string[] = [...copied, 'id', 'client_id', 'phone', 'status', 'score'];
const taken: ReadonlySet<string> = new Set(leadColumns);

/** Legacy leads with the conversions recorded by themselves and by clients. The merge key is the lead's id. */
export const leadsAggregate: Aggregate = {
  name: 'leads',
  targets: [
    {
      table: 'leads',
      columns: ['id', ...said, 'is_converted', 'converted_to_client_id', 'conversion_date', ...blank],
      key: 'id',
      ownedFrom: ['contacts', 'quotes'],
    },
  ],
  needsHistory: false,
  fold: (mergeKey, contributions) => ({ leads: foldLead(mergeKey, contributions) }),
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Id of the lead of a legacy lead: the legacy id. A text that is not a UUID, which no uuid column holds, gets a derived one. */
export function toLeadId(legacyId: string): string {
  return uuid.test(legacyId) ? legacyId : uuid5(`lead:legacy:${legacyId}`);
}

/** Contribution of a row of leads to its lead. `phone` is its E.164 identity. */
export function toLeadContribution(row: LegacyRow, phone: Cell, rejects: Rejects) {
  const data = {
    ...copyOf(row, copied),
    tenant_id: toTenantId(row.workspace_id),
    status: toLeadStatus(row, rejects, 'status'),
    phone,
    phone_raw: cellOf(row, 'phone'),
    lead_score: toLeadScore(row, rejects, 'score'),
    source_metadata: toOthers(row, (column) => taken.has(column)),
    client_id: cellOf(row, 'client_id'),
  };
  return { aggregate: leadsAggregate.name, mergeKey: toLeadId(row.id ?? ''), data };
}

/** Contribution of a row of clients to the lead that it names; empty if it names none. */
export function toConversionContributions(row: LegacyRow) {
  const lead = cellOf(row, 'converted_from_lead_id');
  if (lead === null) return [];
  const data = { tenant_id: toTenantId(row.workspace_id), created_at: cellOf(row, 'created_at') };
  return [{ aggregate: leadsAggregate.name, mergeKey: toLeadId(lead), data }];
}

// Without its lead there is no row, even if clients name it.
function foldLead(id: string, contributions: readonly Contribution[]): FoldedRow[] {
  const live = contributions.filter((contribution) => contribution.live);
  const clients = live.filter(({ legacyTable }) => legacyTable === 'clients');
  const lead = toGreatestFirst(live.filter(({ legacyTable }) => legacyTable === 'leads'))[0];
  if (lead === undefined) return [];
  const row = {
    ...Object.fromEntries(blank.map((column) => [column, null])),
    ...copyOf(lead.data, said),
    id,
    ...toConversion(lead.data, clients),
  };
  return [{ row, deletedAt: null, from: [lead, ...clients] }];
}

/** The lead's own conversion, or the first client's if it has none. */
export function toConversion(lead: Contribution['data'], clients: readonly Contribution[]) {
  const own = lead.client_id ?? null;
  const client =
    own === null ? clients.toSorted(compareClients)[0] : clients.find(({ legacyKey }) => legacyKey === own);
  const clientId = own ?? client?.legacyKey ?? null;
  return {
    is_converted: clientId !== null || lead.status === 'converted' ? 't' : 'f',
    converted_to_client_id: clientId,
    conversion_date: clientId === null ? null : (client?.data.created_at ?? lead.updated_at ?? null),
  };
}

/** By `created_at`, nulls last, then by id in byte order. */
function compareClients(left: Contribution, right: Contribution): number {
  const [a = null, b = null] = [left.data.created_at, right.data.created_at];
  const byTime = a === null || b === null ? Number(a === null) - Number(b === null) : compareTimestamps(a, b);
  return byTime || compareBytes(left.legacyKey, right.legacyKey);
}
