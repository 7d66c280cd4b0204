import { readFileSync } from 'node:fs';
import metadata from 'libphonenumber-js/metadata.min.json' with { type: 'json' };
import { expect, test } from 'vitest';

type Row = readonly (string | null)[];

const cell = `(NULL|'(?:[^']|'')*')`;
const rowOf = new RegExp(`\\('([A-Z0-9]+)', '(\\d+)', ${cell}(?:, ${cell}, ${cell})?\\)`, 'g');
const unquote = (text: string | undefined) =>
  text === undefined || text === 'NULL' ? null : text.slice(1, -1).replaceAll("''", "'");

/** Rows that the newest migration with calling codes writes. */
function readRows(): Row[] {
  const sql = readFileSync(new URL('../../../pipelines/crm/migrations/014_look_ups.up.sql', import.meta.url), 'utf8');
  return [...sql.matchAll(rowOf)].map(([, country, code, ...cells]) => [
    country!,
    code!,
    ...cells.slice(0, 3).map((text) => unquote(text)),
  ]);
}

/** The same of the library's metadata: calling code, trunk prefix, what else stands before a number, and what a group of that becomes. */
function readLibrary(): Row[] {
  const { countries, nonGeographic } = metadata as unknown as Record<string, Record<string, unknown[]>>;
  const toRow = (country: string, plan: readonly unknown[], code = plan[0]): Row => [
    country,
    String(code),
    ...[5, 7, 8].map((at) => (plan[at] ? String(plan[at]) : null)),
  ];
  return [
    ...Object.entries(countries!).map(([country, plan]) => toRow(country, plan)),
    ...Object.entries(nonGeographic!).map(([code, plan]) => toRow('001', plan, code)),
  ];
}

const sorted = (rows: readonly Row[]) => rows.map((row) => JSON.stringify(row)).sort();

test('the calling codes of the database are those of the library, of every country', () => {
  const rows = readRows();
  expect(rows.length).toBeGreaterThan(240);
  expect(sorted(rows)).toEqual(sorted(readLibrary()));
});

test('the first digits tell how long a calling code is, as the database reads them', () => {
  const sql = readFileSync(new URL('../../../pipelines/crm/migrations/014_look_ups.up.sql', import.meta.url), 'utf8');
  const of = sql.slice(sql.indexOf('FUNCTION crm.calling_code_of'), sql.indexOf('ELSE left(digits, 3)'));
  const listed = [...of.matchAll(/'(\d{1,2})'/g)].map(([, code]) => code!);
  const codes = [...new Set(readLibrary().map(([, code]) => code!))];
  expect(listed.toSorted()).toEqual(codes.filter((code) => code.length < 3).toSorted());
});
