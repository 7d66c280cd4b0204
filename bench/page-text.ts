import type { Results } from './results.ts';
import { type Table, toHeadLines, toTables, toWarnings } from './table.ts';

const BEGIN = '<!-- figures: written by `make figures`, do not edit -->';
const END = '<!-- end of figures -->';

/** The page with the figures of a run between its two marks, and a link to each plot. Throws where the page has not both marks once. */
export function fillPage(page: string, results: Results, plots: readonly string[]): string {
  const [before, rest, ...more] = page.split(BEGIN);
  const [, after, ...others] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined || more.length + others.length > 0)
    throw new Error(`the page must have "${BEGIN}" and "${END}" once each`);
  const lines = [
    ...toHeadLines(results).map((line) => `- ${line}`),
    ...toWarnings(results).map((warning) => `- **Warning:** ${warning}`),
    '',
    ...toTables(results).flatMap(toMarkdownLines),
    ...plots.flatMap((name) => [`![${name.replace('.svg', '')}](plots/${name})`, '']),
  ];
  return `${before}${BEGIN}\n\n${lines.join('\n')}\n${END}${after}`;
}

/** A row of a Markdown table. */
export const toMarkdownRow = (cells: readonly string[]) =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

function toMarkdownLines({ title, head, rows, words = [0] }: Table): string[] {
  return [
    `### ${title[0]!.toUpperCase()}${title.slice(1)}`,
    '',
    toMarkdownRow(head),
    toMarkdownRow(head.map((_, at) => (words.includes(at) ? '---' : '---:'))),
    ...rows.map(toMarkdownRow),
    '',
  ];
}
