import { JsonNumber, type JsonValue, parseJson } from '../values/json.ts';
import { toJsonbText, toTextInJson } from '../values/json-text.ts';

/** A path in a JSON value: indexes and keys from the outside in. */
export type JsonPath = readonly (string | number)[];

/** A scalar (or an empty array or object) of a JSON cell. */
export interface JsonLeaf {
  readonly path: JsonPath;
  /** Text as returned by `->>`. */
  readonly text: string | null;
  /** The cell with other values at this path. */
  readonly variants: readonly string[];
}

const MOST_LEAVES = 200;
const MOST_DEPTH = 50;

/** Leaves of a cell that holds a JSON array or object, or a JSON string that contains an array; empty for every other cell. At most the first 200. */
export function toJsonLeaves(cell: string): JsonLeaf[] {
  if (!/^\s*[[{"]/.test(cell)) return [];
  const outer = parseJson(cell, MOST_DEPTH);
  const isText = typeof outer === 'string';
  const root = isText ? parseJson(outer, MOST_DEPTH) : outer;
  if (typeof root !== 'object' || root === null || root instanceof JsonNumber) return [];
  const toText = (value: JsonValue) => (isText ? JSON.stringify(toJsonbText(value)) : toJsonbText(value));
  const leaves: JsonLeaf[] = [];
  const visit = (value: JsonValue, path: JsonPath) => {
    if (leaves.length >= MOST_LEAVES) return;
    const parts = partsOf(value);
    if (parts.length > 0) {
      for (const [step, part] of parts) visit(part, [...path, step]);
    } else if (path.length > 0) {
      const variants = othersOf(value).map((other) => toText(replaceIn(root, path, other)));
      leaves.push({ path, text: toTextInJson(value), variants });
    }
  };
  visit(root, []);
  return leaves;
}

function partsOf(value: JsonValue): readonly (readonly [string | number, JsonValue])[] {
  if (value instanceof Map) return [...value];
  return Array.isArray(value) ? [...value.entries()] : [];
}

function othersOf(value: JsonValue): JsonValue[] {
  if (value === null) return ['x~', new JsonNumber('7'), true];
  if (typeof value === 'string') return [`${value}~`, value === '7' ? '8' : '7', null];
  if (typeof value === 'boolean') return [!value, null];
  if (value instanceof JsonNumber) return [new JsonNumber(value.numeric === '7' ? '8' : '7'), null];
  return ['x~', null];
}

function replaceIn(value: JsonValue, [step, ...rest]: JsonPath, by: JsonValue): JsonValue {
  if (step === undefined) return by;
  if (value instanceof Map) return new Map([...value, [String(step), replaceIn(value.get(step) ?? null, rest, by)]]);
  return (value as readonly JsonValue[]).map((part, index) => (index === step ? replaceIn(part, rest, by) : part));
}
