import type { Random } from '../random.ts';
import { randomUuid } from '../rows/identifiers.ts';
import { quoteItems, soundItems } from '../rows/items.ts';
import { spellPhone } from '../rows/phones.ts';
import { quoteRow } from '../rows/quotes.ts';
import { type GeneratedRow, type Row, toRejects } from '../rows/row.ts';
import { decimalText, longNote, randomNote, randomWork, spellStatus } from '../rows/texts.ts';
import { timeText } from '../rows/times.ts';
import { type Action, type Change, inOne, update } from './change.ts';
import { type KnownRow, type KnownRows, pickQuote, type Stage } from './known-rows.ts';

/** A kind of action; returns null if the known rows do not allow it. */
export type Happening = (random: Random, known: KnownRows) => Action | null;

/** A new quote. `offset`: its number within this action. */
export function newQuote(random: Random, known: KnownRows, offset = 0): GeneratedRow {
  const { row, rejects } = quoteRow(known.setting, known.made + offset);
  const now = timeText(known.clockUs);
  const { companies, anyWorkspace } = known.setting;
  const company = row.company_id === null && !anyWorkspace && companies.length > 0 ? random.pick(companies) : null;
  return { row: { ...row, company_id: row.company_id ?? company, created_at: now, updated_at: now }, rejects };
}

function step(stages: readonly Stage[], set: (random: Random, known: KnownRows, quote: KnownRow) => Row) {
  return (name: string): Happening =>
    (random, known) => {
      const quote = pickQuote(known, random, stages);
      if (quote === undefined) return null;
      const columns = { ...set(random, known, quote), updated_at: timeText(known.clockUs) };
      return inOne(name, [update('quotes', [quote.id], columns)], 1);
    };
}

function amounts(random: Random): Row {
  const cents = random.int(5_000, 900_000);
  return {
    subtotal: decimalText(cents, 2),
    discount_amount: null,
    tax_rate: '0.0000',
    tax_amount: '0.00',
    total: decimalText(cents, 2),
  };
}

const leadCreated: Happening = (random, known) => {
  const { row, rejects } = newQuote(random, known);
  // A lead only: flaws planted in the columns emptied here are gone.
  const emptied: Row = { status: null, quote_number: null, invoice_number: null, paid_at: null, job_number: null };
  const lead: Row = { ...row, ...emptied, lead_status: 'new' };
  const gone = new Set(['lead_status', 'paid_at', 'invoice_number']);
  return inOne(
    'lead created',
    [{ op: 'insert', table: 'quotes', rows: [lead], rejects: rejects.filter(({ path }) => !gone.has(path)) }],
    1,
  );
};

const quoteCreated: Happening = (random, known) => {
  const { row, rejects } = newQuote(random, known);
  return inOne('quote created', [{ op: 'insert', table: 'quotes', rows: [row], rejects }], 1);
};

const itemsEdited: Happening = (random, known) => {
  const quote = pickQuote(known, random, ['draft', 'sent', 'accepted']);
  if (quote === undefined) return null;
  const items = quoteItems(known.setting, known.made);
  const set = { items: items.value, ...amounts(random), updated_at: timeText(known.clockUs) };
  return inOne('items edited', [update('quotes', [quote.id], set, toRejects('quotes', quote.id, items.flaws))], 1);
};

const quoteDeleted: Happening = (random, known) => {
  const quote = pickQuote(known, random);
  return quote === undefined
    ? null
    : inOne('quote deleted', [{ op: 'delete', table: 'quotes', by: 'id', keys: [quote.id] }]);
};

const customersMerged: Happening = (random, known) => {
  const [kept, other, third] = [pickQuote(known, random), pickQuote(known, random), pickQuote(known, random)];
  if (!kept || !other || !third || new Set([kept.id, other.id, third.id]).size < 3) return null;
  const { company_id, customer_name, email, phone } = kept;
  const set = { company_id: company_id!, customer_name: customer_name!, email: email!, phone: phone! };
  const changes: Change[] = [update('quotes', [other.id], { ...set, updated_at: timeText(known.clockUs) })];
  if (random.chance(0.5)) changes.push({ op: 'delete', table: 'quotes', by: 'id', keys: [third.id] });
  return inOne('customers merged', changes);
};

const quoteKeyChanged: Happening = (random, known) => {
  const quote = pickQuote(known, random);
  return quote === undefined
    ? null
    : inOne('quote key changed', [update('quotes', [quote.id], { id: randomUuid(random) })]);
};

