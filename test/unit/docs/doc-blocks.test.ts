import { expect, test } from 'vitest';
import { isShell, parseBlocks, parseCommandTable, parseInlineCommands, toCommands } from '../../support/doc-blocks.ts';

const page = `Text with \`crosswalk gate <workspace>\` and \`cli/crosswalk.sh lag --json\`.

\`\`\`sh
crosswalk status   # at a glance
# a remark

make demo ROWS=2
\`\`\`

- in a list:
  \`\`\`console
  $ crosswalk gate x
  go  workspace
  \`\`\`

\`\`\`
crosswalk lag
\`\`\`
\`\`\`
table  expected
\`\`\`
`;

test('blocks, with what is typed in them', () => {
  const blocks = parseBlocks('p.md', page);
  expect(blocks.map(({ line, language }) => [line, language])).toEqual([
    [3, 'sh'],
    [11, 'console'],
    [16, ''],
    [19, ''],
  ]);
  expect(blocks.map(isShell)).toEqual([true, true, true, false]);
  expect(toCommands(blocks[0]!).map(({ line, text }) => [line, text])).toEqual([
    [4, 'crosswalk status'],
    [7, 'make demo ROWS=2'],
  ]);
  expect(toCommands(blocks[1]!).map(({ text }) => text)).toEqual(['crosswalk gate x']);
});

test('a block without an end is an error', () => {
  expect(() => parseBlocks('p.md', 'a\n```sh\nb\n')).toThrow('p.md:2');
});

test('commands in the text', () => {
  expect(parseInlineCommands('p.md', page).map(({ text }) => text)).toEqual(['gate <workspace>', 'lag --json']);
});

test('commands of a table, each by itself', () => {
  const table = '| command | does |\n| --- | --- |\n| `migrate up / down` | `x` |\n| `lag`, `wait [--lsn]` | |\n\nend';
  expect(parseCommandTable(table)).toEqual(['migrate up', 'migrate down', 'lag', 'wait [--lsn]']);
});
