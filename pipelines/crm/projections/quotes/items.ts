import type { Cell, NewRow } from '../../../../projectors/projection.ts';
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../../../../projectors/values/json.ts';
import { toJsonbText, toTextInJson } from '../../../../projectors/values/json-text.ts';
import { hasDigitsWithin, multiply, parseNumeric, toInt4 } from '../../../../projectors/values/numeric.ts';
import type { Rejects } from '../../../../projectors/values/rejects.ts';
import { has, toStatusText, trim } from '../../../../projectors/values/text.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';

/** Deepest nesting that every PostgreSQL accepts with its default stack, with a safety margin. */
const maxDepthInText = 6000;
const maxNumberLength = 1000;

const knownKeys: ReadonlySet<string> = new Set([
  'name',
  'description',
  'quantity',
  'unit_price',
  'total',
  'option_tier',
  'is_upsell',
  'is_discount',
  'sort_order',
]);

/** Elements of `items`: of the array, or of the array inside a JSON string; empty if there is none. */
export function readItems(cell: Cell, rejects: Rejects): readonly JsonValue[] {
  if (cell === null) return [];
  const value = parseJson(cell);
  if (value === null || Array.isArray(value)) return value ?? [];
  if (typeof value === 'string') {
    const inner = has(value) ? parseJson(value, maxDepthInText) : [];
    if (Array.isArray(inner)) return inner;
  }
  rejects.add('items', toTextInJson(value) ?? cell, 'not an array');
  return [];
}

/** Rows for the elements that are objects. Rejects other elements, and values without a valid form. */
export function toItems(items: readonly JsonValue[], quoteId: string, tenantId: string, rejects: Rejects): NewRow[] {
  const rows: NewRow[] = [];
  for (const [index, element] of items.entries()) {
    const ordinal = index + 1;
    if (element instanceof Map) {
      rows.push(toItem(element, ordinal, quoteId, tenantId, rejects));
    } else {
      rejects.add(`items[${ordinal}]`, toTextInJson(element) ?? 'null', 'not an object');
    }
  }
  return rows;
}

function toItem(item: JsonObject, ordinal: number, quoteId: string, tenantId: string, rejects: Rejects): NewRow {
  const read = (field: string, fallback: () => Cell, parse: (value: JsonValue) => Cell, reason: string): Cell => {
    const value = item.get(field);
    if (isMissing(value)) return fallback();
    return parse(value) ?? rejects.add(`items[${ordinal}].${field}`, toTextInJson(value) ?? '', reason);
  };
  const quantity = read('quantity', () => '1', toNumber, 'not a number');
  const unitPrice = read('unit_price', () => null, toNumber, 'not a number');
  const product = () => (quantity === null || unitPrice === null ? null : multiply(quantity, unitPrice));
  return {
    id: uuid5(`item:${quoteId}:${ordinal}`),
    tenant_id: tenantId,
    quote_id: quoteId,
    name: toTextInJson(item.get('name')),
    description: toTextInJson(item.get('description')),
    quantity,
    unit_price: unitPrice,
    total: read('total', product, toNumber, 'not a number'),
    option_tier: toTextInJson(item.get('option_tier')),
    is_upsell: read('is_upsell', () => 'f', toBoolean, 'not true or false'),
    is_discount: read('is_discount', () => 'f', toBoolean, 'not true or false'),
    sort_order: read('sort_order', () => String(ordinal), toInteger, 'not an integer'),
    source_metadata: toMetadata(item, knownKeys),
  };
}

/** Whether a value counts as null: missing key, JSON null, or blank text. */
export function isMissing(value: JsonValue | undefined): value is null | undefined {
  return value === undefined || value === null || (typeof value === 'string' && !has(value));
}

/** The number in a value, written as a number or as text; null if there is none. */
export function toNumber(value: JsonValue): Cell {
  let numeric: Cell = null;
  if (value instanceof JsonNumber) {
    numeric = value.numeric;
  } else if (typeof value === 'string') {
    const text = trim(value);
    numeric = text.length <= maxNumberLength ? parseNumeric(text) : null;
  }
  const isWithinBounds = numeric !== null && hasDigitsWithin(numeric, maxNumberLength);
  return isWithinBounds ? numeric : null;
}

function toInteger(value: JsonValue): Cell {
  const numeric = toNumber(value);
  return numeric === null ? null : toInt4(numeric);
}

function toBoolean(value: JsonValue): Cell {
  const text = typeof value === 'string' ? toStatusText(value) : value;
  if (text === true || text === 'true') return 't';
  return text === false || text === 'false' ? 'f' : null;
}

/** The other keys of an element with their values, as `jsonb`; null if there are none. */
export function toMetadata(item: JsonObject, known: ReadonlySet<string>): Cell {
  let others: Map<string, JsonValue> | null = null;
  for (const [key, value] of item) {
    if (known.has(key)) continue;
    others ??= new Map();
    others.set(key, value);
  }
  return others === null ? null : toJsonbText(others);
}
