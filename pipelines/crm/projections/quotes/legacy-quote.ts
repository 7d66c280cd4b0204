import type { Cell, LegacyRow } from '../../../../projectors/projection.ts';
import { cellOf, toTenantId } from '../../../../projectors/values/cell.ts';
import type { JsonValue } from '../../../../projectors/values/json.ts';
import { isZero } from '../../../../projectors/values/numeric.ts';
import { Rejects, toFiniteNumber } from '../../../../projectors/values/rejects.ts';
import { has, toNormalisedAddress, toStatusText } from '../../../../projectors/values/text.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';
import type { Tenants } from '../../tenants.ts';
import { toE164 } from '../../values/phone.ts';
import { toLeadStatus } from '../contacts/lead-status.ts';
import { type Person, readPerson, toCustomerKey } from './customer-key.ts';
import { readItems } from './items.ts';

const statusesOfWork: ReadonlySet<string> = new Set(['accepted', 'completed', 'scheduled']);

/** Reject reasons for money. */
export const strayMoney = {
  paidWithoutInvoice: 'paid without an invoice number',
  invoiceWithoutAmount: 'invoice without an amount',
} as const;

/** Money columns, in the order of their rejects. */
export const moneyColumns = ['subtotal', 'discount_amount', 'tax_rate', 'tax_amount', 'total'] as const;

/** A legacy quote with the values that its new rows share: read once, decided once. */
export interface LegacyQuote {
  readonly row: LegacyRow;
  readonly id: string;
  readonly tenantId: string;
  readonly phoneE164: Cell;
  readonly person: Person;
  readonly normalisedAddress: string;
  readonly customerKey: string;
  readonly customerId: string;
  readonly leadStatus: Cell;
  readonly status: Cell;
  /** By column; null if rejected. */
  readonly money: Readonly<Record<(typeof moneyColumns)[number], Cell>>;
  readonly items: readonly JsonValue[];
  readonly hasLead: boolean;
  readonly hasQuote: boolean;
  readonly hasJob: boolean;
  readonly hasInvoice: boolean;
  readonly rejects: Rejects;
}

/** Reads a row of `quotes` and decides which new rows it implies. */
export function readLegacyQuote(row: LegacyRow, tenants: Tenants): LegacyQuote {
  const id = row.id ?? '';
  const tenantId = toTenantId(row.company_id);
  const rejects = new Rejects('quotes', id, tenantId);
  const { country, placeholders } = tenants(tenantId);
  const phoneE164 = toE164(row.phone, country);
  const person = readPerson(phoneE164, cellOf(row, 'email'), cellOf(row, 'customer_name'), placeholders);
  const normalisedAddress = toNormalisedAddress(row.address);
  const customerKey = toCustomerKey(id, person, normalisedAddress);
  const items = readItems(cellOf(row, 'items'), rejects);
  const status = toStatusText(row.status);
  const hasInvoice = has(row.invoice_number);
  const leadStatus = toLeadStatus(row, rejects);
  const money = {
    subtotal: toFiniteNumber(row, 'subtotal', rejects),
    discount_amount: toFiniteNumber(row, 'discount_amount', rejects),
    tax_rate: toFiniteNumber(row, 'tax_rate', rejects),
    tax_amount: toFiniteNumber(row, 'tax_amount', rejects),
    total: toFiniteNumber(row, 'total', rejects),
  };
  rejectStrayMoney(row, hasInvoice, money.total, rejects);
  return {
    row,
    id,
    tenantId,
    phoneE164,
    person,
    normalisedAddress,
    customerKey,
    customerId: uuid5(`customer:${tenantId}|${customerKey}`),
    leadStatus,
    status,
    money,
    items,
    hasLead: has(row.lead_status),
    hasQuote: status !== null || hasInvoice || has(row.quote_number) || items.length > 0 || isMoney(row.total),
    hasJob: hasInvoice || (status !== null && statusesOfWork.has(status)),
    hasInvoice,
    rejects,
  };
}

// The legacy value decides, so a rejected total (NaN) still makes its quote.
function isMoney(total: Cell | undefined): boolean {
  return has(total) && !isZero(total);
}

/** Rejects money that no new row shows: a payment without an invoice, and an invoice without an amount. */
function rejectStrayMoney(row: LegacyRow, hasInvoice: boolean, total: Cell, rejects: Rejects): void {
  const paidAt = cellOf(row, 'paid_at');
  if (paidAt !== null && !hasInvoice) rejects.add('paid_at', paidAt, strayMoney.paidWithoutInvoice);
  if (hasInvoice && total === null)
    rejects.add('invoice_number', cellOf(row, 'invoice_number') ?? '', strayMoney.invoiceWithoutAmount);
}
