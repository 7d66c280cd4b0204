import type { Random } from '../random.ts';

const FIRST = (
  'Ada Bea Calvin Dora Emil Farah Gus Hana Ivo June Kofi Lena Milo Nadia Otis Petra Quentin Rosa Sven Tessa Umar ' +
  'Vera Wanda Xavier Yara Zeke Noor Ines Bruno Cleo'
).split(' ');
const LAST = (
  'Ashby Birch Calloway Dunmore Ellery Farrow Granger Holloway Ibsen Jarrow Kestrel Larkin Marlow Nettleton Orchard ' +
  'Penrose Quimby Radley Sorrel Thorne Underhill Vantage Whitlock Yarrow Zeller Okonjo Devane Marchetti Lindqvist Sato'
).split(' ');
const STREETS = 'Alder Basin Cobbler Dovecote Ember Foundry Granary Hollow Ironwood Juniper Kiln Lantern'.split(' ');
const CITIES = 'Fernhollow,Port Alba,Mill Crossing,Eastwick Bay,Graniteville,Lower Sedge,Tamarack'.split(',');
const WORK = [
  'gutter cleaning',
  'roof repair',
  'drain inspection',
  'window fitting',
  'lawn care',
  'boiler service',
  'fence painting',
  'tile work',
];

/** Names that test case rules, normal forms, direction and invisible characters. */
export const UNICODE_NAMES: readonly string[] = [
  'İbrahim Çelik',
  'ISMAİL IŞIK',
  'ΟΔΥΣΣΕΥΣ ΠΑΠΠΑΣ',
  'οδυσσευς παππας',
  'Zoe\u0308 Ångstro\u0308m',
  'Zoë Ångström',
  'نور الهاشمي\u200f',
  'שירה ברק',
  '林小雨',
  'Ｆｕｌｌ　Ｗｉｄｔｈ',
  '👩‍🔧 Spark & Pipe 🚿',
  'Anna\u00a0Maria  Voss',
  'Jo\u200bnas Fe\u200dldt',
  'ﬁona Straße',
  '\u212aelvin Ohm\u2126',
  'Nguyê\u0303n Thi\u0323 Mai',
  'O’Hara-Łukasz, ǅemal',
];

/** Names that do not identify a person. */
export const PLACEHOLDER_NAMES: readonly string[] = [
  'Walk-In',
  ' walk  in ',
  'UNKNOWN',
  'n/a',
  'None',
  'test',
  'Cash',
  'Customer\u00a0',
  'NA',
  'asdf',
];

/** Emails whose local part does not identify a person. */
export const PLACEHOLDER_EMAILS: readonly string[] = [
  'none@example.com',
  'NoReply@example.org',
  ' no-reply@example.net',
  'test@example.com',
  'na@example.com',
  'n/a@example.org',
  'NoEmail@example.net',
  'x@example.com',
  'unknown@example.org',
  'asdf@example.net',
];

/** Malformed texts in place of an email. */
export const MALFORMED_EMAILS: readonly string[] = [
  'bea at example.com',
  'ivo@localhost',
  'two words@example.com',
  'a@b@example.org',
  '@example.net',
  'petra@.com',
];

/** Blank texts: empty, and every kind of white space. */
export const BLANKS: readonly string[] = ['', ' ', '   ', '\u00a0', '\t\n', ' \u00a0\r\n\v\f'];

/** A person's first and last name. */
export function randomName(random: Random): { first: string; last: string } {
  return { first: random.pick(FIRST), last: random.pick(LAST) };
}

/** The parts of a postal address. */
export function randomAddress(random: Random): { street: string; city: string; state: string; postalCode: string } {
  return {
    street: `${random.int(1, 9800)} ${random.pick(STREETS)} ${random.pick(['St', 'Ave', 'Rd', 'Ln'])}`,
    city: random.pick(CITIES),
    state: random.pick(['OR', 'VT', 'NM', 'WI', 'GA']),
    postalCode: String(random.int(10_000, 99_999)),
  };
}

/** A short description of the work sold. */
export function randomWork(random: Random): string {
  return random.pick(WORK);
}

/** A note of one to four sentences, as people type them. */
export function randomNote(random: Random): string {
  const sentences = [
    'Called back, left a message.',
    'Prefers mornings; dog in the yard 🐕.',
    'Said "maybe next month" — follow up.',
    "Don't use the side gate!",
    'Paid cash\tlast time\\ receipt in drawer',
    'Line one\r\nline two',
    'Wants 2 options: basic & premium (50% up-front).',
    'مرحبا — speaks Arabic, שלום too.',
    '<b>urgent</b>; see {ticket} $1 %s',
  ];
  return Array.from({ length: random.int(1, 4) }, () => random.pick(sentences)).join(' ');
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** About 20 kB of text that does not compress: PostgreSQL stores it out of line. */
export function longNote(random: Random): string {
  const parts: string[] = ['Pasted from the mail client:\n'];
  for (let i = 0; i < 4000; i++) {
    const bits = random.bits();
    parts.push(
      ALPHABET[bits & 63]! +
        ALPHABET[(bits >>> 6) & 63]! +
        ALPHABET[(bits >>> 12) & 63]! +
        ALPHABET[(bits >>> 18) & 63]! +
        ALPHABET[(bits >>> 24) & 63]!,
    );
  }
  return parts.join('');
}

/** A decimal with a fixed number of fraction digits. `units`: its value in units of the last digit. */
export function decimalText(units: number, fractionDigits: number): string {
  const digits = String(Math.abs(units)).padStart(fractionDigits + 1, '0');
  const at = digits.length - fractionDigits;
  return `${units < 0 ? '-' : ''}${digits.slice(0, at)}.${digits.slice(at)}`;
}

/** A status as people and integrations write it, with odd case and surrounding spaces. Trimmed and lower-cased it is the same text. */
export function spellStatus(random: Random, status: string): string {
  if (random.chance(0.85)) return status;
  return random.pick([
    status.toUpperCase(),
    ` ${status}`,
    `${status} \t`,
    `\u00a0${status[0]!.toUpperCase()}${status.slice(1)}\u00a0`,
    `${status}\r\n`,
  ]);
}
