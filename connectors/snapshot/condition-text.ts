/** A function that a condition seems to call, by catalog name; `schema` null: the search path decides. */
export interface CalledFunction {
  readonly schema: string | null;
  readonly name: string;
}

/**
 * Result of checking a condition without PostgreSQL. `problem`: why it must not be put into a statement; null if it
 * may.
 */
export interface ConditionText {
  readonly problem: string | null;
  readonly functions: readonly CalledFunction[];
}

const OPENING: Readonly<Record<string, string>> = { '(': ')', '[': ']' };
const TOKEN = /\s+|--|\/\*|'(?:[^']|'')*'(?!')|"(?:[^"]|"")*"(?!")|[\p{L}_][\p{L}\p{N}_]*|\d[\p{L}\p{N}_.]*|\S/gu;

/**
 * Parses a condition just enough to embed it in a statement between parentheses: if all of its brackets are closed, and
 * it has no comments, `;`, `$` or quotes with escapes, it is one expression, whatever it contains.
 * `standard_conforming_strings` must be on.
 */
export function readCondition(text: string): ConditionText {
  const refuse = (problem: string): ConditionText => ({ problem, functions: [] });
  if (text.includes('\0')) return refuse('it holds a zero byte');
  const open: string[] = [];
  const functions: CalledFunction[] = [];
  /** The last tokens other than whitespace, newest first. */
  let last: readonly string[] = [];
  let isAdjacent = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (/^\s/.test(token)) {
      isAdjacent = false;
      continue;
    }
    const [before = '', point = '', schema = ''] = last;
    if (token === '--' || token === '/*') return refuse('it holds a comment');
    if (token === ';') return refuse('it holds a ;');
    if (token === '$') return refuse('it holds a $ outside of quotes');
    if (token === "'" || token === '"') return refuse(`a ${token} in it is not closed`);
    // What looks like one string or name here could end elsewhere, or mean something else, in PostgreSQL.
    if (token.startsWith("'") && isAdjacent && /^(\d.*)?e$/i.test(before))
      return refuse("it holds a string with escapes, E'…'");
    if (token.startsWith('"') && isAdjacent && before === '&') return refuse('it holds a name with escapes, U&"…"');
    if (token in OPENING) {
      open.push(OPENING[token]!);
      if (token === '(' && /^[\p{L}_"]/u.test(before))
        functions.push({ schema: point === '.' ? toName(schema) : null, name: toName(before) });
    } else if ((token === ')' || token === ']') && open.pop() !== token) {
      return refuse(`a ${token} in it closes nothing`);
    }
    last = [token, before, point];
    isAdjacent = true;
  }
  if (open.length > 0) return refuse(`a ${open.at(-1)} is missing in it`);
  if (last.length === 0) return refuse('it is empty');
  return { problem: null, functions };
}

/** The name as in the catalog. */
function toName(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token.toLowerCase();
}
