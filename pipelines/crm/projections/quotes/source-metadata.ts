import { toOthers } from '../../../../projectors/values/cell.ts';
import { isFiniteNumeric } from '../../../../projectors/values/numeric.ts';
import { type LegacyQuote, moneyColumns } from './legacy-quote.ts';
import { isConverted } from './rows.ts';

type Taken = (quote: LegacyQuote) => boolean;

const always: Taken = () => true;
const byQuoteOrLead: Taken = (quote) => quote.hasQuote || quote.hasLead;
const byQuote: Taken = (quote) => quote.hasQuote;
const byLeadOrJob: Taken = (quote) => quote.hasLead || quote.hasJob;
const byJob: Taken = (quote) => quote.hasJob;
const byInvoice: Taken = (quote) => quote.hasInvoice;

/** Whether a new row shows a legacy column of a quote, by column. Unlisted columns are never shown. */
const isTaken: ReadonlyMap<string, Taken> = new Map([
  ...['id', 'company_id', 'lead_status', 'items'].map((column) => [column, always] as const),
  ...['customer_name', 'email', 'phone', 'address', 'description', 'created_at', 'updated_at'].map(
    (column) => [column, byQuoteOrLead] as const,
  ),
  ...['status', 'job_name', 'notes', 'quote_number', 'user_id'].map((column) => [column, byQuote] as const),
  // Values that are not finite are kept among the rejects.
  ...moneyColumns.map(
    (column) => [column, (quote: LegacyQuote) => byQuote(quote) || isRejected(quote, column)] as const,
  ),
  ['sent_at', (quote) => quote.hasQuote || isConverted(quote)],
  ['scheduled_at', byLeadOrJob],
  ...['job_number', 'started_at', 'completed_at'].map((column) => [column, byJob] as const),
  ...['invoice_number', 'invoice_sent_at', 'paid_at', 'payment_method', 'payment_link_url'].map(
    (column) => [column, byInvoice] as const,
  ),
]);

/** Legacy columns with a mapping rule. */
export const quoteColumns: readonly string[] = [...isTaken.keys()];

/** All legacy values that no new row shows, as a `jsonb` object of texts by column; null if there are none. */
export function toSourceMetadata(quote: LegacyQuote): string | null {
  return toOthers(quote.row, (column) => isTaken.get(column)?.(quote) ?? false);
}

function isRejected(quote: LegacyQuote, column: string): boolean {
  const cell = quote.row[column];
  return cell != null && !isFiniteNumeric(cell);
}
