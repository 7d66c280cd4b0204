import { readFileSync } from 'node:fs';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { expect, test } from 'vitest';
import { contactRow } from '../../../pipelines/crm/sample/rows/contacts.ts';
import { quoteRow } from '../../../pipelines/crm/sample/rows/quotes.ts';
import type { Row } from '../../../pipelines/crm/sample/rows/row.ts';
import { timeText } from '../../../pipelines/crm/sample/rows/times.ts';
import { sampleSetting } from '../../../pipelines/crm/sample/sample-setting.ts';

const COUNT = 2000;
const setting = sampleSetting('unit', 6);
const contacts = Array.from({ length: COUNT }, (_, i) => contactRow(setting, i).row);
const quotes = Array.from({ length: COUNT }, (_, i) => quoteRow(setting, i).row);

const blank = (value: string | null | undefined) => /^[\t\n\v\f\r \u00a0]*$/.test(value ?? '');
const clean = (value: string | null | undefined) =>
  (value ?? '').replace(/^[\t\n\v\f\r \u00a0]+|[\t\n\v\f\r \u00a0]+$/g, '').toLowerCase();
const phoneOf = (raw: string | null | undefined) => {
  const phone = parsePhoneNumberFromString(raw ?? '', 'US');
  return phone?.isPossible() ? phone : undefined;
};
const items = (row: Row): unknown => (row.items === null ? null : JSON.parse(row.items!));
const elements = (row: Row): Record<string, unknown>[] => {
  const value = items(row);
  return Array.isArray(value) ? value : [];
};

test('a row depends on seed and index alone', () => {
  expect(contactRow(sampleSetting('unit', 6), 1234).row).toEqual(contacts[1234]);
  expect(quoteRow(sampleSetting('unit', 6), 1234).row).toEqual(quotes[1234]);
  expect(quoteRow(sampleSetting('other', 6), 1234).row).not.toEqual(quotes[1234]);
});

test.each(['contacts', 'quotes'])('%s rows have the columns of the legacy table', (table) => {
  const sql = readFileSync(new URL('../../../pipelines/crm/sample/legacy-schema.sql', import.meta.url), 'utf8');
  const body = sql.match(new RegExp(`CREATE TABLE ${table} \\(([\\s\\S]*?)\\n\\);`))![1]!;
  const columns = [...body.matchAll(/^ {2}([a-z_]+) /gm)].map((match) => match[1]!).sort();
  const rows = table === 'contacts' ? contacts : quotes;
  expect(columns).toHaveLength(table === 'contacts' ? 57 : 31);
  for (const row of rows) expect(Object.keys(row).sort()).toEqual(columns);
  const alwaysNull = columns.filter((column) => rows.every((row) => row[column] === null));
  expect(alwaysNull).toEqual([]);
});

test('raw phones, threads and ids of contacts are distinct', () => {
  for (const column of ['id', 'phone_number', 'thread_id']) {
    const values = contacts.map((row) => row[column]).filter((value) => value !== null);
    expect(new Set(values).size).toBe(values.length);
  }
});

test('contacts share one number in five spellings', () => {
  const spellings = Map.groupBy(
    contacts.filter((row) => phoneOf(row.phone_number) && !phoneOf(row.phone_number)!.ext),
    (row) => phoneOf(row.phone_number)!.number,
  );
  // Some of the five are among those that opted out and have no phone.
  expect([...spellings.values()].filter((rows) => rows.length === 5).length).toBeGreaterThan(COUNT / 200);
});

test('customers of one company appear under three names and in five spellings of their number', () => {
  const byPhone = [
    ...Map.groupBy(
      quotes.filter((row) => phoneOf(row.phone)),
      (row) => `${row.company_id}|${phoneOf(row.phone)!.number}`,
    ).values(),
  ];
  expect(byPhone.some((rows) => new Set(rows.map((row) => row.customer_name)).size >= 3)).toBe(true);
  expect(byPhone.some((rows) => new Set(rows.map((row) => row.phone)).size >= 5)).toBe(true);
});

const CONTACT_TRAPS: Record<string, (row: Row) => boolean> = {
  'no phone': (row) => row.phone_number === null,
  'blank phone': (row) => row.phone_number !== null && blank(row.phone_number),
  'phone with extension': (row) => phoneOf(row.phone_number)?.ext !== undefined,
  'phone that is none': (row) => !blank(row.phone_number) && !phoneOf(row.phone_number),
  'phone of another country': (row) => phoneOf(row.phone_number)?.countryCallingCode === '49',
  'opted out without phone, with email': (row) =>
    row.opted_out === 'true' && blank(row.phone_number) && !blank(row.email),
  'opted out without anything': (row) => row.opted_out === 'true' && row.phone_number === null && row.email === null,
  'opted out without a time': (row) => row.opted_out === 'true' && row.opted_out_at === null,
  'blank status': (row) => row.lead_status !== null && blank(row.lead_status),
  'status in odd case': (row) => row.lead_status !== clean(row.lead_status) && clean(row.lead_status) === 'converted',
  'no workspace': (row) => row.workspace_id === null,
  'blank workspace': (row) => row.workspace_id !== null && blank(row.workspace_id),
  'long note': (row) => (row.notes?.length ?? 0) > 20_000,
  'tags with commas, quotes and nulls': (row) => (row.tags ?? '').includes('"new, hot","says \\"hi\\"",NULL,""'),
  'custom fields with 30 digits': (row) => /\d{28,}/.test(row.custom_fields ?? ''),
  'nested custom fields': (row) => (row.custom_fields ?? '').includes('[{'),
  'empty custom field name': (row) => (row.custom_fields ?? '').includes('"": '),
  'custom fields JSON null': (row) => row.custom_fields === 'null',
  'custom fields empty': (row) => row.custom_fields === '{}',
  microseconds: (row) => /\.\d{6}\+00$/.test(row.created_at ?? ''),
  'updated before created': (row) => row.updated_at! < row.created_at!,
  'Turkish İ': (row) => (row.name ?? '').includes('İ'),
  'infinite time': (row) => row.last_contacted_at === 'infinity',
};

