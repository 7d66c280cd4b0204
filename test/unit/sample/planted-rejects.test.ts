import { expect, test } from 'vitest';
import { plantedRejects } from '../../../pipelines/crm/sample/planted-rejects.ts';
import { leadRow } from '../../../pipelines/crm/sample/rows/clients.ts';
import { contactRow } from '../../../pipelines/crm/sample/rows/contacts.ts';
import { quoteRow } from '../../../pipelines/crm/sample/rows/quotes.ts';
import type { GeneratedRow, Row, Setting } from '../../../pipelines/crm/sample/rows/row.ts';
import { sampleSetting } from '../../../pipelines/crm/sample/sample-setting.ts';

const COUNT = 2000;
const legacyLead = (setting: Setting, i: number) => leadRow(setting, i, null);
const STATUSES = 'new contacted qualified nurturing proposal won converted lost unqualified'.split(' ');
const trim = (text: string) => text.replace(/^[\t\n\v\f\r \u00a0]+|[\t\n\v\f\r \u00a0]+$/g, '');

test('a thousand rows of each table hold every kind of reject', () => {
  const rejects = plantedRejects('kinds', { contacts: 1000, quotes: 1000 });
  const kinds = new Set(rejects.map(({ table, path, reason }) => `${table} ${path.replace(/\d+/, 'n')}: ${reason}`));
  expect([...kinds].sort()).toEqual([
    'contacts custom_fields: not an object',
    'contacts estimated_value: not a finite number',
    'contacts lead_score: out of range 0 to 100',
    'contacts lead_status: unknown lead status',
    'leads score: out of range 0 to 100',
    'leads status: unknown lead status',
    'quotes discount_amount: not a finite number',
    'quotes invoice_number: invoice without an amount',
    'quotes items: not an array',
    'quotes items[n].is_discount: not true or false',
    'quotes items[n].is_upsell: not true or false',
    'quotes items[n].quantity: not a number',
    'quotes items[n].sort_order: not an integer',
    'quotes items[n].total: not a number',
    'quotes items[n].unit_price: not a number',
    'quotes items[n]: not an object',
    'quotes lead_status: unknown lead status',
    'quotes paid_at: paid without an invoice number',
    'quotes subtotal: not a finite number',
    'quotes tax_amount: not a finite number',
    'quotes tax_rate: not a finite number',
    'quotes total: not a finite number',
  ]);
});

test('the number of workspaces changes no planted reject', () => {
  const rejects = (workspaces: number) => {
    const setting = sampleSetting('tenants', workspaces);
    return Array.from({ length: COUNT }, (_, i) => [
      ...contactRow(setting, i).rejects,
      ...quoteRow(setting, i).rejects,
      ...leadRow(setting, i, null).rejects,
    ]);
  };
  expect(rejects(9)).toEqual(rejects(1));
});

test('without planting nothing is rejected, with it exactly what was planted', () => {
  const planting = sampleSetting('exact', 6);
  const sound = { ...planting, plantRejects: false };
  for (let i = 0; i < COUNT; i++) {
    for (const rowAt of [contactRow, quoteRow, legacyLead]) {
      expect(pathsFound(rowAt(planting, i))).toEqual(
        rowAt(planting, i)
          .rejects.map(({ path }) => path)
          .sort(),
      );
      expect(rowAt(sound, i).rejects).toEqual([]);
      expect(pathsFound(rowAt(sound, i))).toEqual([]);
    }
  }
});

/** The mapping's rules of rejection, read off the finished row. */
function pathsFound({ row }: GeneratedRow): string[] {
  const paths: string[] = [];
  const leadStatus = trim(row.lead_status ?? '').toLowerCase();
  if (leadStatus !== '' && !STATUSES.includes(leadStatus)) paths.push('lead_status');
  const ofLead = trim(row.status ?? '').toLowerCase();
  if ('client_id' in row && ofLead !== '' && !STATUSES.includes(ofLead)) paths.push('status');
  if (typeof row.score === 'string' && (+row.score < 0 || +row.score > 100)) paths.push('score');
  const amounts = ['estimated_value', 'subtotal', 'discount_amount', 'tax_rate', 'tax_amount', 'total'];
  paths.push(...amounts.filter((column) => row[column] === 'NaN'));
  const invoiced = trim(row.invoice_number ?? '') !== '';
  if (row.paid_at != null && !invoiced) paths.push('paid_at');
  if (invoiced && (row.total === null || row.total === 'NaN')) paths.push('invoice_number');
  if (typeof row.lead_score === 'string' && (+row.lead_score < 0 || +row.lead_score > 100)) paths.push('lead_score');
  if (typeof row.custom_fields === 'string') {
    const value = JSON.parse(row.custom_fields);
    if (value !== null && (typeof value !== 'object' || Array.isArray(value))) paths.push('custom_fields');
  }
  return [...paths, ...itemPaths(row)].sort();
}

function itemPaths(row: Row): string[] {
  if (typeof row.items !== 'string') return [];
  let value = JSON.parse(row.items);
  if (value === null || (typeof value === 'string' && trim(value) === '')) return [];
  if (typeof value === 'string' && /^\[.*\]$/s.test(value)) value = JSON.parse(value);
  if (!Array.isArray(value)) return ['items'];
  return value.flatMap((item, i) => {
    if (item === null || typeof item !== 'object' || Array.isArray(item)) return [`items[${i + 1}]`];
    const bad = (field: string, isGood: (text: string) => boolean) => {
      const cell = item[field];
      if (cell === undefined || cell === null || (typeof cell === 'string' && trim(cell) === '')) return [];
      const text = typeof cell === 'object' ? 'object' : trim(String(cell));
      return isGood(text) ? [] : [`items[${i + 1}].${field}`];
    };
    const isNumber = (field: string) => (text: string) =>
      typeof item[field] !== 'boolean' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
    const isInteger = (text: string) =>
      isNumber('sort_order')(text) && Number.isInteger(+text) && Math.abs(+text) <= 2147483647;
    const isBoolean = (field: string) => (text: string) =>
      typeof item[field] !== 'number' && ['true', 'false'].includes(text.toLowerCase());
    return [
      ...['quantity', 'unit_price', 'total'].flatMap((field) => bad(field, isNumber(field))),
      ...bad('sort_order', isInteger),
      ...['is_upsell', 'is_discount'].flatMap((field) => bad(field, isBoolean(field))),
    ];
  });
}
