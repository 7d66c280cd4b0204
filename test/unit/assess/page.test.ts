import { expect, test } from 'vitest';
import { toColumnForm } from '../../../assess/column-form.ts';
import type { ColumnFacts } from '../../../assess/facts.ts';
import { judge } from '../../../assess/judge.ts';
import { toLoadEstimate } from '../../../assess/load-time.ts';
import type { MappingSummary } from '../../../assess/mapping.ts';
import { type Report, toReport } from '../../../assess/report.ts';
import { escapeHtml, html } from '../../../cli/assess/html.ts';
import { toPage } from '../../../cli/assess/page.ts';
import { toLines, toPrintable } from '../../../cli/assess/text.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { CAPTURE, soundFacts, soundServer, soundTable } from '../../support/assess-facts.ts';

const EVIL = `<script>alert("1")</script>&'`;

/** A report in which every name that the database or the pipeline gives is markup. */
function reportOf(evil: string): Report {
  const column: ColumnFacts = {
    ...{ name: evil, type: evil, typeOid: 790, kind: 'b', isArray: false, isNullable: true, generated: null },
  };
  const table = soundTable(evil, {
    columns: [column],
    primaryKey: [],
    candidates: [{ index: evil, columns: [evil], nullable: [evil], isConstraint: true }],
    triggers: [evil],
  });
  const facts = soundFacts({
    server: soundServer({
      version: evil,
      role: { ...soundServer().role, name: evil, mayReplicate: false, unreadable: [evil] },
      idleSlots: [{ name: evil, retainedBytes: 1 }],
      otherSchemas: [evil],
    }),
    tables: [table],
    others: [soundTable(evil)],
  });
  const mapping: MappingSummary = {
    tables: [
      {
        ...{ table: evil, rows: 10, rejectedRows: 9, contributions: 1 },
        rejects: [{ path: evil, reason: evil, count: 9 }],
        throws: [{ projection: evil, reason: evil, count: 1 }],
        targets: [{ table: evil, rows: 1 }],
      },
    ],
    merges: [
      {
        ...{ aggregate: evil, tables: [evil], contributions: 200, keys: 1, isExact: true },
        buckets: [{ least: 101, most: 1000, keys: 1 }],
        largest: [{ contributions: 200, shape: evil }],
      },
    ],
    tenants: { count: 1, unassignedRows: 1, largest: [{ tenant: evil, rows: 9 }], isExact: true },
  };
  const read = { [evil]: { rows: 10, isWhole: true, tooLarge: 0, problem: evil } };
  const projections = [{ name: evil, source: evil } as Projection];
  return toReport({
    ...{ facts, mapping, read, at: '2026-11-29T00:00:00Z', database: evil, sampleRows: 100, rate: null },
    findings: judge(facts, { capture: { ...CAPTURE, tables: [evil] }, projections, mapping, read }),
    pipeline: {
      name: evil,
      legacySchema: evil,
      sources: [evil],
      projections,
      tenants: () => ({}),
      hints: null,
      rejects: null,
    },
    mappedSeconds: 1,
  });
}

test('whatever is called like markup is text on the page', () => {
  const page = toPage(reportOf(EVIL));
  expect(page).not.toMatch(/<script/i);
  expect(page).not.toContain(EVIL);
  const escaped = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;';
  // Names of tables, columns, indexes, slots, roles, reasons, paths, tenants, projections.
  expect(page.split(escaped).length).toBeGreaterThan(30);
});

test('the page needs nothing else, and runs nothing', () => {
  const page = toPage(reportOf('plain'));
  expect(page).not.toMatch(/\b(src|href|action)=|url\(|@import|https?:|<(script|link|iframe|img|object)\b|\son\w+=/i);
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  expect(page).toContain('prefers-color-scheme: dark');
  expect(page).toContain('@media print');
  expect(page).toContain('<p class="verdict blocked">blocked</p>');
  for (const tag of ['main', 'table', 'ul', 'details'])
    expect(page.split(`<${tag}`).length, tag).toBe(page.split(`</${tag}>`).length);
});

test('a template escapes what is no markup, and only that', () => {
  expect(html`<p title="${'"&'}">${'<'}${html`<b>${1}</b>`}${[html`<i>`, html`</i>`]}</p>`.text).toBe(
    '<p title="&quot;&amp;">&lt;<b>1</b><i></i></p>',
  );
  expect(escapeHtml('a\u0000\u001b[0m\u0085b')).toBe('a\ufffd\ufffd[0m\ufffdb');
});

test('what is printed has no character that a terminal obeys', () => {
  const lines = toLines(reportOf('\u001b[2Jx\u202ey\nz'));
  expect(lines.join('')).not.toMatch(/[\p{Cc}\u202e]/u);
  expect(lines.join('\n')).toContain('?[2Jx?y?z');
  expect(toPrintable('plain – text, “quoted”')).toBe('plain – text, “quoted”');
  expect(lines.at(-1)).toBe('blocked');
});

test('the text says what was found', () => {
  const text = toLines(reportOf('people')).join('\n');
  expect(text).toContain('Blocked: somebody must decide\n  Table people has no primary key; the unique index people');
  expect(text).toContain(
    'Values without a valid form\n  read  in all  table   where   reason\n     9       9  people  people  people',
  );
  expect(text).toContain('people.people  people  string  money travels as text of the locale C, such as $1,234.50');
  expect(text).toContain('200 contributions to 1 merged rows');
  expect(text).toMatch(/Initial load: about 0\.0 s for 10 rows at 2,000 a second: measured with rows of 600 bytes/);
});

test('what a sample holds is told of the whole table as well', () => {
  const report = reportOf('people');
  const [table] = report.tables;
  const sampled = { ...report, tables: [{ ...table!, read: { ...table!.read!, isWhole: false, standsFor: 12.5 } }] };
  expect(toLines(sampled).join('\n')).toContain('  9   ≈ 113  people  people  people');
  expect(toPage(sampled)).toContain('<td class="right">9</td><td class="right">≈ 113</td>');
});

test('the load takes the documented rate, or one that was measured', () => {
  expect(toLoadEstimate([100_000, null, 300_000], null)).toMatchObject({
    ...{ rows: 400_000, isWhole: false, rowsPerSecond: 2000, seconds: 200 },
    restsOn: expect.stringContaining('docs/performance.md'),
  });
  expect(toLoadEstimate([100_000], 500)).toMatchObject({
    ...{ isWhole: true, rowsPerSecond: 500, seconds: 200 },
    restsOn: expect.stringContaining('--rate'),
  });
});

test.each([
  ['bigint', 20, {}, 'long', null],
  ['timestamp with time zone', 1184, {}, 'string (ZonedTimestamp)', null],
  ['timestamp', 1114, {}, 'string (IsoTimestamp)', 'no time zone'],
  ['numeric', 1700, {}, 'string', null],
  ['bytea', 17, {}, 'bytes', null],
  ['oid', 26, {}, 'long', 'large object'],
  ['text[]', 1009, { isArray: true }, 'string', 'an array'],
  ['mood', 16_500, { kind: 'e' }, 'string', 'renamed label'],
  ['email', 16_501, { kind: 'd' }, 'string', 'a domain'],
  ['citext', 16_502, {}, 'string', 'an extension'],
  ['integer', 23, { generated: 'virtual' as const }, 'int', 'in no log'],
])('a column of type %s', (type, typeOid, changes, form, remark) => {
  const column = { name: 'x', type, typeOid, kind: 'b', isArray: false, isNullable: true, generated: null, ...changes };
  expect(toColumnForm(column)).toEqual({ form, remark: remark === null ? null : expect.stringContaining(remark) });
});
