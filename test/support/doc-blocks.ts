// What the pages say to type: fenced blocks, and commands in the running text.

/** A fenced block. `line`: of its opening fence, from 1. */
export interface DocBlock {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** A command of a block of shell, without its comment. */
export interface DocCommand {
  readonly page: string;
  readonly line: number;
  readonly text: string;
}

const SHELL = ['sh', 'bash', 'shell', 'console'];
const FIRST_WORDS = /^(\$ )?(crosswalk|cli\/crosswalk\.sh|make|npx|npm|node|docker|psql|export|cp|[A-Z_]+=\S+ )\b/m;

/** The fenced blocks of a page, in order; those inside of lists too. Throws where a fence is left open. */
export function parseBlocks(page: string, markdown: string): DocBlock[] {
  const blocks: DocBlock[] = [];
  let open: { line: number; language: string; lines: string[] } | null = null;
  for (const [at, line] of markdown.split('\n').entries()) {
    const fence = /^ *```(\S*)\s*$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === null) open = { line: at + 1, language: fence[1]!, lines: [] };
    else {
      blocks.push({ page, line: open.line, language: open.language, text: open.lines.join('\n') });
      open = null;
    }
  }
  if (open !== null) throw new Error(`${page}:${open.line}: a block that does not end`);
  return blocks;
}

/** Whether people type what is in a block: it says so, or says nothing and begins a line as a command does. */
export function isShell({ language, text }: DocBlock): boolean {
  return SHELL.includes(language) || (language === '' && FIRST_WORDS.test(text));
}

/** The commands of a block, one a line; of a `console` those behind a prompt: the rest is what they print. */
export function toCommands({ page, line, language, text }: DocBlock): DocCommand[] {
  return text.split('\n').flatMap((printed, at): DocCommand[] => {
    const typed = language === 'console' ? (/^ *\$ (.*)$/.exec(printed)?.[1] ?? '') : printed;
    const command = typed.replace(/(^|\s+)#( .*)?$/, '').trim();
    return command === '' ? [] : [{ page, line: line + 1 + at, text: command }];
  });
}

/** What a page calls `crosswalk …` in its text, outside of blocks. */
export function parseInlineCommands(page: string, markdown: string): DocCommand[] {
  let isOpen = false;
  return markdown.split('\n').flatMap((line, at): DocCommand[] => {
    if (/^ *```/.test(line)) isOpen = !isOpen;
    if (isOpen) return [];
    return [...line.matchAll(/`(?:crosswalk|cli\/crosswalk\.sh) ([^`]+)`/g)].map((match) => ({
      page,
      line: at + 1,
      text: match[1]!,
    }));
  });
}

/** The first cells of the rows of a page's table of commands, each with the commands that it names. */
export function parseCommandTable(markdown: string): string[] {
  const [, table] = /\| command \| does \|\n\|[-| ]+\|\n((?:\|.*\n)+)/.exec(markdown) ?? [];
  return (table ?? '').split('\n').flatMap((row) => {
    const cell = row.split(' | ')[0] ?? '';
    return [...cell.matchAll(/`([^`]+)`/g)].flatMap((match) => toAlternatives(match[1]!));
  });
}

/** `migrate up / down` is `migrate up` and `migrate down`. */
function toAlternatives(text: string): string[] {
  const [first, ...others] = text.split(' / ');
  const before = first!.split(' ').slice(0, -1);
  return [first!, ...others.map((other) => [...before, other].join(' '))];
}
