import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { applicationQueries } from '../../../bench/queries/application-queries.ts';
import { toIndexNames, toPlanText } from '../../../bench/queries/plan-text.ts';
import { fillQueriesPage } from '../../../bench/queries/queries-page.ts';
import { toReportLines } from '../../../bench/table.ts';
import { quiet } from './sample-results.ts';

const size = { leads: 100_000, tenants: 50 };

describe('queries of the application', () => {
  it('are on their page word for word, with the time that is wanted', () => {
    const page = readFileSync(new URL('../../../docs/queries.md', import.meta.url), 'utf8');
    for (const { name, sql, wantedMs } of applicationQueries(size)) {
      expect(page).toContain(`\n${sql};\n`);
      expect(page).toMatch(new RegExp(`^\\| ${name} \\| < ${wantedMs} \\|`, 'm'));
    }
  });

  it('show their plans in one line, and each index once', () => {
    const scan = { 'Node Type': 'Index Scan', 'Relation Name': 'leads', 'Index Name': 'leads_pkey' };
    const plan = {
      'Node Type': 'Nested Loop',
      Plans: [
        { ...scan, 'Actual Rows': 1, 'Actual Loops': 20 },
        { ...scan, 'Actual Rows': 3, 'Actual Loops': 1 },
      ],
    };
    expect(toPlanText(plan)).toBe(
      'Nested Loop < [Index Scan leads_pkey (1 rows × 20); Index Scan leads_pkey (3 rows × 1)]',
    );
    expect(toIndexNames(plan)).toEqual(['leads_pkey']);
  });

  it('fill their page: the figures of each size, and the plans of the usual one', () => {
    const ms = { count: 200, p50: 0.5, p95: 0.85, p99: 1, max: 1234.4 };
    const measured = applicationQueries(size).map(({ name, wantedMs }) => {
      return {
        name,
        wantedMs,
        ms,
        isMet: true,
        errors: 0,
        rows: 200,
        plan: `Plan of ${name}`,
        indexes: ['leads_pkey'],
      };
    });
    const runOf = (leads: number) => {
      const sizes = { ...size, leads, executions: 200, sessions: 1, queriesPerSession: 1, pauseMs: 1, imports: 1 };
      return { ...quiet, queries: { ...sizes, queries: measured } };
    };
    const parts = ['figures of 100,000 leads', 'figures of 1,000,000 leads', 'plans', 'indexes'];
    const empty = parts
      .map((part) => `<!-- ${part}: written by \`make figures\`, do not edit -->\nold\n<!-- end of ${part} -->`)
      .join('\n\n');
    const large = fillQueriesPage(empty, runOf(1_000_000));
    expect(large.match(/\| lead by id \| < 1 \| 0\.50 \| 0\.85 \| 1,234 \| 0 \| met \|/g)).toHaveLength(1);
    expect(large.match(/^old$/gm)).toHaveLength(3);
    const both = fillQueriesPage(large, runOf(100_000));
    expect(both.match(/\| lead by id \|/g)).toHaveLength(2);
    expect(both).not.toMatch(/^old$/m);
    expect(both).toContain('- Plan: `Plan of lead by id`\n- Indexes: `leads_pkey`\n');
    expect(both.match(/^\| `leads_pkey` \| lead by id; page of a contact; /gm)).toHaveLength(1);
    expect(() => fillQueriesPage('', runOf(100_000))).toThrow('the page must have');
  });

  it('are a table of wanted and measured times', () => {
    const ms = { count: 200, p50: 0.5, p95: 0.85, p99: 1, max: 2.4 };
    const one = { name: 'lead by id', wantedMs: 1, ms, isMet: true, errors: 0, rows: 200 };
    const sizes = { ...size, executions: 200, sessions: 1, queriesPerSession: 1, pauseMs: 1, imports: 1 };
    const queries = { ...sizes, queries: [one, { ...one, name: 'another', errors: 3, isMet: false }] };
    const text = toReportLines({ ...quiet, queries }).join('\n');
    expect(text).toMatch(/^ {2}lead by id +< 1 +0\.50 +0\.85 +2\.40 +200 +0 +met$/m);
    expect(text).toMatch(/^ {2}another +< 1 +0\.50 +0\.85 +2\.40 +200 +3 +not met$/m);
  });
});
