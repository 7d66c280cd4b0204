import type { NewRow } from '../../../../projectors/projection.ts';
import { cellOf, copyOf, filledCellOf } from '../../../../projectors/values/cell.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';
import type { LegacyQuote } from './legacy-quote.ts';

/** Columns copied to quotes_new unchanged. */
export const copiedToQuote = [
  'company_id',
  'quote_number',
  'customer_name',
  'email',
  'phone',
  'address',
  'job_name',
  'description',
  'notes',
  'sent_at',
  'created_at',
  'updated_at',
];

/** Id of the job of a quote. */
export function toJobId(quoteId: string): string {
  return uuid5(`job:${quoteId}`);
}

/** Id of the invoice of a quote. */
export function toInvoiceId(quoteId: string): string {
  return uuid5(`invoice:${quoteId}`);
}

/** Id of the payment of a quote. */
export function toPaymentId(quoteId: string): string {
  return uuid5(`payment:${quoteId}`);
}

/** Whether the quote's lead became a client. */
export function isConverted(quote: LegacyQuote): boolean {
  return quote.leadStatus === 'converted';
}

/** Row of leads, if there is a lead status. */
export function toLeads(quote: LegacyQuote, metadata: string | null): NewRow[] {
  if (!quote.hasLead) return [];
  const { row } = quote;
  const converted = isConverted(quote);
  return [
    {
      ...copyOf(row, ['company_id', 'description', 'email', 'address', 'created_at', 'updated_at']),
      id: quote.id,
      tenant_id: quote.tenantId,
      customer_id: quote.customerId,
      status: quote.leadStatus,
      name: cellOf(row, 'customer_name'),
      phone: quote.phoneE164,
      phone_raw: cellOf(row, 'phone'),
      scheduled_visit_at: cellOf(row, 'scheduled_at'),
      is_converted: converted ? 't' : 'f',
      converted_to_client_id: converted ? quote.customerId : null,
      conversion_date: converted ? (cellOf(row, 'sent_at') ?? cellOf(row, 'updated_at')) : null,
      source_metadata: metadata,
    },
  ];
}

/** Row of quotes_new, if the legacy row is a quote and not only a lead. */
export function toQuotes(quote: LegacyQuote, metadata: string | null): NewRow[] {
  if (!quote.hasQuote) return [];
  return [
    {
      ...copyOf(quote.row, copiedToQuote),
      ...quote.money,
      id: quote.id,
      tenant_id: quote.tenantId,
      customer_id: quote.customerId,
      lead_id: quote.hasLead ? quote.id : null,
      status: quote.status ?? (quote.hasInvoice ? 'accepted' : 'draft'),
      created_by: cellOf(quote.row, 'user_id'),
      source_metadata: metadata,
    },
  ];
}

/** Row of jobs_new, if work was agreed or invoiced. */
export function toJobs(quote: LegacyQuote): NewRow[] {
  if (!quote.hasJob) return [];
  const { row } = quote;
  return [
    {
      ...copyOf(row, ['company_id', 'description', 'created_at', 'updated_at']),
      id: toJobId(quote.id),
      tenant_id: quote.tenantId,
      quote_id: quote.id,
      customer_id: quote.customerId,
      job_number: filledCellOf(row, 'job_number') ?? `JOB-${quote.id}`,
      title: cellOf(row, 'job_name'),
      status: toJobStatus(quote),
      scheduled_start: cellOf(row, 'scheduled_at'),
      actual_start: cellOf(row, 'started_at'),
      actual_end: cellOf(row, 'completed_at'),
    },
  ];
}

function toJobStatus({ row, status }: LegacyQuote): string {
  if (cellOf(row, 'completed_at') !== null || status === 'completed') return 'completed';
  return cellOf(row, 'started_at') === null ? 'scheduled' : 'in_progress';
}

/** Row of invoices_new, if there is an invoice number. */
export function toInvoices(quote: LegacyQuote): NewRow[] {
  if (!quote.hasInvoice) return [];
  const { row } = quote;
  const isPaid = cellOf(row, 'paid_at') !== null;
  const amountDue = toAmountDue(quote);
  return [
    {
      ...copyOf(row, ['company_id', 'invoice_number', 'paid_at', 'payment_method', 'payment_link_url']),
      ...copyOf(row, ['created_at', 'updated_at']),
      id: toInvoiceId(quote.id),
      tenant_id: quote.tenantId,
      job_id: toJobId(quote.id),
      customer_id: quote.customerId,
      amount_due: amountDue,
      amount_paid: isPaid ? amountDue : '0',
      status: isPaid ? 'paid' : cellOf(row, 'invoice_sent_at') === null ? 'pending' : 'sent',
      sent_at: cellOf(row, 'invoice_sent_at'),
    },
  ];
}

/** Row of payments, if the invoice is paid. */
export function toPayments(quote: LegacyQuote): NewRow[] {
  const paidAt = cellOf(quote.row, 'paid_at');
  if (!quote.hasInvoice || paidAt === null) return [];
  return [
    {
      id: toPaymentId(quote.id),
      tenant_id: quote.tenantId,
      invoice_id: toInvoiceId(quote.id),
      amount: toAmountDue(quote),
      method: filledCellOf(quote.row, 'payment_method') ?? 'unknown',
      paid_at: paidAt,
      created_at: paidAt,
    },
  ];
}

function toAmountDue(quote: LegacyQuote): string {
  return quote.money.total ?? '0';
}
