import type { Random } from '../random.ts';
import { kindOf, type Shares, without } from './proportions.ts';
import type { Flaw, Row, Setting } from './row.ts';
import { BLANKS, spellStatus } from './texts.ts';
import { laterUs, timeText } from './times.ts';

const PROGRESS = [
  ['lead', 180],
  ['converted lead', 50],
  ['draft', 110],
  ['sent', 150],
  ['accepted', 90],
  ['scheduled', 80],
  ['completed', 70],
  ['invoiced', 60],
  ['paid', 100],
  ['invoiced while sent', 25],
  ['paid while sent', 10],
  ['invoiced without status', 10],
  ['paid without invoice', 10],
  ['numbered only', 10],
  ['declined', 25],
  ['bare', 20],
] as const satisfies Shares<string>;
type Progress = (typeof PROGRESS)[number][0];

const LEAD = [
  ['as implied', 938],
  ['known', 50],
  ['blank', 8],
  ['unknown', 4],
] as const satisfies Shares<string>;

const STATUSES = ['new', 'contacted', 'qualified', 'nurturing', 'proposal', 'won', 'converted', 'lost', 'unqualified'];

/** Progress of a quote: its status, lead status, numbers and times. */
export interface QuoteProgress {
  readonly row: Row;
  readonly flaws: readonly Flaw[];
  /** The row has an invoice number. */
  readonly invoiced: boolean;
  /** Nothing in the row makes it a quote by itself. */
  readonly bare: boolean;
}

/** The columns for the progress of quote `index`. */
export function quoteProgress(setting: Setting, random: Random, index: number, createdUs: number): QuoteProgress {
  const sound = without<Progress>(PROGRESS, ['paid without invoice'], 'paid');
  const kind = kindOf(setting.seed, 'progress', index, setting.plantRejects ? PROGRESS : sound);
  const shares = setting.plantRejects ? LEAD : without(LEAD, ['unknown'], 'known');
  const columns = progressColumns(random, kind, index, createdUs);
  const flaws: Flaw[] = [];
  if (kind === 'paid without invoice') flaws.push({ path: 'paid_at', reason: 'paid without an invoice number' });
  switch (kindOf(setting.seed, 'quote lead_status', index, shares)) {
    case 'as implied':
      break;
    case 'known':
      columns.lead_status = spellStatus(random, random.pick(STATUSES));
      break;
    case 'blank':
      columns.lead_status = random.pick(BLANKS);
      break;
    case 'unknown':
      columns.lead_status = random.pick(['Maybe?', 'in talks', 'convertido', 'w0n', '\u200bnew']);
      flaws.push({ path: 'lead_status', reason: 'unknown lead status' });
  }
  return {
    row: columns,
    flaws,
    invoiced: columns.invoice_number?.startsWith('INV-') === true,
    bare: kind === 'bare' || kind === 'numbered only',
  };
}

function progressColumns(random: Random, kind: Progress, index: number, createdUs: number): Row {
  const sentUs = laterUs(random, createdUs, 10);
  const scheduledUs = laterUs(random, sentUs, 20);
  const startedUs = laterUs(random, scheduledUs, 5);
  const completedUs = laterUs(random, startedUs, 5);
  const paidUs = laterUs(random, completedUs, 40);
  const none: Row = {
    lead_status: null,
    status: null,
    quote_number: null,
    job_number: null,
    scheduled_at: random.chance(0.02) ? (random.chance(0.05) ? 'infinity' : timeText(scheduledUs)) : null,
    started_at: null,
    completed_at: null,
    sent_at: null,
    invoice_number: null,
    invoice_sent_at: null,
    paid_at: null,
    payment_method: null,
    payment_link_url: random.chance(0.02) ? 'https://example.com/pay/old' : null,
  };
  const draft = {
    ...none,
    status: spellStatus(random, 'draft'),
    quote_number: random.chance(0.9) ? `Q-${10_000 + index}` : ' ',
  };
  const sent = { ...draft, status: spellStatus(random, 'sent'), sent_at: timeText(sentUs) };
  const accepted = {
    ...sent,
    status: spellStatus(random, 'accepted'),
    lead_status: random.chance(0.5) ? 'won' : null,
    job_number: random.chance(0.7) ? `J-${20_000 + index}` : random.pick([null, '']),
  };
  const scheduled = { ...accepted, status: spellStatus(random, 'scheduled'), scheduled_at: timeText(scheduledUs) };
  const completed = {
    ...scheduled,
    status: spellStatus(random, 'completed'),
    started_at: timeText(startedUs),
    completed_at: random.chance(0.95) ? timeText(completedUs) : null,
  };
  const invoice = {
    invoice_number: `INV-${30_000 + index}`,
    invoice_sent_at: random.chance(0.7) ? timeText(completedUs) : null,
    payment_link_url: random.chance(0.5) ? `https://example.com/pay/${index}?c=%C3%A9` : null,
  };
  const payment = { paid_at: timeText(paidUs), payment_method: random.pick(['card', 'Cash', ' ', null]) };
  switch (kind) {
    case 'lead':
      return {
        ...none,
        lead_status: spellStatus(random, random.pick(['new', 'contacted', 'qualified', 'nurturing', 'lost'])),
        status: random.chance(0.1) ? ' ' : null,
      };
    case 'converted lead':
      return {
        ...none,
        lead_status: spellStatus(random, 'converted'),
        status: random.chance(0.6) ? 'accepted' : null,
        sent_at: random.chance(0.5) ? timeText(sentUs) : null,
      };
    case 'draft':
      return draft;
    case 'sent':
      return { ...sent, lead_status: random.chance(0.3) ? 'proposal' : null };
    case 'accepted':
      return accepted;
    case 'scheduled':
      return { ...scheduled, started_at: random.chance(0.2) ? timeText(startedUs) : null };
    case 'completed':
      return completed;
    case 'invoiced':
      return { ...completed, ...invoice };
    case 'paid':
      return { ...completed, ...invoice, ...payment };
    case 'invoiced while sent':
      return { ...sent, ...invoice };
    case 'paid while sent':
      return { ...sent, ...invoice, ...payment };
    case 'invoiced without status':
      return { ...none, ...invoice, status: random.pick([null, '']) };
    case 'paid without invoice':
      return { ...sent, ...payment, invoice_number: random.pick([null, '', '\u00a0']) };
    case 'numbered only':
      return { ...none, quote_number: `Q-${10_000 + index}` };
    case 'declined':
      return { ...sent, status: spellStatus(random, random.pick(['declined', 'expired', 'on hold', 'weiß nicht'])) };
    case 'bare':
      return {
        ...none,
        job_number: random.chance(0.3) ? `J-${index}` : null,
        started_at: random.chance(0.2) ? timeText(startedUs) : null,
      };
  }
}
