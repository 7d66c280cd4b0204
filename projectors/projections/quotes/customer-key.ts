import type { Cell } from '../../projection.ts';
import { has, hasWhiteSpace, toLowerCase, toNormalisedName, trim } from '../../values/text.ts';

const emailPattern = /^([^@]+)@[^@]+\.[^@]+$/;
const nobodysMailboxes: ReadonlySet<string> = new Set(['none', 'noreply', 'no-reply', 'test']);
const nobodysNames: ReadonlySet<string> = new Set([
  'walk-in',
  'walk in',
  'unknown',
  'n/a',
  'none',
  'test',
  'cash',
  'customer',
]);

/** What a quote says about its customer. */
export interface Identifiers {
  readonly quoteId: string;
  readonly phoneE164: Cell;
  readonly email: Cell;
  readonly name: Cell;
  readonly normalisedAddress: string;
}

/** Key that quotes of one customer share within a tenant: by phone, else email, else name and address, else the quote itself. */
export function toCustomerKey({ quoteId, phoneE164, email, name, normalisedAddress }: Identifiers): string {
  if (phoneE164 !== null) return `p:${phoneE164}`;
  const mailbox = toIdentifyingEmail(email);
  if (mailbox !== null) return `e:${mailbox}`;
  const normalisedName = normalisedAddress === '' ? '' : toNormalisedName(name);
  if (normalisedName !== '' && !nobodysNames.has(normalisedName)) return `n:${normalisedName}|${normalisedAddress}`;
  return `q:${quoteId}`;
}

function toIdentifyingEmail(cell: Cell): string | null {
  if (!has(cell)) return null;
  const email = toLowerCase(trim(cell));
  const local = hasWhiteSpace(email) ? undefined : emailPattern.exec(email)?.[1];
  return local === undefined || nobodysMailboxes.has(local) ? null : email;
}
