import type { Cell } from '../../../../projectors/projection.ts';
import { has, hasWhiteSpace, toLowerCase, toNormalisedName, trim } from '../../../../projectors/values/text.ts';
import type { Placeholders } from '../../tenants.ts';
import { isFillerNumber } from '../../values/phone.ts';

const emailPattern = /^([^@]+)@[^@]+\.[^@]+$/;

/** The parts of a quote that identify its customer; null if a part identifies nobody. */
export interface Person {
  readonly phoneE164: Cell;
  /** Trimmed and lower-cased. */
  readonly email: Cell;
  /** Normalised. */
  readonly name: Cell;
}

/** Reads the customer's identity. `phoneE164` is null if the phone identifies nobody. */
export function readPerson(phoneE164: Cell, email: Cell, name: Cell, placeholders: Placeholders): Person {
  return {
    phoneE164,
    email: toIdentifyingEmail(email, placeholders),
    name: toIdentifyingName(name, placeholders),
  };
}

/** Key shared by the quotes of one customer within a tenant: by phone, else email, else name and address, else the quote itself. */
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

/** Whether a cell holds more of a phone number than a usual placeholder. */
export function isRealPhone(cell: Cell): boolean {
  const digits = cell?.replace(/[^0-9]/g, '') ?? '';
  return digits !== '' && !isFillerNumber(digits);
}
