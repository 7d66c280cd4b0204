import { defineProjection, type OwnedTarget } from '../../../projectors/projection.ts';
import { rejectsTarget } from '../../../projectors/values/rejects.ts';
import type { TenantSettings } from '../tenants.ts';
import { customersAggregate, toCustomerContribution } from './quotes/customer-fold.ts';
import { toItems } from './quotes/items.ts';
import { moneyColumns, readLegacyQuote } from './quotes/legacy-quote.ts';
import {
  copiedToQuote,
  toInvoiceId,
  toInvoices,
  toJobId,
  toJobs,
  toLeads,
  toPaymentId,
  toPayments,
  toQuotes,
} from './quotes/rows.ts';
import { quoteColumns, toSourceMetadata } from './quotes/source-metadata.ts';

const owned: readonly OwnedTarget[] = [
  {
    table: 'leads',
    columns: [
      ...[
        'id',
        'tenant_id',
        'customer_id',
        'company_id',
        'status',
        'description',
        'name',
        'email',
        'phone',
        'phone_raw',
      ],
      ...['address', 'scheduled_visit_at', 'is_converted', 'converted_to_client_id', 'conversion_date'],
      ...['source_metadata', 'created_at', 'updated_at'],
    ],
    retract: 'soft-delete',
    blank: [
      ...['contact_id', 'workspace_id', 'lead_status_id', 'lead_source', 'sub_source', 'product_interest', 'priority'],
      ...['campaign_id', 'utm_source', 'utm_medium', 'utm_campaign', 'estimated_value', 'expected_close_date'],
      ...['lead_score', 'lead_score_factors', 'qualification_status', 'notes', 'tags'],
    ],
    scope: { column: 'id', of: (quoteId) => quoteId },
  },
  {
    table: 'quotes_new',
    columns: [
      ...['id', 'tenant_id', 'customer_id', 'lead_id', 'status', 'created_by', 'source_metadata'],
      ...moneyColumns,
      ...copiedToQuote,
    ],
    retract: 'soft-delete',
    scope: { column: 'id', of: (quoteId) => quoteId },
  },
  {
    table: 'quote_items_new',
    columns: [
      ...['id', 'tenant_id', 'quote_id', 'name', 'description', 'quantity', 'unit_price', 'total', 'option_tier'],
      ...['is_upsell', 'is_discount', 'sort_order', 'source_metadata'],
    ],
    retract: 'delete',
    scope: { column: 'quote_id', of: (quoteId) => quoteId },
  },
  {
    table: 'jobs_new',
    columns: [
      ...['id', 'tenant_id', 'company_id', 'quote_id', 'customer_id', 'job_number', 'title', 'description', 'status'],
      ...['scheduled_start', 'actual_start', 'actual_end', 'created_at', 'updated_at'],
    ],
    retract: 'soft-delete',
    scope: { column: 'id', of: toJobId },
  },
  {
    table: 'invoices_new',
    columns: [
      ...['id', 'tenant_id', 'company_id', 'job_id', 'customer_id', 'invoice_number', 'amount_due', 'amount_paid'],
      ...['status', 'sent_at', 'paid_at', 'payment_method', 'payment_link_url', 'created_at', 'updated_at'],
    ],
    retract: 'soft-delete',
    scope: { column: 'id', of: toInvoiceId },
  },
  {
    table: 'payments',
    columns: ['id', 'tenant_id', 'invoice_id', 'amount', 'method', 'paid_at', 'created_at'],
    retract: 'soft-delete',
    scope: { column: 'id', of: toPaymentId },
  },
  rejectsTarget,
];

/** quotes → customers, customer_addresses, leads, quotes_new, quote_items_new, jobs_new, invoices_new, payments, rejects. */
export const quotes = defineProjection<TenantSettings>({
  name: 'quotes',
  version: '2',
  source: 'quotes',
  tenant: { column: 'company_id' },
  requires: [
    ...['id', 'company_id', 'customer_name', 'email', 'phone', 'address', 'lead_status', 'status', 'quote_number'],
    ...['items', 'total', 'invoice_number', 'paid_at', 'updated_at'],
  ],
  reads: quoteColumns,
  owned,
  aggregates: [customersAggregate],
  map: (row, tenants) => {
    const quote = readLegacyQuote(row, tenants);
    const metadata = toSourceMetadata(quote);
    // Values without a column of their own are kept by the most specific row that exists.
    const metadataOfLead = quote.hasQuote ? null : metadata;
    const metadataOfCustomer = quote.hasLead ? null : metadataOfLead;
    return {
      rows: {
        leads: toLeads(quote, metadataOfLead),
        quotes_new: toQuotes(quote, metadata),
        quote_items_new: toItems(quote.items, quote.id, quote.tenantId, quote.rejects),
        jobs_new: toJobs(quote),
        invoices_new: toInvoices(quote),
        payments: toPayments(quote),
        rejects: quote.rejects.rows,
      },
      contributions: [toCustomerContribution(quote, metadataOfCustomer)],
    };
  },
});
