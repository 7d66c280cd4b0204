/** A unique value that a row claims. `holder`: key of the legacy row that holds it now; '' if the holder is not of this projection; null if no row holds it. */
export interface Claim {
  readonly row: number;
  readonly value: string;
  readonly holder: string | null;
}

/**
 * Returns the rows that can be written together without conflicts of unique values: the largest set in which each value is claimed once, and every present holder is in
 * the set and releases its value. Values may rotate in a cycle of any length, whatever else is claimed. Rows are numbered like their legacy keys.
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
      // A holder that still claims its value keeps it; otherwise the first claimant gets it.
      const claimants = group.map(({ row }) => row).filter((row) => picked.has(row));
      const winner = isFree ? (claimants.find((row) => row === holding) ?? claimants[0]) : undefined;
      for (const row of claimants) if (row !== winner) picked.delete(row);
    }
  }
  return picked;
}
