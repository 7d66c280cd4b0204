import type { RowsOf } from './arbitrary-rows.ts';
import { fault } from './fault.ts';
import type { Examples } from './legacy-tables.ts';
import { loadFastCheck } from './load-fast-check.ts';
import { toProperties } from './properties.ts';
import { type Projections, type SpecOptions, toTested } from './spec.ts';

/** Options of a check. */
export interface CheckOptions extends SpecOptions {
  /** Realistic rows by legacy table, whose cells arbitrary rows also use. Without them, a branch that requires one particular value is never taken. */
  readonly examples?: Examples;
  /** Number of rows and histories per property; 100 by default. */
  readonly runs?: number;
  /** Seed of an earlier failure, to reproduce it. */
  readonly seed?: number;
}

/**
 * Checks the guarantees of every projection on arbitrary rows and histories: `map`, `stateOf`, `rowsOf` and `fold` are total and pure, and return what
 * is declared, with derived ids that a retraction finds; the order of contributions, changes and batches does not matter; what `needs` chooses is
 * enough; applying twice changes nothing. Projections that feed one aggregate are best checked together. Runs in memory; needs the package fast-check.
 * Throws an AssertionError with the smallest example found and the seed.
 */
export function checkProjection(of: Projections, options: CheckOptions = {}): void {
  const fc = loadFastCheck();
  const { projections, tenants } = toTested(of, options.tenants);
  const { keys = {}, examples = {}, runs = 100 } = options;
  const rows: RowsOf = { projections, keys, examples };
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  for (const holds of toProperties(fc, rows, tenants)) {
    const failure = holds({ seed, numRuns: runs });
    if (failure === null) continue;
    const { error, example } = failure;
    const cause = error instanceof Error ? error.message : String(error);
    const repeat = `Repeat it with checkProjection(…, { seed: ${seed}, runs: ${runs} }).`;
    throw fault([cause, ...example.map((line) => `  on ${line}`), repeat].join('\n'), error);
  }
}
