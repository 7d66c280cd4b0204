/** Returns an integer from 0 to `sides` - 1. */
export type Dice = (sides: number) => number;

/** Dice with the same sequence for the same salt. */
export function createDice(salt: number): Dice {
  let state = salt | 0;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * sides);
  };
}

/** Merges several lists into one. Each keeps its order. */
export function interleave<T>(lists: readonly (readonly T[])[], dice: Dice): T[] {
  const left = lists.filter((list) => list.length > 0).map((list) => [...list]);
  const merged: T[] = [];
  while (left.length > 0) {
    const at = dice(left.length);
    merged.push(left[at]!.shift()!);
    if (left[at]!.length === 0) left.splice(at, 1);
  }
  return merged;
}

/** Splits a list into slices of any length. */
export function slice<T>(list: readonly T[], dice: Dice): T[][] {
  const slices: T[][] = [[]];
  for (const each of list) {
    if (dice(3) === 0) slices.push([]);
    slices.at(-1)!.push(each);
  }
  return slices;
}