const passingQuote: Happening = (random, known) => {
  const { row } = newQuote(random, known);
  const id = row.id!;
  return inOne(
    'quote created and discarded',
    [
      { op: 'insert', table: 'quotes', rows: [row], rejects: [] },
      update('quotes', [id], { notes: randomNote(random), items: soundItems(random) }),
      { op: 'delete', table: 'quotes', by: 'id', keys: [id] },
    ],
    1,
  );
};

const quotesRepriced: Happening = (random, known) => {
  const pool = known.quotes[random.pick<Stage>(['draft', 'sent', 'completed', 'lead', 'paid', 'other'])];
  const quotes = pool.pickMany(random, Math.min(known.largestTransaction, random.int(50, 500)));
  if (quotes.length === 0) return null;
  const set = {
    tax_rate: '7.2500',
    notes: random.pick([randomNote(random), null]),
    updated_at: timeText(known.clockUs),
  };
  return inOne('quotes updated in bulk', [
    update(
      'quotes',
      quotes.map(({ id }) => id),
      set,
    ),
  ]);
};

const now = (known: KnownRows) => timeText(known.clockUs);

/** All actions on quotes, with their weights. */
export const QUOTE_HAPPENINGS: readonly (readonly [Happening, number])[] = [
  [leadCreated, 60],
  [quoteCreated, 50],
  [step(['lead'], (random) => ({ lead_status: spellStatus(random, 'contacted') }))('lead contacted'), 50],
  [step(['contacted'], (random) => ({ lead_status: spellStatus(random, 'qualified') }))('lead qualified'), 40],
  [
    step(['qualified', 'lead'], (random, known) => ({
      status: spellStatus(random, 'draft'),
      quote_number: `Q-${known.setting.seed.slice(-6)}-${known.made}`,
      job_name: random.chance(0.8) ? randomWork(random) : null,
      items: soundItems(random),
      ...amounts(random),
    }))('quote drafted'),
    40,
  ],
  [itemsEdited, 60],
  [
    step(['draft'], (random, known) => ({ status: spellStatus(random, 'sent'), sent_at: now(known) }))('quote sent'),
    50,
  ],
  [
    step(['sent'], (random, known) => ({
      status: spellStatus(random, 'accepted'),
      lead_status: random.pick(['won', 'converted', null]),
      job_number: random.chance(0.6) ? `J-${known.made}` : null,
    }))('quote accepted'),
    45,
  ],
  [
    step(['accepted'], (random, known) => ({ status: spellStatus(random, 'scheduled'), scheduled_at: now(known) }))(
      'job scheduled',
    ),
    40,
  ],
  [step(['scheduled'], (_, known) => ({ started_at: now(known) }))('job started'), 15],
  [
    step(['scheduled'], (random, known) => ({ status: spellStatus(random, 'completed'), completed_at: now(known) }))(
      'job completed',
    ),
    35,
  ],
  [
    step(['completed', 'sent'], (random, known) => ({
      invoice_number: `INV-${known.made}-${random.int(100, 999)}`,
      invoice_sent_at: random.chance(0.6) ? now(known) : null,
      ...amounts(random),
    }))('quote invoiced'),
    40,
  ],
  [
    step(['invoiced'], (random, known) => ({
      paid_at: now(known),
      payment_method: random.pick(['card', 'cash', null, ' ']),
    }))('invoice paid'),
    35,
  ],
  [step(['paid'], () => ({ paid_at: null, payment_method: null }))('invoice un-paid'), 10],
  [step(['invoiced'], () => ({ invoice_number: null, invoice_sent_at: null }))('invoice withdrawn'), 4],
  [quoteDeleted, 20],
  [
    step(['lead', 'draft', 'sent', 'paid', 'other'], (random, known) => ({
      phone: random.pick([spellPhone(known.made % 4000, random.int(0, 4)), null]),
    }))('customer phone changed'),
    25,
  ],
  [
    step(['lead', 'draft', 'sent', 'invoiced'], (random) => ({
      address: random.pick([`${random.int(1, 99)} Sluice Rd, Tamarack`, null]),
      email: random.pick([`moved${random.int(1, 400)}@example.org`, null, '']),
    }))('customer details edited'),
    25,
  ],
  [
    step(['lead', 'draft', 'sent', 'paid', 'other'], (random, { setting }) => ({
      company_id:
        (setting.anyWorkspace && random.chance(0.2)) || setting.companies.length === 0
          ? null
          : random.pick(setting.companies),
    }))('company moved'),
    10,
  ],
  [step(['lead', 'draft', 'sent', 'other'], (random) => ({ notes: longNote(random) }))('long note written'), 5],
  [customersMerged, 10],
  [quoteKeyChanged, 2],
  [passingQuote, 8],
  [quotesRepriced, 1],
];
