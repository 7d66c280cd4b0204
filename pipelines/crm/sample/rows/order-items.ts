import { type Json, jsonbText, number } from '../json-text.ts';
import { createRandom, type Random } from '../random.ts';
import { kindOf, type Shares, without } from './proportions.ts';
import { type Planted, type Setting, sound } from './row.ts';
import { decimalText } from './texts.ts';

const SHARES = [
  ['plain', 660],
  ['null', 80],
  ['empty', 40],
  ['json null', 10],
  ['string holding an array', 30],
  ['numbers as text', 50],
  ['without price', 30],
  ['unicode', 30],
  ['other keys', 20],
  ['not an array', 10],
  ['not an object', 10],
  ['bad qty', 10],
  ['bad price', 10],
  ['bad total', 10],
] as const satisfies Shares<string>;

type OrderItemsKind = (typeof SHARES)[number][0];

const FLAWED: readonly OrderItemsKind[] = SHARES.slice(9).map(([kind]) => kind);
const SOUND_SHARES = without<OrderItemsKind>(SHARES, FLAWED, 'plain');
const NOT_NUMBERS: readonly Json[] = ['two', 'NaN', '1,200', true, [], '3 pcs'];

type Item = Record<string, Json>;

/** orders.items: arrays, an array inside a JSON string, null, and a few values that must be rejected. */
export function orderItems(setting: Setting, index: number): Planted<string | null> {
  const random = createRandom(`${setting.seed}/order items/${index}`);
  const kind = kindOf(setting.seed, 'order items', index, setting.plantRejects ? SHARES : SOUND_SHARES);
  const items = plainItems(random, index);
  const at = random.int(0, items.length - 1);
  switch (kind) {
    case 'null':
      return sound(null);
    case 'empty':
      return sound('[]');
    case 'json null':
      return sound('null');
    case 'string holding an array':
      return sound(jsonbText(jsonbText(items)));
    case 'not an array':
      return {
        value: jsonbText(random.pick<Json>([{ sku: 'S' }, 'see invoice', number(7)])),
        flaws: [{ path: 'items', reason: 'not an array' }],
      };
    case 'not an object':
      return {
        value: jsonbText([...items, random.pick<Json>(['S-1', null, number(1)])]),
        flaws: [{ path: `items[${items.length + 1}]`, reason: 'not an object' }],
      };
    case 'bad qty':
      return withBadField(items, at, 'qty', random.pick(NOT_NUMBERS));
    case 'bad price':
      return withBadField(items, at, 'price', random.pick(NOT_NUMBERS));
    case 'bad total':
      return withBadField(items, at, 'total', random.pick(NOT_NUMBERS));
    default:
      return sound(jsonbText(items.map((item) => vary(random, kind, item))));
  }
}

function plainItems(random: Random, index: number): Item[] {
  return Array.from({ length: random.int(1, 4) }, (_, i) => ({
    sku: `S-${index}-${i}`,
    qty: number(random.int(1, 9)),
    price: number(decimalText(random.int(100, 90_000), 2)),
  }));
}

function vary(random: Random, kind: OrderItemsKind, item: Item): Item {
  switch (kind) {
    case 'numbers as text':
      return {
        ...item,
        qty: random.pick([' 2 ', '.5', '1e1', '3']),
        price: random.pick(['12.50', '-4', '\u00a07.250']),
      };
    case 'without price':
      return {
        sku: item.sku!,
        qty: random.pick<Json>([number(2), null, '']),
        total: random.pick<Json>([number('9.90'), null]),
      };
    case 'unicode':
      return { ...item, name: random.pick(['Dachrinne 5\u00a0m', '水管', '🪜']) };
    case 'other keys':
      return { ...item, vat: number('19.00'), note: null };
    default:
      return item;
  }
}

function withBadField(items: readonly Item[], at: number, field: string, bad: Json): Planted<string> {
  const changed = items.map((item, i) => (i === at ? { ...item, [field]: bad } : item));
  return { value: jsonbText(changed), flaws: [{ path: `items[${at + 1}].${field}`, reason: 'not a number' }] };
}
