/** Returns a number from 0 to below `sides`. */
export type Dice = (sides: number) => number;

/** Dice that fall the same for the same salt. */
export function createDice(salt: number): Dice {
  let state = salt | 0;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * sides);
  };
}

/** One list of several, each of which keeps its order. */
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

/** A list in slices of any length. */
export function slice<T>(list: readonly T[], dice: Dice): T[][] {
  const slices: T[][] = [[]];
  for (const each of list) {
    if (dice(3) === 0) slices.push([]);
    slices.at(-1)!.push(each);
  }
  return slices;
}
