import type { Cell, NewRow } from '../../../../projectors/projection.ts';
import type { JsonObject, JsonValue } from '../../../../projectors/values/json.ts';
import { toTextInJson } from '../../../../projectors/values/json-text.ts';
import { multiply } from '../../../../projectors/values/numeric.ts';
import type { Rejects } from '../../../../projectors/values/rejects.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';
import { isMissing, toMetadata, toNumber } from '../quotes/items.ts';
import { toOrderId } from './order-id.ts';

const knownKeys: ReadonlySet<string> = new Set(['sku', 'name', 'qty', 'price', 'total']);

/** Rows for the elements that are objects, without their tenant. Rejects other elements, and values without a valid form. */
export function toOrderItems(items: readonly JsonValue[], legacyId: string, rejects: Rejects): NewRow[] {
  return items.flatMap((element, index) => {
    if (element instanceof Map) return [toOrderItem(element, index + 1, legacyId, rejects)];
    rejects.add(`items[${index + 1}]`, toTextInJson(element) ?? 'null', 'not an object');
    return [];
  });
}

function toOrderItem(item: JsonObject, ordinal: number, legacyId: string, rejects: Rejects): NewRow {
  const read = (field: string, fallback: () => Cell): Cell => {
    const value = item.get(field);
    if (isMissing(value)) return fallback();
    return toNumber(value) ?? rejects.add(`items[${ordinal}].${field}`, toTextInJson(value) ?? '', 'not a number');
  };
  const quantity = read('qty', () => '1');
  const unitPrice = read('price', () => null);
  return {
    id: uuid5(`order_item:${legacyId}:${ordinal}`),
    order_id: toOrderId(legacyId),
    position: String(ordinal),
    sku: toTextInJson(item.get('sku')),
    name: toTextInJson(item.get('name')),
    quantity,
    unit_price: unitPrice,
    total: read('total', () => (quantity === null || unitPrice === null ? null : multiply(quantity, unitPrice))),
    source_metadata: toMetadata(item, knownKeys),
  };
}