test.each(Object.entries(CONTACT_TRAPS))('contacts contain: %s', (_, isTrap) => {
  expect(contacts.some(isTrap)).toBe(true);
});

const QUOTE_TRAPS: Record<string, (row: Row) => boolean> = {
  'no phone': (row) => row.phone === null,
  'blank phone': (row) => row.phone !== null && blank(row.phone),
  'phone with extension': (row) => phoneOf(row.phone)?.ext !== undefined,
  'phone of one digit': (row) => row.phone === '555-555-5555',
  'only a name and an address': (row) =>
    blank(row.phone) && blank(row.email) && !blank(row.customer_name) && !blank(row.address),
  'a unicode name and an address only': (row) =>
    blank(row.phone) && blank(row.email) && /[^\0-\u00ff]/.test(row.customer_name ?? '') && !blank(row.address),
  'nothing that identifies': (row) => blank(row.phone) && row.email === null && clean(row.customer_name) === 'unknown',
  'placeholder email': (row) => clean(row.email) === 'noreply@example.org',
  'malformed email': (row) => row.email === 'ivo@localhost',
  'no company': (row) => row.company_id === null,
  'no job name': (row) => row.job_name === null && clean(row.status) === 'completed',
  'blank job name': (row) => row.job_name !== null && blank(row.job_name),
  'converted lead': (row) => clean(row.lead_status) === 'converted',
  'converted lead never sent': (row) => clean(row.lead_status) === 'converted' && row.sent_at === null,
  'invoice while sent': (row) => clean(row.status) === 'sent' && !blank(row.invoice_number),
  'invoice without status': (row) => blank(row.status) && !blank(row.invoice_number),
  'paid without invoice': (row) => row.paid_at !== null && blank(row.invoice_number),
  paid: (row) => row.paid_at !== null && !blank(row.invoice_number),
  'paid by unknown method': (row) => row.paid_at !== null && !blank(row.invoice_number) && blank(row.payment_method),
  'neither lead nor quote': (row) =>
    blank(row.lead_status) &&
    blank(row.status) &&
    blank(row.quote_number) &&
    blank(row.invoice_number) &&
    elements(row).length === 0 &&
    (row.total === null || row.total === '0.00'),
  'status in odd case and spaces': (row) => row.status !== clean(row.status) && clean(row.status) === 'accepted',
  'status nobody knows': (row) => row.status === 'weiß nicht',
  'items null': (row) => row.items === null,
  'items empty': (row) => row.items === '[]',
  'items JSON null': (row) => row.items === 'null',
  'items a blank JSON string': (row) => typeof items(row) === 'string' && blank(items(row) as string),
  'items an array in a JSON string': (row) => typeof items(row) === 'string' && (items(row) as string).startsWith('[{'),
  'items an object': (row) => (row.items ?? '').startsWith('{'),
  'item without unit price': (row) => elements(row).some((item) => item instanceof Object && !('unit_price' in item)),
  'item with numbers as text': (row) => elements(row).some((item) => item?.unit_price === '12.50'),
  'item that is no object': (row) => elements(row).some((item) => !(item instanceof Object)),
  'item with keys of its own': (row) => elements(row).some((item) => item?.sku === 'SKU-0'),
  'many items': (row) => elements(row).length >= 40,
  'long note': (row) => (row.notes?.length ?? 0) > 20_000,
  'NaN total': (row) => row.total === 'NaN',
  'negative total': (row) => (row.total ?? '').startsWith('-'),
  'greatest total': (row) => (row.total ?? '').endsWith('9999999999.99'),
  'created_at null': (row) => row.created_at === null && row.updated_at !== null,
  'updated_at null': (row) => row.created_at !== null && row.updated_at === null,
  emoji: (row) => (row.customer_name ?? '').includes('👩‍🔧'),
  'right to left': (row) => /[\u0590-\u06ff]/.test(row.customer_name ?? ''),
  'combining marks': (row) => /\u0308/.test(row.customer_name ?? ''),
  'Turkish İ': (row) => (row.customer_name ?? '').includes('İ'),
  'Greek final sigma': (row) => (row.customer_name ?? '').includes('ς'),
  'no-break space': (row) => (row.customer_name ?? '').includes('\u00a0'),
  'zero-width space': (row) => (row.customer_name ?? '').includes('\u200b'),
};

test.each(Object.entries(QUOTE_TRAPS))('quotes contain: %s', (_, isTrap) => {
  expect(quotes.some(isTrap)).toBe(true);
});

test.each([
  [0, '1970-01-01 00:00:00+00'],
  [-1, '1969-12-31 23:59:59.999999+00'],
  [951_782_400_120_000, '2000-02-29 00:00:00.12+00'],
  [1_735_689_599_000_001, '2024-12-31 23:59:59.000001+00'],
])('%i µs is %s', (us, text) => {
  expect(timeText(us)).toBe(text);
});
