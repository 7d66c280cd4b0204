import type { Choice, Contribution } from '../projection.ts';

/** Names a contribution among those of its merge key. */
export function nameOf({ legacyTable, legacyKey }: Pick<Contribution, 'legacyTable' | 'legacyKey'>): string {
  return `${legacyTable}\0${legacyKey}`;
}

/**
 * Those that are chosen, each once. Every choice is the greatest by a total order, or all that it is among: chosen from any contributions that hold the chosen
 * ones, they are the same. So it may be asked again of those chosen before and of new ones, in any batches.
 */
export function choose<C extends Contribution>(choices: readonly Choice[], contributions: Iterable<C>): Set<C> {
  const all = [...contributions];
  const chosen = new Set<C>();
  for (const choice of choices) {
    for (const live of [true, false]) {
      const { compare, among } = choice;
      if (compare === null) {
        for (const each of all) if (each.live === live && among(each)) chosen.add(each);
      } else {
        const greatest = greatestOf(among, compare, live, all);
        if (greatest !== undefined) chosen.add(greatest);
      }
    }
  }
  return chosen;
}

function greatestOf<C extends Contribution>(
  among: Choice['among'],
  compare: NonNullable<Choice['compare']>,
  live: boolean,
  contributions: readonly C[],
): C | undefined {
  let greatest: C | undefined;
  for (const each of contributions) {
    if (each.live !== live || !among(each)) continue;
    if (greatest === undefined || compare(each, greatest) > 0) greatest = each;
  }
  return greatest;
}

/**
 * Whether contributions that were not chosen before may be chosen now: one that was the greatest went, or became less, and none that is known took its place.
 * `before` holds what was chosen among all of them, `after` the same with what has changed.
 */
export function isExhausted(
  choices: readonly Choice[],
  before: readonly Contribution[],
  after: readonly Contribution[],
): boolean {
  return choices.some(({ among, compare }) => {
    if (compare === null) return false;
    return [true, false].some((live) => {
      const was = greatestOf(among, compare, live, before);
      if (was === undefined) return false;
      const is = greatestOf(among, compare, live, after);
      return is === undefined || compare(is, was) < 0;
    });
  });
}
