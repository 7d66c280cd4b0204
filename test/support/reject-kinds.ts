// One legacy value of every kind that has no valid form in the new schema, and what it is corrected to.
import { readFileSync } from 'node:fs';
import type { Cell } from '../../projectors/projection.ts';

export interface RejectKind {
  readonly table: string;
  /** As docs/mapping.md names it, with the ordinal 2 of an item. */
  readonly path: string;
  readonly reason: string;
  readonly cells: Readonly<Record<string, Cell>>;
  readonly rawValue: string;
  readonly corrected: Readonly<Record<string, Cell>>;
}

const column =
  (table: string, reason: string) =>
  (path: string, value: string, corrected: Cell, rawValue = value): RejectKind => ({
    ...{ table, path, reason, rawValue, cells: { [path]: value }, corrected: { [path]: corrected } },
  });
const item =
  (field: string, reason: string) =>
  (value: string, rawValue: string, corrected: string): RejectKind => ({
    ...{ table: 'quotes', path: `items[2].${field}`, reason, rawValue },
    cells: { items: `[{}, {"${field}": ${value}}]` },
    corrected: { items: `[{}, {"${field}": ${corrected}}]` },
  });

const contact = (reason: string) => column('contacts', reason);
const quote = (reason: string) => column('quotes', reason);

/** A kind as docs/mapping.md lists it, with the ordinal 2 of an item. */
export interface ListedKind {
  readonly table: string;
  readonly path: string;
  readonly reason: string;
}

/** The kinds that the contract of the mapping lists. A path without a table is one of quotes. */
export const listedKinds: readonly ListedKind[] = readListedKinds();

function readListedKinds(): ListedKind[] {
  const text = readFileSync(new URL('../../docs/mapping.md', import.meta.url), 'utf8');
  const section = text.slice(text.indexOf('## rejects'), text.indexOf('## workspaces'));
  const lines = section.split('\n').filter((line) => line.startsWith('| `'));
  return lines.flatMap((line) => {
    const [, paths = '', , given = ''] = line.split('|').map((cell) => cell.trim());
    const reason = given.replaceAll('`', '');
    const fields = /field in (.+)$/.exec(paths)?.[1]?.split(', ');
    if (fields !== undefined) return fields.map((field) => ({ table: 'quotes', path: `items[2].${field}`, reason }));
    return paths.split('; ').flatMap((group) => {
      const tables = /\(([a-z_, ]+)\)$/.exec(group)?.[1]?.split(', ') ?? ['quotes'];
      const names = [...group.matchAll(/`([^`]+)`/g)].map(([, name]) => name!.replace('<ordinal>', '2'));
      return tables.flatMap((table) => names.map((path) => ({ table, path, reason })));
    });
  });
}

const NOT_FINITE = 'not a finite number';
/** Whatever the contract calls a number that must be finite. */
const notFinite = listedKinds
  .filter(({ reason }) => reason === NOT_FINITE)
  .map(({ table, path }, at) => column(table, NOT_FINITE)(path, ['NaN', 'Infinity', '-Infinity'][at % 3]!, '1.50'));

const bySight: readonly RejectKind[] = [
  contact('unknown lead status')('lead_status', 'Hot!', 'Won '),
  contact('out of range 0 to 100')('lead_score', '101', '100'),
  contact('out of range 0 to 100')('lead_score', '-1', '0'),
  contact('not an object')('custom_fields', '[1, 2]', '{"a": 1}'),
  contact('not an object')('custom_fields', '" "', 'null', ' '),
  quote('unknown lead status')('lead_status', 'Hot!', null),
  column('leads', 'unknown lead status')('status', 'Hot!', ' NEW'),
  column('leads', 'out of range 0 to 100')('score', '101', '100'),
  column('leads', 'out of range 0 to 100')('score', '-1', null),
  quote('paid without an invoice number')('paid_at', '2024-05-01 10:00:00+00', null),
  {
    ...{ table: 'quotes', path: 'invoice_number', reason: 'invoice without an amount', rawValue: 'I-1' },
    cells: { invoice_number: 'I-1', total: null },
    corrected: { invoice_number: 'I-1', total: '0.00' },
  },
  quote('not an array')('items', '{"a": 1}', '[]'),
  quote('not an array')('items', '"[1"', '"[]"', '[1'),
  ...['5', '"{}"', 'null', '[]'].map(
    (element): RejectKind => ({
      ...{ table: 'quotes', path: 'items[2]', reason: 'not an object', rawValue: element.replaceAll('"', '') },
      cells: { items: `[{}, ${element}]` },
      corrected: { items: '[{}, {}]' },
    }),
  ),
  item('quantity', 'not a number')('"abc"', 'abc', '"2"'),
  item('quantity', 'not a number')('1e2000', `1${'0'.repeat(2000)}`, '1e3'),
  item('unit_price', 'not a number')('true', 'true', 'null'),
  item('total', 'not a number')('"1,200"', '1,200', '" "'),
  item('sort_order', 'not an integer')('1.5', '1.5', '1.0'),
  item('sort_order', 'not an integer')('2147483648', '2147483648', '2147483647'),
  item('is_upsell', 'not true or false')('"maybe"', 'maybe', '" TRUE "'),
  item('is_discount', 'not true or false')('1', '1', 'false'),
];

export const rejectKinds: readonly RejectKind[] = [...bySight, ...notFinite];
