// Reads the values that a CHECK constraint allows, if it lists them. PostgreSQL prints `status IN ('a', 'b')` as `CHECK ((status = ANY (ARRAY['a'::text,
// 'b'::text])))`. A constraint that is not understood is ignored: a type that excludes an existing value would be worse than one that is too wide.

/** A column, or VALUE in a domain's constraint (as `value`), and the texts that it may have beside null, as written, without padding. */
export interface CheckMembers {
  readonly column: string;
  readonly members: readonly string[];
  /** Types that the column is cast to before the comparison. */
  readonly casts: readonly string[];
  /** Whether the members are written as numbers. */
  readonly isNumeric: boolean;
}

/** `word`: an unquoted name, which may be an SQL keyword. */
type Token = { readonly kind: 'text' | 'word' | 'quoted' | 'number' | 'sign'; readonly text: string };

const TOKEN =
  /\s*(?:(?<text>E?'(?:[^']|'')*')|(?<quoted>"(?:[^"]|"")*")|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|(?<number>-?\d+(?![\d.]))|(?<sign>::|[()[\],=.]))/uy;

function toTokens(text: string): Token[] | null {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  let end = 0;
  while (end < text.length) {
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) return null;
    end = TOKEN.lastIndex;
    if (groups.text !== undefined) tokens.push({ kind: 'text', text: unquoteText(groups.text) });
    else if (groups.quoted !== undefined)
      tokens.push({ kind: 'quoted', text: groups.quoted.slice(1, -1).replaceAll('""', '"') });
    else if (groups.word !== undefined) tokens.push({ kind: 'word', text: groups.word });
    else if (groups.number !== undefined) tokens.push({ kind: 'number', text: groups.number });
    else tokens.push({ kind: 'sign', text: groups.sign! });
  }
  return tokens;
}

/** A literal as PostgreSQL prints it: quotes doubled; with an E prefix, backslashes too. */
function unquoteText(literal: string): string {
  const plain = literal.replace(/^E?'/, '').slice(0, -1).replaceAll("''", "'");
  return literal.startsWith('E') ? plain.replaceAll('\\\\', '\\') : plain;
}

class NotUnderstood extends Error {}

/** The members that a constraint allows; null if it says anything else. */
export function parseCheckMembers(definition: string): CheckMembers | null {
  const tokens = toTokens(definition.replace(/ NO INHERIT$/, ''));
  if (tokens === null) return null;
  try {
    return new CheckReader(tokens).read();
  } catch (error) {
    if (error instanceof NotUnderstood) return null;
    throw error;
  }
}

interface Literal {
  readonly text: string;
  readonly isNumeric: boolean;
}

class CheckReader {
  private readonly tokens: readonly Token[];
  private at = 0;
  private column: string | null = null;
  private readonly casts: string[] = [];

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  read(): CheckMembers {
    this.word('CHECK');
    this.sign('(');
    const members = this.condition();
    this.sign(')');
    if (this.at < this.tokens.length || this.column === null || members.length === 0) throw new NotUnderstood();
    const isNumeric = members.every((member) => member.isNumeric);
    if (!isNumeric && members.some((member) => member.isNumeric)) throw new NotUnderstood();
    return {
      column: this.column,
      members: [...new Set(members.map(({ text }) => text))],
      casts: this.casts,
      isNumeric,
    };
  }

  /** Conditions joined by OR. A condition that the column is null adds nothing, since null always passes. */
  private condition(): Literal[] {
    const members = this.comparison();
    while (this.takes('word', 'OR')) members.push(...this.comparison());
    return members;
  }

  private comparison(): Literal[] {
    const start = this.at;
    if (this.takes('sign', '(')) {
      // Parentheses around a whole condition, or only around the column.
      try {
        const members = this.condition();
        this.sign(')');
        return members;
      } catch (error) {
        if (!(error instanceof NotUnderstood)) throw error;
        this.at = start;
      }
    }
    this.operand();
    if (this.takes('word', 'IS')) {
      this.word('NULL');
      return [];
    }
    this.sign('=');
    if (!this.takes('word', 'ANY')) return [this.literal()];
    this.sign('(');
    const members = this.array();
    this.sign(')');
    return members;
  }

  /** The column, with casts. It must always be the same column. */
  private operand(): void {
    if (this.takes('sign', '(')) {
      this.operand();
      this.sign(')');
    } else {
      const name = this.name();
      if (this.peek('sign', '(') || (this.column !== null && this.column !== name)) throw new NotUnderstood();
      this.column = name;
    }
    while (this.takes('sign', '::')) this.casts.push(this.type());
  }

  private array(): Literal[] {
    const isWrapped = this.takes('sign', '(');
    this.word('ARRAY');
    this.sign('[');
    const members = [this.literal()];
    while (this.takes('sign', ',')) members.push(this.literal());
    this.sign(']');
    if (this.takes('sign', '::')) this.type();
    if (isWrapped) {
      this.sign(')');
      if (this.takes('sign', '::')) this.type();
    }
    return members;
  }

  /** A text or a whole number, with casts. NULL is not accepted: every value passes a comparison with it. */
  private literal(): Literal {
    let found: Literal;
    if (this.takes('sign', '(')) {
      found = this.literal();
      this.sign(')');
    } else {
      const { kind, text } = this.next();
      if (kind !== 'text' && kind !== 'number') throw new NotUnderstood();
      found = { text, isNumeric: kind === 'number' };
    }
    while (this.takes('sign', '::')) {
      const type = this.type();
      // A negative number is printed as `'-1'::integer`.
      if (/^(smallint|integer|bigint)$/.test(type)) found = { text: found.text, isNumeric: true };
      // A cast with a length truncates the text.
      if (type.includes('(')) throw new NotUnderstood();
    }
    return found;
  }

  /** A type's name as printed, without quotes. */
  private type(): string {
    let name = this.name();
    while (this.takes('sign', '.')) name += `.${this.name()}`;
    if (name === 'character' && this.takes('word', 'varying')) name += ' varying';
    if (this.takes('sign', '(')) {
      name += `(${this.next().text})`;
      this.sign(')');
    }
    while (this.takes('sign', '[')) {
      this.sign(']');
      name += '[]';
    }
    return name;
  }

  private name(): string {
    const token = this.next();
    if (token.kind !== 'word' && token.kind !== 'quoted') throw new NotUnderstood();
    return token.text;
  }

  private next(): Token {
    const token = this.tokens[this.at];
    if (token === undefined) throw new NotUnderstood();
    this.at += 1;
    return token;
  }

  private peek(kind: Token['kind'], text: string): boolean {
    const token = this.tokens[this.at];
    return token?.kind === kind && token.text === text;
  }

  private takes(kind: Token['kind'], text: string): boolean {
    const is = this.peek(kind, text);
    if (is) this.at += 1;
    return is;
  }

  private sign(text: string): void {
    if (!this.takes('sign', text)) throw new NotUnderstood();
  }

  private word(text: string): void {
    if (!this.takes('word', text)) throw new NotUnderstood();
  }
}
