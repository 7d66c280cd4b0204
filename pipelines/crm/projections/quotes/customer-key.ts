import type { Cell } from '../../../../projectors/projection.ts';
import { has, hasWhiteSpace, toLowerCase, toNormalisedName, trim } from '../../../../projectors/values/text.ts';
import type { Placeholders } from '../../tenants.ts';
import { isFillerNumber } from '../../values/phone.ts';

const emailPattern = /^([^@]+)@[^@]+\.[^@]+$/;

/** What of a quote identifies its customer; what identifies nobody is null. */
export interface Person {
  readonly phoneE164: Cell;
  /** Trimmed and in lower case. */
  readonly email: Cell;
  /** Normalised. */
  readonly name: Cell;
}

/** Reads who the customer is. `phoneE164` null where the phone identifies nobody. */
export function readPerson(phoneE164: Cell, email: Cell, name: Cell, placeholders: Placeholders): Person {
  return {
    phoneE164,
    email: toIdentifyingEmail(email, placeholders),
    name: toIdentifyingName(name, placeholders),
  };
}

/** Key that quotes of one customer share within a tenant: by phone, else email, else name and address, else the quote itself. */
export function toCustomerKey(quoteId: string, { phoneE164, email, name }: Person, normalisedAddress: string): string {
  if (phoneE164 !== null) return `p:${phoneE164}`;
  if (email !== null) return `e:${email}`;
  if (normalisedAddress !== '' && name !== null) return `n:${name}|${normalisedAddress}`;
  return `q:${quoteId}`;
}

function toIdentifyingEmail(cell: Cell, { mailboxes }: Placeholders): Cell {
  if (!has(cell)) return null;
  const email = toLowerCase(trim(cell));
  const local = hasWhiteSpace(email) ? undefined : emailPattern.exec(email)?.[1];
  return local === undefined || mailboxes.has(local) ? null : email;
}

function toIdentifyingName(cell: Cell, { names }: Placeholders): Cell {
  const name = toNormalisedName(cell);
  return name === '' || names.has(name) ? null : name;
}

/** Whether a cell is more of a phone number than what people write where they know none. */
export function isRealPhone(cell: Cell): boolean {
  const digits = cell?.replace(/[^0-9]/g, '') ?? '';
  return digits !== '' && !isFillerNumber(digits);
}
