// What the plugin test_decoding writes about a change, as rows. It shares nothing with the connector, on purpose.

/** The cells of a row by column, in PostgreSQL's text. `UNCHANGED`: stored outside of the row and not written again. */
export type HistoryRow = ReadonlyMap<string, string | null | typeof UNCHANGED>;
export const UNCHANGED = Symbol('unchanged');

export interface HistoryTable {
  readonly schema: string;
  readonly table: string;
}

/** One line of the plugin. `old` lacks the columns that were null. */
export type HistoryLine =
  | { readonly kind: 'begin' | 'commit' | 'message' }
  | { readonly kind: 'truncate'; readonly tables: readonly HistoryTable[] }
  | (HistoryTable & {
      readonly kind: 'insert' | 'update' | 'delete';
      readonly old: HistoryRow | null;
      readonly new: HistoryRow | null;
    });

/** Parses a line as written with include-timestamp off. Throws, naming the place in the line and no value, on any other shape. */
export function parseHistoryLine(line: string): HistoryLine {
  if (line.startsWith('BEGIN')) return { kind: 'begin' };
  if (line.startsWith('COMMIT')) return { kind: 'commit' };
  if (line.startsWith('message:')) return { kind: 'message' };
  const text = createScanner(line);
  text.expect('table ');
  const tables = [text.table()];
  while (text.accept(', ')) tables.push(text.table());
  text.expect(': ');
  if (text.accept('TRUNCATE:')) return { kind: 'truncate', tables };
  const table = tables[0]!;
  if (tables.length !== 1) text.fail('one table');
  if (text.accept('INSERT:')) return { kind: 'insert', ...table, old: null, new: rowOrNone(text) };
  if (text.accept('DELETE:')) return { kind: 'delete', ...table, old: rowOrNone(text), new: null };
  text.expect('UPDATE:');
  // A column of that name would be quoted, since it holds a hyphen.
  if (!text.accept(' old-key:')) return { kind: 'update', ...table, old: null, new: rowOrNone(text) };
  const old = text.row();
  text.expect(' new-tuple:');
  return { kind: 'update', ...table, old, new: rowOrNone(text) };
}

type Scanner = ReturnType<typeof createScanner>;

function rowOrNone(text: Scanner): HistoryRow | null {
  const row = text.accept(' (no-tuple-data)') ? null : text.row();
  text.end();
  return row;
}

function createScanner(line: string) {
  let at = 0;
  const fail = (expected: string): never => {
    throw new Error(`not a line of test_decoding: expected ${expected} at ${at} of ${line.length}`);
  };
  const accept = (token: string): boolean => {
    if (!line.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const expect = (token: string): void => {
    if (!accept(token)) fail(JSON.stringify(token));
  };
  /** What stands between quotes, from the first one on; two of them stand for one. */
  const quoted = (quote: string): string => {
    expect(quote);
    let text = '';
    for (;;) {
      const end = line.indexOf(quote, at);
      if (end === -1) fail('the closing quote');
      text += line.slice(at, end);
      at = end + 1;
      if (line[at] !== quote) return text;
      text += quote;
      at += 1;
    }
  };
  const identifier = (): string => {
    if (line[at] === '"') return quoted('"');
    const start = at;
    while (at < line.length && /[a-z0-9_]/.test(line[at]!)) at += 1;
    return at > start ? line.slice(start, at) : fail('a name');
  };
  /** A type's name in brackets: it may hold brackets, `integer[]`, and quoted ones may hold anything. */
  const skipType = (): void => {
    expect('[');
    for (let depth = 1; depth > 0; ) {
      if (at >= line.length) fail('the end of a type');
      if (line[at] === '"') {
        quoted('"');
        continue;
      }
      if (line[at] === '[') depth += 1;
      else if (line[at] === ']') depth -= 1;
      at += 1;
    }
  };
  const value = (): string | null | typeof UNCHANGED => {
    if (line[at] === "'") return quoted("'");
    if (line.startsWith("B'", at)) {
      at += 1;
      return quoted("'");
    }
    const space = line.indexOf(' ', at);
    const word = line.slice(at, space === -1 ? undefined : space);
    if (word === '') fail('a value');
    at += word.length;
    if (word === 'null') return null;
    if (word === 'unchanged-toast-datum') return UNCHANGED;
    // The plugin's own words; PostgreSQL's text of a boolean is one letter.
    return word === 'true' ? 't' : word === 'false' ? 'f' : word;
  };
  return {
    fail,
    accept,
    expect,
    table(): HistoryTable {
      const schema = identifier();
      expect('.');
      return { schema, table: identifier() };
    },
    /** Columns up to the end or to the new row. */
    row(): HistoryRow {
      const row = new Map<string, string | null | typeof UNCHANGED>();
      while (at < line.length && !line.startsWith(' new-tuple:', at)) {
        expect(' ');
        const name = identifier();
        skipType();
        expect(':');
        row.set(name, value());
      }
      return row;
    },
    end(): void {
      if (at < line.length) fail('the end');
    },
  };
}
