/** How many rows may be decoded and not yet applied: what a fetch brings of many partitions would otherwise be in memory at once. */
export interface RowBudget {
  /** Resolves once so many rows fit, or none are taken; in the order of the calls. Returns what gives them back. */
  take(rows: number): Promise<() => void>;
}

export function createRowBudget(most: number): RowBudget {
  let taken = 0;
  const waiting: { readonly rows: number; readonly start: () => void }[] = [];
  const grant = () => {
    while (waiting.length > 0 && (taken === 0 || taken + waiting[0]!.rows <= most)) {
      const { rows, start } = waiting.shift()!;
      taken += rows;
      start();
    }
  };
  return {
    take: (rows) =>
      new Promise((resolve) => {
        const giveBack = () => {
          taken -= rows;
          grant();
        };
        waiting.push({ rows, start: () => resolve(giveBack) });
        grant();
      }),
  };
}
