/** A JSON value that keeps numbers as digits, so that they lose no precision. */
export type Json = string | boolean | null | JsonNumber | readonly Json[] | { readonly [key: string]: Json };

/** A JSON number of any length, kept as digits. */
export class JsonNumber {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

/** A JSON number from its digits or from a safe integer. */
export function number(digits: string | number): JsonNumber {
  return new JsonNumber(String(digits));
}

const utf8 = new TextEncoder();

/** The text that PostgreSQL prints for the value as jsonb: keys by length in bytes, then by bytes; numbers as given. */
export function jsonbText(value: Json): string {
  if (value instanceof JsonNumber) return value.digits;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(jsonbText).join(', ')}]`;
  const keys = Object.keys(value).sort(compareKeys);
  return `{${keys.map((key) => `${JSON.stringify(key)}: ${jsonbText(value[key] as Json)}`).join(', ')}}`;
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

function compareKeys(left: string, right: string): number {
  const a = utf8.encode(left);
  const b = utf8.encode(right);
  if (a.length !== b.length) return a.length - b.length;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
