import { toCountText } from '../../cli/quantity-text.ts';
import { fillPart, toMarkdownRow, toRunLines } from '../page-text.ts';
import type { Results } from '../results.ts';
import { applicationQueries } from './application-queries.ts';
import type { QueriesMeasured, QueryTimes } from './measure-queries.ts';

/** The run whose plans and indexes the page shows. */
const PLANS_OF = 100_000;

/**
 * The page of the application's queries with the figures of a run, and with its plans if it is of the usual size. Other sizes keep theirs. Throws as
 * `fillPart` does.
 */
export function fillQueriesPage(page: string, results: Results): string {
  const measured = results.queries;
  if (measured === undefined) throw new Error('the run measured no queries');
  const filled = fillPart(page, `figures of ${toCountText(measured.leads)} leads`, toFigures(results, measured));
  if (measured.leads !== PLANS_OF) return filled;
  return fillPart(fillPart(filled, 'plans', toPlans(measured)), 'indexes', toIndexes(measured));
}

function toFigures(results: Results, { queries }: QueriesMeasured): string[] {
  const ms = (value: number) => (value < 1000 ? value.toFixed(2) : toCountText(Math.round(value)));
  const met = ({ isMet }: QueryTimes) => (isMet === null ? '' : isMet ? 'met' : 'not met');
  const wanted = ({ wantedMs }: QueryTimes) => (wantedMs === null ? '' : `< ${toCountText(wantedMs)}`);
  return [
    ...toRunLines(results),
    '',
    toMarkdownRow(['', 'wanted', 'p50', 'p95', 'max', 'errors', '']),
    toMarkdownRow(['---', '---', '---', '---', '---', '---', '---']),
    ...queries.map((query) =>
      toMarkdownRow([
        ...[query.name, wanted(query), ms(query.ms.p50), ms(query.ms.p95), ms(query.ms.max), String(query.errors)],
        met(query),
      ]),
    ),
    '',
    ...queries.flatMap(({ name, perSecond }) =>
      perSecond === undefined ? [] : [`- ${name}: ${perSecond} queries a second`],
    ),
  ];
}

function toPlans(measured: QueriesMeasured): string[] {
  const lines: string[] = [];
  const seen = new Set<string>();
  for (const { name, sql } of applicationQueries(measured)) {
    const found = measured.queries.find((query) => query.name === name);
    if (!seen.has(sql)) lines.push(`### ${name[0]!.toUpperCase()}${name.slice(1)}`, '', '```sql', `${sql};`, '```', '');
    else lines.push(`As ${name}:`, '');
    seen.add(sql);
    const indexes = (found?.indexes ?? []).map((index) => `\`${index}\``).join(', ') || 'none';
    lines.push(`- Plan: \`${found?.plan ?? ''}\``, `- Indexes: ${indexes}`, '');
  }
  return lines.slice(0, -1);
}

function toIndexes(measured: QueriesMeasured): string[] {
  const users = new Map<string, string[]>();
  for (const { name, indexes = [] } of measured.queries)
    for (const index of indexes) users.set(index, [...(users.get(index) ?? []), name]);
  return [
    toMarkdownRow(['index', 'queries']),
    toMarkdownRow(['---', '---']),
    ...[...users]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([index, of]) => toMarkdownRow([`\`${index}\``, of.join('; ')])),
  ];
}
