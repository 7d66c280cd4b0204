import { JsonNumber, type JsonValue } from './json.ts';
import { compareBytes, utf8Length } from './text.ts';

interface Frame {
  readonly keys: readonly string[] | null;
  readonly values: readonly JsonValue[];
  next: number;
}

/** The text that PostgreSQL's `jsonb` prints for a value, with its key order, spaces and escapes. No recursion. */
export function toJsonbText(value: JsonValue): string {
  let text = '';
  const frames: Frame[] = [];
  let current: JsonValue | undefined = value;
  for (;;) {
    if (current !== undefined) {
      const frame = toFrame(current);
      if (frame === null) {
        text += toScalarText(current);
      } else {
        text += frame.keys === null ? '[' : '{';
        frames.push(frame);
      }
    }
    const frame = frames.at(-1);
    if (frame === undefined) return text;
    if (frame.next < frame.values.length) {
      if (frame.next > 0) text += ', ';
      if (frame.keys !== null) text += `${JSON.stringify(frame.keys[frame.next])}: `;
      current = frame.values[frame.next];
      frame.next += 1;
    } else {
      text += frame.keys === null ? ']' : '}';
      frames.pop();
      current = undefined;
    }
  }
}

function toFrame(value: JsonValue): Frame | null {
  if (typeof value !== 'object' || value === null || value instanceof JsonNumber) return null;
  if (!(value instanceof Map)) return { keys: null, values: value as readonly JsonValue[], next: 0 };
  const keys = toSortedKeys([...value.keys()]);
  return { keys, values: keys.map((key) => value.get(key)), next: 0 };
}

function toScalarText(value: JsonValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return value instanceof JsonNumber ? value.numeric : String(value);
}

/** Keys in `jsonb` order: by length in UTF-8 bytes, then by bytes. */
export function toSortedKeys(keys: readonly string[]): readonly string[] {
  for (let at = 1; at < keys.length; at += 1) {
    if (compareKeys(keys[at - 1]!, keys[at]!) > 0) return [...keys].sort(compareKeys);
  }
  return keys;
}

function compareKeys(left: string, right: string): number {
  return utf8Length(left) - utf8Length(right) || compareBytes(left, right);
}

/** The `jsonb` text of an object from the `jsonb` texts of its values; null if it has no keys. */
export function joinJsonbObject(textOfKey: ReadonlyMap<string, string>): string | null {
  if (textOfKey.size === 0) return null;
  const keys = toSortedKeys([...textOfKey.keys()]);
  return `{${keys.map((key) => `${JSON.stringify(key)}: ${textOfKey.get(key)}`).join(', ')}}`;
}

/** Text of a JSON value, as returned by `->>`: a string unchanged, JSON null and a missing value as null, anything else as `jsonb` text. */
export function toTextInJson(value: JsonValue | undefined): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : toJsonbText(value);
}
