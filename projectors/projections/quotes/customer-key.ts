import type { Cell, Placeholders } from '../../projection.ts';
import { isFillerNumber } from '../../values/phone.ts';
import { has, hasWhiteSpace, toLowerCase, toNormalisedName, trim } from '../../values/text.ts';

const emailPattern = /^([^@]+)@[^@]+\.[^@]+$/;
/** What a quote says about its customer. */
export interface Identifiers {
  readonly quoteId: string;
  readonly phoneE164: Cell;
  readonly email: Cell;
  readonly name: Cell;
  readonly normalisedAddress: string;
  readonly placeholders: Placeholders;
}

/** Key that quotes of one customer share within a tenant: by phone, else email, else name and address, else the quote itself. */
export function toCustomerKey({
  quoteId,
  phoneE164,
  email,
  name,
  normalisedAddress,
  placeholders,
}: Identifiers): string {
  if (phoneE164 !== null) return `p:${phoneE164}`;
  const mailbox = toIdentifyingEmail(email, placeholders);
  if (mailbox !== null) return `e:${mailbox}`;
  if (normalisedAddress !== '' && isRealName(name, placeholders))
    return `n:${toNormalisedName(name)}|${normalisedAddress}`;
  return `q:${quoteId}`;
}

/** An email, trimmed and in lower case, that identifies somebody; null for one without the form of an address, and for a mailbox of nobody's. */
export function toIdentifyingEmail(cell: Cell, { mailboxes }: Placeholders): string | null {
  if (!has(cell)) return null;
  const email = toLowerCase(trim(cell));
  const local = hasWhiteSpace(email) ? undefined : emailPattern.exec(email)?.[1];
  return local === undefined || mailboxes.has(local) ? null : email;
}

/** Whether a cell names somebody. */
export function isRealName(cell: Cell, { names }: Placeholders): boolean {
  const name = toNormalisedName(cell);
  return name !== '' && !names.has(name);
}

/** Whether a cell is more of a phone number than what people write where they know none. */
export function isRealPhone(cell: Cell): boolean {
  const digits = cell?.replace(/[^0-9]/g, '') ?? '';
  return digits !== '' && !isFillerNumber(digits);
}
