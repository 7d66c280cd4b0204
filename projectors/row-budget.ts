/** Limits the rows that are decoded but not yet applied. Otherwise a fetch of many partitions would be in memory at once. */
export interface RowBudget {
  /** Resolves, in call order, once that many rows fit or none are taken. Returns a function that releases them. */
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
