/** How values are spread, in their own unit. */
export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Percentiles by nearest rank. Throws without values. */
export function toDistribution(values: readonly number[]): Distribution {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1)! };
}

/** Units per second between two moments in milliseconds. Throws where no time passed: such a rate would be a measuring error. */
export function toRatePerSecond(units: number, firstMs: number, lastMs: number): number {
  if (!(lastMs > firstMs)) throw new RangeError(`no time between ${firstMs} and ${lastMs}`);
  return (units * 1000) / (lastMs - firstMs);
}

/** Numbers of `count` different rows, spread evenly over 1 to `rows`. Throws where there are fewer rows. */
export function toSpread(count: number, rows: number, offset = 0): number[] {
  if (count > rows) throw new RangeError(`${count} different rows of ${rows}`);
  return Array.from({ length: count }, (_, index) => 1 + ((offset + Math.floor((index * rows) / count)) % rows));
}

/** A number rounded to so many digits behind the point. */
export function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

/** Least, middle and greatest of some values. */
export interface Range {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The range of values; the mean of the two middle ones where their number is even. Throws without values. */
export function toRange(values: readonly number[]): Range {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1]!;
  const lower = sorted[(sorted.length - 1) >> 1]!;
  return { min: sorted[0]!, median: round((lower + upper) / 2, 3), max: sorted.at(-1)! };
}
