import { createRandom, type Random } from '../random.ts';
import { activity, marketing, profile } from './contact-details.ts';
import { customFields } from './custom-fields.ts';
import { uuidOf } from './identifiers.ts';
import { spellBlank, spellExotic, spellExtension, spellForeign, spellNoPhone, spellPhone } from './phones.ts';
import { kindOf, type Shares, without } from './proportions.ts';
import { type Flaw, type GeneratedRow, type Planted, type Row, type Setting, sound, toRejects } from './row.ts';
import {
  BLANKS,
  decimalText,
  longNote,
  MALFORMED_EMAILS,
  PLACEHOLDER_EMAILS,
  randomName,
  randomNote,
  spellStatus,
  UNICODE_NAMES,
} from './texts.ts';
import { laterUs, randomTimeUs, timeText } from './times.ts';

const STATUSES = ['new', 'contacted', 'qualified', 'nurturing', 'proposal', 'won', 'converted', 'lost', 'unqualified'];
const LEAD_STATUS = [
  ['known', 900],
  ['null', 78],
  ['blank', 20],
  ['unknown', 2],
] as const satisfies Shares<string>;
const PHONE = [
  ['spelled', 790],
  ['null', 100],
  ['blank', 10],
  ['extension', 30],
  ['exotic', 20],
  ['foreign', 35],
  ['no phone', 15],
] as const satisfies Shares<string>;
const EMAIL = [
  ['clean', 650],
  ['null', 200],
  ['blank', 30],
  ['odd case', 80],
  ['placeholder', 20],
  ['malformed', 20],
] as const satisfies Shares<string>;
const SCORE = [
  ['in range', 700],
  ['null', 294],
  ['bound', 4],
  ['negative', 1],
  ['above', 1],
] as const satisfies Shares<string>;
const VALUE = [
  ['amount', 450],
  ['null', 499],
  ['zero', 40],
  ['negative', 10],
  ['nan', 1],
] as const satisfies Shares<string>;
const OPT_OUT = [
  ['in', 900],
  ['out', 80],
  ['out without phone', 15],
  ['out without anything', 5],
] as const satisfies Shares<string>;
const NOTES = [
  ['short', 400],
  ['null', 520],
  ['blank', 30],
  ['long', 10],
  ['repetitive', 40],
] as const satisfies Shares<string>;
const TAGS = [
  '{vip}',
  '{}',
  '{"new, hot","says \\"hi\\"",NULL,""}',
  '{"a\\\\b","{braces}",İzmir,"tab\there"}',
  '{winter,"roof repair"}',
];

/** The id of the contact with this index. */
export function contactId(seed: string, index: number): string {
  return uuidOf(`${seed}/contact/${index}`);
}

/** A row of contacts, all 57 columns. Raw phones and thread ids are distinct within a seed. */
export function contactRow(setting: Setting, index: number): GeneratedRow {
  const { seed, plantRejects } = setting;
  const random = createRandom(`${seed}/contacts/${index}`);
  const id = contactId(seed, index);
  const createdUs = randomTimeUs(random, setting.firstDay, 700);
  const optOut = kindOf(seed, 'opt_out', index, OPT_OUT);
  const leadStatus = contactLeadStatus(setting, random, index);
  const score = leadScore(
    random,
    kindOf(seed, 'lead_score', index, plantRejects ? SCORE : without(SCORE, ['negative', 'above'], 'null')),
  );
  const value = estimatedValue(
    random,
    kindOf(seed, 'estimated_value', index, plantRejects ? VALUE : without(VALUE, ['nan'], 'null')),
  );
  const custom = customFields(setting, index);
  const reachable = optOut !== 'out without phone' && optOut !== 'out without anything';
  const row: Row = {
    id,
    workspace_id:
      setting.workspaces.length === 0 || random.chance(0.02)
        ? random.pick([null, '', ' '])
        : pickOften(random, setting.workspaces),
    ...names(random),
    phone_number: reachable ? contactPhone(setting, index) : null,
    email: optOut === 'out without anything' ? null : contactEmail(random, kindOf(seed, 'email', index, EMAIL), index),
    lead_status: leadStatus.value,
    lead_status_id: setting.statusOptions.length > 0 && random.chance(0.6) ? random.pick(setting.statusOptions) : null,
    conversation_status: random.chance(0.8)
      ? spellStatus(random, random.pick(['open', 'snoozed', 'closed']))
      : random.pick([null, '']),
    tags: random.chance(0.4) ? random.pick(TAGS) : null,
    sentiment: random.pick(['positive', 'neutral', 'Negative', null]),
    thread_id: random.chance(0.7) ? `thread_${id.slice(0, 8)}_${index}` : null,
    custom_fields: custom.value,
    opted_out: String(optOut !== 'in'),
    opted_out_at: optOut !== 'in' && random.chance(0.8) ? timeText(laterUs(random, createdUs, 200)) : null,
    owner_id: random.chance(0.5) ? uuidOf(`${seed}/user/${random.int(0, 9)}`) : null,
    lead_score: score.value,
    estimated_value: value.value,
    notes: contactNotes(random, kindOf(seed, 'contact notes', index, NOTES)),
    ...marketing(setting, random),
    ...profile(random, index),
    ...activity(random, createdUs),
    created_at: timeText(createdUs),
    updated_at: timeText(random.chance(0.02) ? createdUs - 1 : laterUs(random, createdUs, 300)),
  };
  const flaws: Flaw[] = [...leadStatus.flaws, ...score.flaws, ...value.flaws, ...custom.flaws];
  return { row, rejects: toRejects('contacts', id, flaws) };
}

