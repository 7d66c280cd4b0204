import { type Json, jsonbText, number } from '../json-text.ts';
import { createRandom, type Random } from '../random.ts';
import { kindOf, type Shares, without } from './proportions.ts';
import { type Flaw, type Planted, type Setting, sound } from './row.ts';
import { decimalText, randomWork } from './texts.ts';

const SHARES = [
  ['plain', 630],
  ['null', 80],
  ['empty', 50],
  ['json null', 10],
  ['blank string', 5],
  ['string holding an array', 30],
  ['without unit_price', 50],
  ['numbers as text', 50],
  ['long numbers', 10],
  ['unicode', 40],
  ['other keys', 20],
  ['many', 10],
  ['not an array', 4],
  ['not an object', 2],
  ['string with a flaw', 1],
  ['bad quantity', 1],
  ['bad unit_price', 2],
  ['bad total', 1],
  ['bad sort_order', 2],
  ['bad is_upsell', 1],
  ['bad is_discount', 1],
] as const satisfies Shares<string>;

/** Kinds of values in quotes.items. */
export type ItemsKind = (typeof SHARES)[number][0];

const FLAWED: readonly ItemsKind[] = SHARES.slice(12).map(([kind]) => kind);
const SOUND_SHARES = without<ItemsKind>(SHARES, FLAWED, 'plain');

const NOT_NUMBERS: readonly Json[] = ['abc', 'NaN', '1,200', true, '1.2.3', [], {}, '12 USD', 'Infinity'];
const NOT_INTEGERS: readonly Json[] = ['first', number('1.5'), '99999999999', number('2147483648'), false];
const NOT_BOOLEANS: readonly Json[] = ['yes', number(1), 'wahr', [true], '0'];

/** quotes.items: arrays, arrays inside a JSON string, null, and a few values that must be rejected. */
export function quoteItems(setting: Setting, index: number): Planted<string | null> {
  const random = createRandom(`${setting.seed}/items/${index}`);
  return itemsOfKind(random, kindOf(setting.seed, 'items', index, setting.plantRejects ? SHARES : SOUND_SHARES));
}

/** Items of a kind without flaws. */
export function soundItems(random: Random): string | null {
  return itemsOfKind(random, random.weighted(SOUND_SHARES.map(([kind, share]) => [kind, share]))).value;
}

function itemsOfKind(random: Random, kind: ItemsKind): Planted<string | null> {
  switch (kind) {
    case 'null':
      return sound(null);
    case 'empty':
      return sound('[]');
    case 'json null':
      return sound('null');
    case 'blank string':
      return sound(jsonbText(random.pick(['', '  ', '\u00a0\n'])));
    case 'string holding an array':
      return sound(jsonbText(jsonbText(plainItems(random, random.int(0, 3)))));
    case 'not an array': {
      const value = random.pick<Json>([{ name: 'one' }, number(12), true, 'see attachment', '{"name": "x"}', '[1,']);
      return { value: jsonbText(value), flaws: [{ path: 'items', reason: 'not an array' }] };
    }
    case 'not an object': {
      const { items, flaws } = withStrangers(random);
      return { value: jsonbText(items), flaws };
    }
    case 'string with a flaw': {
      const { items, flaws } = withStrangers(random);
      return { value: jsonbText(jsonbText(items)), flaws };
    }
    case 'bad quantity':
      return withBadField(random, 'quantity', random.pick(NOT_NUMBERS), 'not a number');
    case 'bad unit_price':
      return withBadField(random, 'unit_price', random.pick(NOT_NUMBERS), 'not a number');
    case 'bad total':
      return withBadField(random, 'total', random.pick(NOT_NUMBERS), 'not a number');
    case 'bad sort_order':
      return withBadField(random, 'sort_order', random.pick(NOT_INTEGERS), 'not an integer');
    case 'bad is_upsell':
      return withBadField(random, 'is_upsell', random.pick(NOT_BOOLEANS), 'not true or false');
    case 'bad is_discount':
      return withBadField(random, 'is_discount', random.pick(NOT_BOOLEANS), 'not true or false');
    default: {
      const count = kind === 'many' ? random.int(40, 120) : random.int(1, 4);
      return sound(jsonbText(plainItems(random, count).map((item, i) => vary(random, kind, item, i))));
    }
  }
}

type Item = Record<string, Json>;

function plainItems(random: Random, count: number): Item[] {
  return Array.from({ length: count }, (_, i) => {
    const quantity = random.int(1, 12);
    const cents = random.int(500, 90_000);
    const item: Item = {
      name: randomWork(random),
      quantity: number(quantity),
      unit_price: number(decimalText(cents, 2)),
    };
    if (random.chance(0.6)) item.total = number(decimalText(quantity * cents, 2));
    if (random.chance(0.4))
      item.description = random.pick(['incl. material', 'zzgl. Anfahrt', '', '2" pipe\nsecond line']);
    if (random.chance(0.3)) item.sort_order = number(i);
    if (random.chance(0.2)) item.is_upsell = random.chance(0.5);
    if (random.chance(0.1)) item.is_discount = random.chance(0.5);
    if (random.chance(0.2)) item.option_tier = random.pick(['good', 'better', 'best']);
    return item;
  });
}

function vary(random: Random, kind: ItemsKind, item: Item, i: number): Item {
  switch (kind) {
    case 'without unit_price': {
      const { unit_price: _, total: __, ...rest } = item;
      return random.chance(0.5) ? rest : { ...rest, unit_price: random.pick([null, '', ' ']) };
    }
    case 'numbers as text':
      return {
        ...item,
        quantity: random.pick([' 2 ', '+3', '.5', '5.', '1e1', '2']),
        unit_price: random.pick(['12.50', '\u00a07.250', '-4', '1.25e2']),
        sort_order: random.pick<Json>([` ${i}`, `${i}.0`, number('2.0')]),
        is_upsell: random.pick([' TRUE', 'false', 'True\u00a0']),
      };
    case 'long numbers':
      return {
        ...item,
        quantity: number('0.333333333333333333333333333333'),
        unit_price: number('123456789012345678901234567890.12'),
        total: random.pick<Json>([number('1234567890123456789012345678901234567890'), null]),
      };
    case 'unicode':
      return {
        ...item,
        name: random.pick(['Çatı onarımı 🏠', 'Σωλήνας', 'تنظيف', 'Ein Fenster\u00a0groß']),
        description: 'é = e\u0301',
      };
    case 'other keys':
      return {
        ...item,
        sku: `SKU-${i}`,
        supplier: { id: number('10000000000000000000001'), tags: ['a', null] },
        note: null,
      };
    default:
      return item;
  }
}

function withStrangers(random: Random): { items: Json[]; flaws: Flaw[] } {
  const items: Json[] = plainItems(random, random.int(1, 3));
  const at = random.int(0, items.length);
  items.splice(at, 0, random.pick<Json>(['just a text', number(7), null, [], true]));
  return { items, flaws: [{ path: `items[${at + 1}]`, reason: 'not an object' }] };
}

function withBadField(random: Random, field: string, bad: Json, reason: string): Planted<string> {
  const items = plainItems(random, random.int(1, 3));
  const at = random.int(0, items.length - 1);
  items[at] = { ...items[at], [field]: bad };
  return { value: jsonbText(items), flaws: [{ path: `items[${at + 1}].${field}`, reason }] };
}
