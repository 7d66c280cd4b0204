/** A unique value that a row wants to hold. `holder`: key of the legacy row that holds it now; '' where that is none of this projection; null: nobody. */
export interface Claim {
  readonly row: number;
  readonly value: string;
  readonly holder: string | null;
}

/**
 * Rows that can be written together as far as unique values go: the largest set in which each value is claimed once, and every present holder is in the
 * set and gives it up. Values may go round in a circle of any length, whatever else is claimed beside it. Rows are numbered as their legacy keys.
 */
export function pickReleasable(legacyKeys: readonly string[], claims: readonly Claim[]): Set<number> {
  const rowOf = new Map(legacyKeys.map((key, row) => [key, row]));
  const picked = new Set(legacyKeys.keys());
  const byValue = Map.groupBy(claims, ({ value }) => value);
  for (let before = -1; before !== picked.size; ) {
    before = picked.size;
    for (const group of byValue.values()) {
      const holder = group.find((claim) => claim.holder !== null)?.holder ?? null;
      const holding = holder === null ? undefined : rowOf.get(holder);
      const isFree = holder === null || (holding !== undefined && picked.has(holding));
      // Who holds a value and goes on claiming it keeps it; else the first one has it.
      const claimants = group.map(({ row }) => row).filter((row) => picked.has(row));
      const winner = isFree ? (claimants.find((row) => row === holding) ?? claimants[0]) : undefined;
      for (const row of claimants) if (row !== winner) picked.delete(row);
    }
  }
  return picked;
}