function contactPhone(setting: Setting, index: number): string | null {
  // Of every hundred contacts, the first five have the same number in five spellings.
  const number = setting.firstPhone + index;
  if (index % 100 < 5) return spellPhone(number - (index % 100), index % 100);
  switch (kindOf(setting.seed, 'contact phone', index, PHONE)) {
    case 'spelled':
      return spellPhone(number, number * 7 + Math.floor(index / 5));
    case 'null':
      return null;
    case 'blank':
      return spellBlank(number);
    case 'extension':
      return spellExtension(number, number);
    case 'exotic':
      return spellExotic(number, number);
    case 'foreign':
      return spellForeign(number);
    case 'no phone':
      return spellNoPhone(number);
  }
}

function contactEmail(random: Random, kind: (typeof EMAIL)[number][0], index: number): string | null {
  const name = randomName(random);
  const clean = `${name.first}.${name.last}${index % 500}@example.${random.pick(['com', 'org', 'net'])}`.toLowerCase();
  switch (kind) {
    case 'clean':
      return clean;
    case 'null':
      return null;
    case 'blank':
      return random.pick(BLANKS);
    case 'odd case':
      return random.pick([` ${clean.toUpperCase()} `, `\u00a0${clean}`, clean.replace('@', '+İ@')]);
    case 'placeholder':
      return random.pick(PLACEHOLDER_EMAILS);
    case 'malformed':
      return random.pick(MALFORMED_EMAILS);
  }
}

function contactLeadStatus(setting: Setting, random: Random, index: number): Planted<string | null> {
  const shares = setting.plantRejects ? LEAD_STATUS : without(LEAD_STATUS, ['unknown'], 'known');
  switch (kindOf(setting.seed, 'contact lead_status', index, shares)) {
    case 'known':
      return sound(spellStatus(random, random.pick(STATUSES)));
    case 'null':
      return sound(null);
    case 'blank':
      return sound(random.pick(BLANKS));
    case 'unknown':
      return {
        value: random.pick(['Hot 🔥', 'call back', 'new!', 'qualifıed']),
        flaws: [{ path: 'lead_status', reason: 'unknown lead status' }],
      };
  }
}

function leadScore(random: Random, kind: (typeof SCORE)[number][0]): Planted<string | null> {
  const outOfRange = [{ path: 'lead_score', reason: 'out of range 0 to 100' }];
  switch (kind) {
    case 'in range':
      return sound(String(random.int(0, 100)));
    case 'null':
      return sound(null);
    case 'bound':
      return sound(random.pick(['0', '100']));
    case 'negative':
      return { value: random.pick(['-1', '-2147483648']), flaws: outOfRange };
    case 'above':
      return { value: random.pick(['101', '120', '2147483647']), flaws: outOfRange };
  }
}

function estimatedValue(random: Random, kind: (typeof VALUE)[number][0]): Planted<string | null> {
  switch (kind) {
    case 'amount':
      return sound(random.chance(0.01) ? '9999999999.99' : decimalText(random.int(1, 5_000_000), 2));
    case 'null':
      return sound(null);
    case 'zero':
      return sound('0.00');
    case 'negative':
      return sound(decimalText(-random.int(1, 90_000), 2));
    case 'nan':
      return { value: 'NaN', flaws: [{ path: 'estimated_value', reason: 'not a finite number' }] };
  }
}

function contactNotes(random: Random, kind: (typeof NOTES)[number][0]): string | null {
  switch (kind) {
    case 'short':
      return randomNote(random);
    case 'null':
      return null;
    case 'blank':
      return random.pick(BLANKS);
    case 'long':
      return longNote(random);
    case 'repetitive':
      return `${randomNote(random)}\n`.repeat(100);
  }
}

function names(random: Random): Row {
  const { first, last } = randomName(random);
  if (random.chance(0.1)) return { firstname: null, lastname: null, name: random.pick(UNICODE_NAMES) };
  if (random.chance(0.05)) return { firstname: random.pick(BLANKS), lastname: null, name: random.pick(BLANKS) };
  return { firstname: first, lastname: last, name: random.chance(0.7) ? `${first} ${last}` : null };
}

/** One of the ids, the first ones more often: tenants differ in size. */
export function pickOften(random: Random, ids: readonly string[]): string {
  return ids[Math.floor(random.fraction() ** 2 * ids.length)]!;
}
