import { type LegacyRow, uuid5 } from 'crosswalk';

/** The key of a legacy row as crosswalk writes one of several columns: a JSON array of their texts. */
export function toKey(row: LegacyRow, columns: readonly string[]): string {
  return JSON.stringify(columns.map((column) => row[column] ?? ''));
}

export const orderKey = ['shop_id', 'order_no'] as const;
export const lineKey = ['shop_id', 'order_no', 'line_no'] as const;

/** Ids of the new rows, from keys of legacy rows: the same ones, however often a row is mapped. */
export const toOrderId = (key: string) => uuid5(`order:${key}`);
export const toLineId = (key: string) => uuid5(`order line:${key}`);
