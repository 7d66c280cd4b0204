import type { Cell, LegacyRow, NewRow } from '../../../../projectors/projection.ts';
import { JsonNumber, type JsonValue, parseJson } from '../../../../projectors/values/json.ts';
import { toTextInJson } from '../../../../projectors/values/json-text.ts';
import type { Rejects } from '../../../../projectors/values/rejects.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';

type FieldType = 'text' | 'number' | 'boolean' | 'date' | 'json';

/** Known columns with the type of their custom field. Fields of other columns are text. */
const typeOfColumn: ReadonlyMap<string, FieldType> = new Map([
  ...[
    ...['utm_term', 'utm_content', 'company', 'job_title', 'address', 'city', 'state', 'postal_code', 'country'],
    ...['timezone', 'language', 'preferred_channel', 'whatsapp_id', 'instagram_handle', 'website', 'avatar_url'],
  ].map((column) => [column, 'text'] as const),
  ...['opted_out_at', 'birthday', 'last_message_at', 'last_contacted_at', 'assigned_at'].map(
    (column) => [column, 'date'] as const,
  ),
  ['unread_count', 'number'],
  ['is_blocked', 'boolean'],
]);

/** Legacy columns known to become custom fields. */
export const fieldColumns: readonly string[] = [...typeOfColumn.keys()];

/** Custom fields of a contact's lead: entries of `custom_fields`, and every column of the row that is not `taken`. */
export function toCustomFields(
  row: LegacyRow,
  taken: ReadonlySet<string>,
  leadId: string,
  tenantId: string,
  rejects: Rejects,
): readonly NewRow[] {
  const fields: NewRow[] = [];
  const add = (name: string, value: Cell, type: FieldType) => {
    fields.push({
      id: uuid5(`field:${leadId}|${name}`),
      tenant_id: tenantId,
      lead_id: leadId,
      field_name: name,
      field_value: value,
      field_type: type,
      created_at: row.created_at ?? null,
    });
  };
  for (const [key, value] of readCustomFields(row.custom_fields ?? null, rejects)) {
    add(`custom.${key}`, toTextInJson(value), typeOfJson(value));
  }
  for (const column of Object.keys(row)) {
    const cell = row[column] ?? null;
    const type = typeOfColumn.get(column) ?? 'text';
    if (cell !== null && !taken.has(column))
      add(`contact.${column}`, type === 'boolean' ? toBooleanText(cell) : cell, type);
  }
  return fields;
}

function readCustomFields(cell: Cell, rejects: Rejects): Iterable<readonly [string, JsonValue]> {
  if (cell === null) return [];
  const value = parseJson(cell);
  if (value === null) return [];
  if (value instanceof Map) return value;
  rejects.add('custom_fields', toTextInJson(value) ?? cell, 'not an object');
  return [];
}

function typeOfJson(value: JsonValue): FieldType {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'boolean';
  return value instanceof JsonNumber ? 'number' : 'json';
}

function toBooleanText(cell: string): string {
  if (cell === 't') return 'true';
  return cell === 'f' ? 'false' : cell;
}
