/** Number of merge keys with `least` to `most` contributions (null: no upper limit). */
export interface MergeBucket {
  readonly least: number;
  readonly most: number | null;
  readonly keys: number;
}

export interface MergeSummary {
  readonly contributions: number;
  readonly keys: number;
  /** Whether every key was counted. Beyond the memory limit, key counts are extrapolated from a part, and sizes are lower bounds. */
  readonly isExact: boolean;
  readonly buckets: readonly MergeBucket[];
  /** The largest merge keys, shown only by the shape of the key. */
  readonly largest: readonly { readonly contributions: number; readonly shape: string }[];
}

const LARGEST = 10;
/** Keys counted individually, about 60 bytes each. */
const MOST_KEYS = 500_000;
/** Beyond that: keys kept as candidates for the largest. */
const MOST_HEAVY = 50_000;
/** Count and shape are packed into one number. */
const MOST_SHAPES = 1024;
const LONGEST_SHAPE = 40;
const BOUNDS = [1, 2, 10, 100, 1000, 10_000, null] as const;

/** Counts contributions by merge key in bounded memory. Stores only a hash and a shape of each key. */
export class MergeSizes {
  readonly #mostKeys: number;
  /** By hash: count times MOST_SHAPES, plus shape. Only hashes that are multiples of `#part`. */
  #counts = new Map<number, number>();
  #part = 1;
  #heavy = new Map<number, number>();
  readonly #shapes = new Map<string, number>();
  #contributions = 0;

  constructor(mostKeys = MOST_KEYS) {
    this.#mostKeys = mostKeys;
  }

  add(mergeKey: string): void {
    this.#contributions += 1;
    const hash = toHash(mergeKey);
    if (hash % this.#part === 0) this.#count(this.#counts, hash, mergeKey);
    if (this.#counts.size > this.#mostKeys) this.#halve();
    if (this.#part === 1) return;
    this.#count(this.#heavy, hash, mergeKey);
    if (this.#heavy.size > 2 * MOST_HEAVY) this.#heavy = new Map(toGreatest(this.#heavy, MOST_HEAVY));
  }

  summary(): MergeSummary {
    const sizes = [...this.#counts.values()].map(toCount);
    const shapes = [...this.#shapes.keys()];
    const isExact = this.#part === 1;
    return {
      contributions: this.#contributions,
      keys: this.#counts.size * this.#part,
      isExact,
      buckets: BOUNDS.map((most, at) => {
        const least = (BOUNDS[at - 1] ?? 0) + 1;
        const keys = sizes.filter((size) => size >= least && (most === null || size <= most)).length;
        return { least, most, keys: keys * this.#part };
      }),
      largest: toGreatest(isExact ? this.#counts : this.#heavy, LARGEST)
        .map(([, packed]) => ({ contributions: toCount(packed), shape: shapes[packed % MOST_SHAPES] ?? '…' }))
        .filter(({ contributions }) => contributions > 1),
    };
  }

  #count(counts: Map<number, number>, hash: number, mergeKey: string): void {
    const known = counts.get(hash);
    counts.set(hash, known === undefined ? MOST_SHAPES + this.#shapeOf(mergeKey) : known + MOST_SHAPES);
  }

  #shapeOf(mergeKey: string): number {
    const shape = toShape(mergeKey);
    const known = this.#shapes.get(shape);
    if (known !== undefined) return known;
    // The last shape stands for all further ones.
    if (this.#shapes.size >= MOST_SHAPES - 1) return MOST_SHAPES - 1;
    this.#shapes.set(shape, this.#shapes.size);
    return this.#shapes.size - 1;
  }

  #halve(): void {
    if (this.#part === 1) this.#heavy = new Map(toGreatest(this.#counts, MOST_HEAVY));
    this.#part *= 2;
    for (const hash of this.#counts.keys()) if (hash % this.#part !== 0) this.#counts.delete(hash);
  }
}

const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi;

/** Shape of a key: `#` for a UUID, `a` for a run of letters, `9` for a run of digits, a blank for white space. */
export function toShape(key: string): string {
  const shape = key
    .slice(0, 1000)
    .replace(UUID, '#')
    .replace(/[\p{L}\p{M}]+/gu, 'a')
    .replace(/\p{N}+/gu, '9')
    .replace(/[\s\p{C}]+/gu, ' ');
  return shape.length > LONGEST_SHAPE ? `${shape.slice(0, LONGEST_SHAPE)}…` : shape;
}

function toCount(packed: number): number {
  return Math.floor(packed / MOST_SHAPES);
}

/** Entries with the greatest counts, greatest first; equal counts in the order of their hashes. */
function toGreatest(counts: ReadonlyMap<number, number>, most: number): [number, number][] {
  return [...counts].sort((left, right) => toCount(right[1]) - toCount(left[1]) || left[0] - right[0]).slice(0, most);
}

/** A 53-bit hash of a text, evenly distributed; not cryptographic. */
function toHash(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
