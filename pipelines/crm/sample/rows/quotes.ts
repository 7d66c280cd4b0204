import { createRandom, type Random } from '../random.ts';
import { pickOften } from './contacts.ts';
import { customerColumns, customerOf } from './customers.ts';
import { uuidOf } from './identifiers.ts';
import { quoteItems } from './items.ts';
import { kindOf, type Shares, without } from './proportions.ts';
import { quoteProgress } from './quote-progress.ts';
import { type Flaw, type GeneratedRow, type Row, type Setting, toRejects } from './row.ts';
import { BLANKS, decimalText, longNote, randomNote, randomWork } from './texts.ts';
import { laterUs, randomTimeUs, timeText } from './times.ts';

const AMOUNTS = [
  ['usual', 960],
  ['null', 16],
  ['zero', 8],
  ['negative', 8],
  ['greatest', 2],
  ['nan subtotal', 1],
  ['nan discount_amount', 1],
  ['nan tax_rate', 1],
  ['nan tax_amount', 1],
  ['nan total', 2],
] as const satisfies Shares<string>;
type AmountsKind = (typeof AMOUNTS)[number][0];
const SOUND_AMOUNTS = without<AmountsKind>(
  AMOUNTS,
  AMOUNTS.slice(5).map(([kind]) => kind),
  'usual',
);
const NOTES = [
  ['null', 550],
  ['short', 380],
  ['blank', 30],
  ['long', 10],
  ['repetitive', 30],
] as const satisfies Shares<string>;
const TIMES = [
  ['both', 970],
  ['created_at null', 8],
  ['updated_at null', 12],
  ['both null', 5],
  ['updated first', 5],
] as const satisfies Shares<string>;

/** The id of the quote with this index. */
export function quoteId(seed: string, index: number): string {
  return uuidOf(`${seed}/quote/${index}`);
}

/** A row of quotes, all columns. */
export function quoteRow(setting: Setting, index: number): GeneratedRow {
  const { seed, plantRejects } = setting;
  const random = createRandom(`${seed}/quotes/${index}`);
  const id = quoteId(seed, index);
  const createdUs = randomTimeUs(random, setting.firstDay, 700);
  const customer = customerOf(random, index);
  const progress = quoteProgress(setting, random, index, createdUs);
  const items = quoteItems(setting, index);
  const planned = kindOf(seed, 'amounts', index, plantRejects ? AMOUNTS : SOUND_AMOUNTS);
  const amounts = progress.invoiced && planned === 'null' && !plantRejects ? 'usual' : planned;
  // A bare row has neither items nor money that would make it a quote.
  const bare = progress.bare && items.flaws.length === 0 && !amounts.startsWith('nan ');
  const flaws: Flaw[] = [...progress.flaws, ...items.flaws];
  if (amounts.startsWith('nan ')) flaws.push({ path: amounts.slice(4), reason: 'not a finite number' });
  if (progress.invoiced && (amounts === 'null' || amounts === 'nan total'))
    flaws.push({ path: 'invoice_number', reason: 'invoice without an amount' });
  const row: Row = {
    id,
    company_id: companyOf(setting, customer, random),
    ...customerColumns(seed, random, index, customer),
    ...progress.row,
    job_name: random.chance(0.25) ? random.pick([null, null, ...BLANKS]) : randomWork(random),
    description: random.chance(0.5) ? `${randomWork(random)}: ${randomNote(random)}` : null,
    items: bare ? random.pick([null, '[]', 'null', '""']) : items.value,
    ...(bare ? bareAmounts(random) : amountColumns(random, amounts)),
    notes: quoteNotes(random, kindOf(seed, 'quote notes', index, NOTES)),
    user_id: random.chance(0.8) ? uuidOf(`${seed}/user/${random.int(0, 9)}`) : null,
    ...timeColumns(random, kindOf(seed, 'quote times', index, TIMES), createdUs),
  };
  return { row, rejects: toRejects('quotes', id, flaws) };
}

function companyOf(setting: Setting, customer: number, random: Random): string | null {
  if (random.chance(0.02) || setting.companies.length === 0) return null;
  return pickOften(createRandom(`${setting.seed}/company/${customer}`), setting.companies);
}

function amountColumns(random: Random, kind: AmountsKind): Row {
  const subtotal = random.int(5_000, 2_000_000);
  const discount = random.chance(0.3) ? random.int(0, 5_000) : 0;
  const rate = random.pick([0, 70_000, 82_500, 190_000]);
  const tax = Math.round(((subtotal - discount) * rate) / 1_000_000);
  const usual: Row = {
    subtotal: decimalText(subtotal, 2),
    discount_amount: discount === 0 ? random.pick([null, '0.00']) : decimalText(discount, 2),
    tax_rate: decimalText(rate, 4),
    tax_amount: decimalText(tax, 2),
    total: decimalText(subtotal - discount + tax, 2),
  };
  switch (kind) {
    case 'usual':
      return usual;
    case 'null':
      return { subtotal: null, discount_amount: null, tax_rate: null, tax_amount: null, total: null };
    case 'zero':
      return { ...usual, subtotal: '0.00', tax_amount: '0.00', total: '0.00' };
    case 'negative':
      return { ...usual, total: decimalText(-subtotal, 2) };
    case 'greatest':
      return { ...usual, tax_rate: '999.9999', total: random.pick(['9999999999.99', '-9999999999.99']) };
    default:
      return { ...usual, [kind.slice(4)]: 'NaN' };
  }
}

function bareAmounts(random: Random): Row {
  return {
    subtotal: random.pick([null, '80.00']),
    discount_amount: null,
    tax_rate: null,
    tax_amount: null,
    total: random.pick([null, '0.00']),
  };
}

function quoteNotes(random: Random, kind: (typeof NOTES)[number][0]): string | null {
  switch (kind) {
    case 'null':
      return null;
    case 'short':
      return randomNote(random);
    case 'blank':
      return random.pick(BLANKS);
    case 'long':
      return longNote(random);
    case 'repetitive':
      return `${randomNote(random)}\n`.repeat(60);
  }
}

function timeColumns(random: Random, kind: (typeof TIMES)[number][0], createdUs: number): Row {
  const created = timeText(createdUs);
  // Imports set whole days, so quotes of one customer tie on updated_at.
  const updatedUs = random.chance(0.1)
    ? (Math.floor(createdUs / 86_400_000_000) + 400) * 86_400_000_000
    : laterUs(random, createdUs, 300);
  const updated = timeText(updatedUs);
  switch (kind) {
    case 'both':
      return { created_at: created, updated_at: updated };
    case 'created_at null':
      return { created_at: null, updated_at: updated };
    case 'updated_at null':
      return { created_at: created, updated_at: null };
    case 'both null':
      return { created_at: null, updated_at: null };
    case 'updated first':
      return { created_at: updated, updated_at: created };
  }
}
