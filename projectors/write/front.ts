import type { Choice, Contribution } from '../projection.ts';

/** Identifies a contribution within its merge key. */
export function nameOf({ legacyTable, legacyKey }: Pick<Contribution, 'legacyTable' | 'legacyKey'>): string {
  return `${legacyTable}\0${legacyKey}`;
}

/**
 * Returns the chosen contributions, each once. Every choice is the greatest by a total order, or all that match. Any set that includes the chosen ones yields the same
 * choice. So choosing again from those chosen before plus new ones is correct, in any batches.
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
        const greatest = findGreatest(among, compare, live, all);
        if (greatest !== undefined) chosen.add(greatest);
      }
    }
  }
  return chosen;
}

function findGreatest<C extends Contribution>(
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
 * Whether contributions that were not chosen before may be chosen now, among the live and among the retired ones: the greatest disappeared or became less, and no known
 * contribution replaced it. `before` holds those chosen among all contributions, `after` the same with the changes.
 */
export function exhaustedOf(
  choices: readonly Choice[],
  before: readonly Contribution[],
  after: readonly Contribution[],
): { readonly live: boolean; readonly retired: boolean } {
  const isExhausted = (live: boolean) =>
    choices.some(({ among, compare }) => {
      if (compare === null) return false;
      const was = findGreatest(among, compare, live, before);
      if (was === undefined) return false;
      const is = findGreatest(among, compare, live, after);
      return is === undefined || compare(is, was) < 0;
    });
  return { live: isExhausted(true), retired: isExhausted(false) };
}

/** Collects the greatest live contributions by each choice, at least `most` of them if there are so many. */
export class Best<C extends Contribution> {
  readonly #most: number;
  readonly #lists: {
    readonly among: Choice['among'];
    readonly compare: (a: C, b: C) => number;
    list: C[];
    least: C | null;
  }[];

  constructor(choices: readonly Choice[], most: number) {
    this.#most = most;
    this.#lists = choices.flatMap(({ among, compare }) =>
      compare === null ? [] : [{ among, compare, list: [], least: null }],
    );
  }

  add(contribution: C): void {
    if (!contribution.live) return;
    for (const each of this.#lists) {
      if (!each.among(contribution) || (each.least !== null && each.compare(contribution, each.least) <= 0)) continue;
      each.list.push(contribution);
      if (each.list.length < 2 * this.#most) continue;
      // `most` contributions are at least as great as `least`: a lesser one cannot be among the greatest.
      each.list = each.list.sort((a, b) => each.compare(b, a)).slice(0, this.#most);
      each.least = each.list.at(-1)!;
    }
  }

  all(): Set<C> {
    return new Set(this.#lists.flatMap(({ list, compare }) => list.sort((a, b) => compare(b, a)).slice(0, this.#most)));
  }
}
