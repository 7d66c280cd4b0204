// The queries of the application that are measured, as it would type them: nothing names the tenant that row-level security adds.
import { LEAD_SOURCES, LEAD_STATUSES, LEAD_TAGS, phoneOf, type QueriesSize } from './fill-statements.ts';

/** A number from 0 to below `limit`. */
export type Random = (limit: number) => number;

export interface ApplicationQuery {
  readonly name: string;
  /** p95, milliseconds; null: measured for comparison only. */
  readonly wantedMs: number | null;
  readonly sql: string;
  /** The tenant that asks: 1 is the largest one. */
  readonly isOfLargest?: boolean;
  /** Its time grows with the leads of the tenant. */
  readonly isOfAllLeads?: boolean;
  /** Parameters of one execution. `lead`: the number of a lead of the tenant. */
  readonly params: (of: { readonly random: Random; readonly tenant: string; readonly lead: number }) => unknown[];
  /** Functions read tables that the plan of their caller does not show: indexes are then told by what was scanned. */
  readonly hasFunctions?: boolean;
  /** How often it is asked where sessions ask for whatever comes; 1 by default, 0: never. */
  readonly weight?: number;
}

const pick = (random: Random, values: readonly string[]) => values[random(values.length)]!;

const LIST = `SELECT id, name, status, lead_source, lead_score, created_at FROM crm.leads
WHERE deleted_at IS NULL AND status = ANY ($1) AND lead_score >= $2 ORDER BY created_at DESC LIMIT 100`;

/** The targets of queries over a tenant's leads are for tenants of about so many. */
export const LEADS_OF_A_TENANT = 10_000;

/** Every query that only reads, in the order of the table. */
export function applicationQueries(size: QueriesSize): ApplicationQuery[] {
  const phone = (random: Random) => phoneOf(1 + random(size.leads));
  const statuses: ApplicationQuery['params'] = ({ random }) => [
    [pick(random, LEAD_STATUSES), pick(random, LEAD_STATUSES)],
    random(50),
  ];
  return [
    {
      ...{ name: 'lead by id', wantedMs: 1, weight: 10 },
      sql: `SELECT * FROM crm.leads WHERE id = md5('lead ' || $1::int)::uuid AND deleted_at IS NULL`,
      params: ({ lead }) => [lead],
    },
    {
      ...{ name: 'page of a contact', wantedMs: 50, weight: 3 },
      sql: `SELECT * FROM crm.contact_pages WHERE contact_id = (SELECT contact_id FROM crm.leads WHERE id = md5('lead ' || $1::int)::uuid)`,
      params: ({ lead }) => [lead],
    },
    { ...{ name: 'filtered list of 100 leads', wantedMs: 50, weight: 5 }, sql: LIST, params: statuses },
    {
      ...{ name: 'the same, largest tenant', wantedMs: 50, isOfLargest: true, weight: 0 },
      ...{ sql: LIST, params: statuses },
    },
    {
      ...{ name: 'filters over the largest tenant', wantedMs: 50, isOfLargest: true, isOfAllLeads: true },
      sql: `SELECT count(*), avg(lead_score), max(created_at) FROM crm.leads
WHERE deleted_at IS NULL AND lead_source = $1 AND lead_score BETWEEN $2 AND $2 + 40 AND created_at >= now() - make_interval(days => $3)`,
      params: ({ random }) => [pick(random, LEAD_SOURCES), random(60), 10 + random(80)],
    },
    {
      ...{ name: 'newest 100 leads with a tag, largest tenant', wantedMs: 50, isOfLargest: true },
      sql: `SELECT id, name, status FROM crm.leads WHERE tags @> $1 AND deleted_at IS NULL ORDER BY created_at DESC LIMIT 100`,
      params: ({ random }) => [[pick(random, LEAD_TAGS)]],
    },
    {
      ...{
        name: 'all leads with a tag, largest tenant',
        wantedMs: 50,
        isOfLargest: true,
        isOfAllLeads: true,
        hasFunctions: true,
        weight: 0,
      },
      sql: `SELECT l.id, l.name, l.status FROM crm.leads_with_tags($1, $2) AS tagged (id) JOIN crm.leads l USING (id)`,
      params: ({ random, tenant }) => [tenant, [pick(random, LEAD_TAGS)]],
    },
    {
      ...{ name: 'funnel of 30 days, by status', wantedMs: 100, isOfLargest: true, isOfAllLeads: true },
      sql: `SELECT v.value AS status, count(l.id) FROM crm.lookup_values v
LEFT JOIN crm.leads l ON coalesce(l.status, 'new') = v.value AND l.deleted_at IS NULL AND l.created_at >= now() - make_interval(days => $1)
WHERE v.kind = 'lead_status' GROUP BY v.value, v.sort_order ORDER BY v.sort_order`,
      params: ({ random }) => [30 - random(5)],
    },
    {
      ...{ name: 'funnel of 30 days, by history', wantedMs: 100, isOfLargest: true, isOfAllLeads: true },
      sql: `SELECT h.to_status, count(DISTINCT h.lead_id) FROM crm.leads l JOIN crm.lead_status_history h ON h.lead_id = l.id
WHERE l.deleted_at IS NULL AND l.created_at >= now() - make_interval(days => $1) GROUP BY h.to_status`,
      params: ({ random }) => [30 - random(5)],
    },
    {
      ...{ name: 'ROI by source', wantedMs: 200, isOfLargest: true, isOfAllLeads: true },
      sql: 'SELECT * FROM crm.lead_source_roi ORDER BY month, lead_source',
      params: () => [],
    },
    {
      ...{ name: 'one do-not-call check', wantedMs: 1, hasFunctions: true, weight: 5 },
      sql: 'SELECT crm.is_on_dnc_list($1, $2)',
      params: ({ random, tenant }) => [phone(random), tenant],
    },
    {
      ...{ name: '1,000 do-not-call checks', wantedMs: 100, hasFunctions: true, weight: 0, isOfLargest: true },
      sql: 'SELECT number, crm.is_on_dnc_list(number, $1) FROM unnest($2::text[]) AS number',
      params: ({ random, tenant }) => [tenant, Array.from({ length: 1000 }, () => phone(random))],
    },
    {
      ...{ name: 'dashboard: figures', wantedMs: 100, weight: 2 },
      sql: 'SELECT pending_leads, qualified_leads, total_customers, monthly_quoted, monthly_revenue FROM crm.dashboard_stats',
      params: () => [],
    },
    {
      ...{ name: 'dashboard: conversion by source', wantedMs: 100, isOfLargest: true, isOfAllLeads: true },
      sql: 'SELECT * FROM crm.lead_conversion_by_source',
      params: () => [],
    },
    {
      ...{ name: 'dashboard: totals', wantedMs: 100, isOfLargest: true, isOfAllLeads: true },
      sql: 'SELECT * FROM crm.lead_conversion_summary',
      params: () => [],
    },
    {
      ...{ name: 'dashboard: newest activities', wantedMs: 100, isOfLargest: true },
      sql: `SELECT a.performed_at, a.activity_type, l.id, l.status FROM crm.lead_activities a JOIN crm.leads l ON l.id = a.lead_id
ORDER BY a.performed_at DESC LIMIT 20`,
      params: () => [],
    },
    {
      ...{ name: 'dashboard: time in status', wantedMs: 100, isOfLargest: true, isOfAllLeads: true, weight: 0 },
      sql: 'SELECT status, count(*), avg(time_in_stage) FROM crm.lead_time_in_stage GROUP BY status',
      params: () => [],
    },
  ];
}
