import { parseNumeric } from './numeric.ts';

/** A number of a JSON text with all its digits, as PostgreSQL's `numeric` prints them. */
export class JsonNumber {
  readonly numeric: string;

  constructor(numeric: string) {
    this.numeric = numeric;
  }
}

/** A JSON object: a Map, because plain objects reorder keys that look like integers and mistake `__proto__`. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** A value of a JSON text, lossless. */
export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | JsonObject;

type Container = JsonValue[] | Map<string, JsonValue>;

const numberToken = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const hexDigits = /^[0-9a-fA-F]{4}$/;
const plainEscapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class InvalidJson extends Error {}

/**
 * Parses a JSON text. Undefined if PostgreSQL's `jsonb` would refuse it (including NUL, lone surrogates and numbers that `numeric` cannot hold), or if it nests deeper
 * than `maxDepth`. No recursion: any depth is safe.
 */
export function parseJson(text: string, maxDepth = Number.POSITIVE_INFINITY): JsonValue | undefined {
  try {
    return new JsonReader(text, maxDepth).read();
  } catch (error) {
    if (error instanceof InvalidJson) return undefined;
    throw error;
  }
}

class JsonReader {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  read(): JsonValue {
    const open: Container[] = [];
    const keys: string[] = [];
    for (;;) {
      let value: JsonValue;
      const first = this.#peek();
      if (first === '[' || first === '{') {
        if (open.length >= this.#maxDepth) throw new InvalidJson();
        this.#at += 1;
        const container: Container = first === '[' ? [] : new Map();
        if (!this.#skip(first === '[' ? ']' : '}')) {
          open.push(container);
          keys.push(first === '{' ? this.#readKey() : '');
          continue;
        }
        value = container;
      } else {
        value = this.#readScalar(first);
      }
      // A value is complete: it goes into its container, which it may complete in turn, and so on outwards.
      for (;;) {
        const container = open.at(-1);
        if (container === undefined) {
          if (this.#peek() !== '') throw new InvalidJson();
          return value;
        }
        if (Array.isArray(container)) container.push(value);
        else container.set(keys.at(-1)!, value);
        if (this.#skip(',')) {
          if (!Array.isArray(container)) keys[keys.length - 1] = this.#readKey();
          break;
        }
        if (!this.#skip(Array.isArray(container) ? ']' : '}')) throw new InvalidJson();
        value = container;
        open.pop();
        keys.pop();
      }
    }
  }

  /** The next non-whitespace character, not consumed; empty at the end. */
  #peek(): string {
    for (;;) {
      const codeUnit = this.#text.charCodeAt(this.#at);
      if (codeUnit !== 32 && codeUnit !== 10 && codeUnit !== 13 && codeUnit !== 9) return this.#text.charAt(this.#at);
      this.#at += 1;
    }
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  #readKey(): string {
    if (this.#peek() !== '"') throw new InvalidJson();
    const key = this.#readString();
    if (!this.#skip(':')) throw new InvalidJson();
    return key;
  }

  #readScalar(first: string): JsonValue {
    switch (first) {
      case '"':
        return this.#readString();
      case 't':
        return this.#readWord('true', true);
      case 'f':
        return this.#readWord('false', false);
      case 'n':
        return this.#readWord('null', null);
      default:
        return this.#readNumber();
    }
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw new InvalidJson();
    this.#at += word.length;
    return value;
  }

  #readNumber(): JsonNumber {
    numberToken.lastIndex = this.#at;
    const token = numberToken.exec(this.#text)?.[0];
    const numeric = token === undefined ? null : parseNumeric(token);
    if (token === undefined || numeric === null) throw new InvalidJson();
    this.#at += token.length;
    return new JsonNumber(numeric);
  }

  #readString(): string {
    const text = this.#text;
    let from = this.#at + 1;
    let read = '';
    for (let at = from; ; at += 1) {
      const codeUnit = text.charCodeAt(at);
      if (codeUnit === 34) {
        this.#at = at + 1;
        return read + text.slice(from, at);
      }
      if (codeUnit === 92) {
        read += text.slice(from, at);
        this.#at = at + 1;
        read += this.#readEscape();
        from = this.#at;
        at = from - 1;
      } else if (!(codeUnit >= 32)) {
        // A bare control character, or NaN: the end of the text.
        throw new InvalidJson();
      }
    }
  }

  // Called after the backslash; consumes the escape, and the second one of a surrogate pair.
  #readEscape(): string {
    const letter = this.#text.charAt(this.#at);
    this.#at += 1;
    if (letter !== 'u') {
      const plain = Object.hasOwn(plainEscapes, letter) ? plainEscapes[letter] : undefined;
      if (plain === undefined) throw new InvalidJson();
      return plain;
    }
    const codeUnit = this.#readCodeUnit();
    if (codeUnit === 0 || (codeUnit >= 0xdc00 && codeUnit <= 0xdfff)) throw new InvalidJson();
    if (codeUnit < 0xd800 || codeUnit > 0xdfff) return String.fromCharCode(codeUnit);
    if (!this.#text.startsWith('\\u', this.#at)) throw new InvalidJson();
    this.#at += 2;
    const second = this.#readCodeUnit();
    if (second < 0xdc00 || second > 0xdfff) throw new InvalidJson();
    return String.fromCharCode(codeUnit, second);
  }

  #readCodeUnit(): number {
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!hexDigits.test(digits)) throw new InvalidJson();
    this.#at += 4;
    return Number.parseInt(digits, 16);
  }
}
