import { createRandom, type Random } from '../random.ts';
import { FILLERS, spellExotic, spellExtension, spellForeign, spellPhone } from './phones.ts';
import { kindOf, type Shares } from './proportions.ts';
import type { Row } from './row.ts';
import {
  BLANKS,
  MALFORMED_EMAILS,
  PLACEHOLDER_EMAILS,
  PLACEHOLDER_NAMES,
  randomAddress,
  randomName,
  UNICODE_NAMES,
} from './texts.ts';

const CUSTOMERS_PER_THOUSAND = 400;

const IDENTITY = [
  ['phone', 760],
  ['email', 100],
  ['name and address', 90],
  ['nothing', 50],
] as const satisfies Shares<string>;
const PHONE = [
  ['spelled', 880],
  ['extension', 30],
  ['impossible', 20],
  ['filler', 10],
  ['foreign', 35],
  ['exotic', 25],
] as const satisfies Shares<string>;

/** Number of a quote's customer. Quotes share the customers of their block of 1,000, and occasionally an old one. */
export function customerOf(random: Random, index: number): number {
  if (random.chance(0.03)) return random.int(0, 39);
  return Math.floor(index / 1000) * CUSTOMERS_PER_THOUSAND + random.int(0, CUSTOMERS_PER_THOUSAND - 1);
}

/** The columns customer_name, email, phone and address of one quote: the customer as recorded that day. */
export function customerColumns(seed: string, random: Random, index: number, customer: number): Row {
  const self = createRandom(`${seed}/customer/${customer}`);
  const unicode = self.chance(0.15);
  const { first, last } = randomName(self);
  const name = unicode ? self.pick(UNICODE_NAMES) : `${first} ${last}`;
  const email = `${first}.${last}.${customer}@example.${self.pick(['com', 'org', 'net'])}`.toLowerCase();
  const homes = [randomAddress(self), randomAddress(self)];
  const home = homes[random.chance(0.9) ? 0 : 1]!;
  const address = random.pick([
    `${home.street}, ${home.city}, ${home.state} ${home.postalCode}`,
    `${home.street} ${home.city} ${home.state} ${home.postalCode}`.toUpperCase(),
    `${home.street}.,  ${home.city} — ${home.state}\u00a0${home.postalCode}\n`,
  ]);
  const names = unicode
    ? [name, name.toUpperCase(), name.normalize('NFD'), `  ${name.replaceAll(' ', '  ')}`]
    : [name, `${last}, ${first}`, `${first[0]}. ${last}`, name.toUpperCase()];
  const columns: Row = {
    customer_name: writtenName(random, names),
    email: random.chance(0.25) ? random.pick([null, null, ...BLANKS]) : writtenEmail(random, email),
    phone: null,
    address: random.chance(0.15) ? random.pick([null, null, '', ' ', '—, .']) : address,
  };
  switch (kindOf(seed, 'identity', index, IDENTITY)) {
    case 'phone':
      return { ...columns, phone: writtenPhone(seed, random, index, customer) };
    case 'email':
      return { ...columns, phone: random.pick([null, null, '', ' ']), email: writtenEmail(random, email) };
    case 'name and address':
      return {
        ...columns,
        customer_name: random.pick(names),
        email: random.pick([null, '', ...PLACEHOLDER_EMAILS]),
        address,
      };
    case 'nothing':
      return {
        customer_name: random.pick([null, '', ...PLACEHOLDER_NAMES]),
        email: random.pick([null, ...MALFORMED_EMAILS]),
        phone: random.pick([null, '', '\u00a0']),
        address: columns.address!,
      };
  }
}

function writtenName(random: Random, names: readonly string[]): string | null {
  if (random.chance(0.05)) return random.pick(PLACEHOLDER_NAMES);
  if (random.chance(0.04)) return random.pick([null, ...BLANKS]);
  return random.pick(names);
}

function writtenEmail(random: Random, email: string): string {
  if (random.chance(0.8)) return email;
  return random.pick([
    email.toUpperCase(),
    ` ${email}\t`,
    `\u00a0${email}`,
    ...MALFORMED_EMAILS,
    ...PLACEHOLDER_EMAILS,
  ]);
}

function writtenPhone(seed: string, random: Random, index: number, customer: number): string {
  switch (kindOf(seed, 'quote phone', index, PHONE)) {
    case 'spelled':
      return spellPhone(customer, random.int(0, 4));
    case 'extension':
      return spellExtension(customer, customer);
    case 'impossible':
      return random.pick(['12345', 'call the office', '555-01', '?', '+1 212 555 0100 0100 0100 99', '030 9018345']);
    case 'filler':
      return random.pick(FILLERS);
    case 'foreign':
      return random.pick([`+44 7700 900${100 + (customer % 900)}`, spellForeign(customer)]);
    case 'exotic':
      return spellExotic(customer, random.int(0, 2));
  }
}
