import type { Results } from './results.ts';
import { type Table, toHeadLines, toTables, toWarnings } from './table.ts';

/** The page with the figures of a run, and a link to each plot. Throws as `fillPart` does. */
export function fillPage(page: string, results: Results, plots: readonly string[]): string {
  return fillPart(page, 'figures', [
    ...toRunLines(results),
    '',
    ...toTables(results).flatMap(toMarkdownLines),
    ...plots.flatMap((name) => [`![${name.replace('.svg', '')}](plots/${name})`, '']),
  ]);
}

/** The page with these lines between the two marks of a part. Throws where the page has not both marks once. */
export function fillPart(page: string, part: string, lines: readonly string[]): string {
  const [begin, end] = [`<!-- ${part}: written by \`make figures\`, do not edit -->`, `<!-- end of ${part} -->`];
  const [before, rest, ...more] = page.split(begin);
  const [, after, ...others] = rest?.split(end) ?? [];
  if (before === undefined || after === undefined || more.length + others.length > 0)
    throw new Error(`the page must have "${begin}" and "${end}" once each`);
  return `${before}${begin}\n\n${lines.join('\n').trimEnd()}\n\n${end}${after}`;
}

/** Where and how a run was made, and what stands against its figures. */
export const toRunLines = (results: Results) => [
  ...toHeadLines(results).map((line) => `- ${line}`),
  ...toWarnings(results).map((warning) => `- **Warning:** ${warning}`),
];

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
