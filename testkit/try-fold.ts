import type { Aggregate, Contribution, FoldedRow } from '../projectors/projection.ts';
import type { StoredContribution } from '../projectors/write/contributions.ts';
import { choose, nameOf } from '../projectors/write/front.ts';
import { type Dice, interleave } from './dice.ts';
import { fault } from './fault.ts';
import type { Committed } from './legacy-tables.ts';
import { foldAll, type NewTables } from './new-tables.ts';

/** Applies changes and collects, by merge key, the successive contributions of each legacy row to an aggregate. */
export function applyAndSee(
  tables: NewTables,
  changes: readonly Committed[],
  aggregate: string,
): Map<string, StoredContribution[][]> {
  const seen = new Map<string, Map<string, StoredContribution[]>>();
  for (const change of changes) {
    tables.apply([change]);
    for (const contribution of [...tables.contributionsTo(aggregate).values()].flat()) {
      const { mergeKey } = contribution;
      const ofKey = seen.get(mergeKey) ?? new Map<string, StoredContribution[]>();
      const versions = ofKey.get(nameOf(contribution)) ?? [];
      if (versions.at(-1) !== contribution) versions.push(contribution);
      seen.set(mergeKey, ofKey.set(nameOf(contribution), versions));
    }
  }
  return new Map([...seen].map(([mergeKey, ofKey]) => [mergeKey, [...ofKey.values()]]));
}

const VARIANTS = 12;

/** The final contributions to a merge key, and possible variants: any versions of any legacy rows, live or retired at any time. */
export function* toVariants(
  versions: readonly (readonly StoredContribution[])[],
  dice: Dice,
): Generator<StoredContribution[]> {
  yield versions.map((list) => list.at(-1)!);
  const pick = <T>(list: readonly T[]) => list[dice(list.length)]!;
  const all = versions.flat();
  for (let variant = 0; variant < VARIANTS; variant++) {
    const some = versions
      .filter(() => dice(4) > 0)
      .map((list): StoredContribution => {
        const live = dice(2) === 0;
        const { committedAt } = pick(all);
        return {
          ...pick(list),
          live,
          committedAt,
          movedTo: live ? null : pick([null, ...all.map(({ movedTo }) => movedTo)]),
        };
      });
    if (some.length > 0) yield some;
  }
}

/** Folds contributions in any order, and subsets that contain the needed ones. Throws an AssertionError if the rows differ. */
export function tryFold(
  aggregate: Aggregate,
  mergeKey: string,
  contributions: readonly StoredContribution[],
  dice: Dice,
): void {
  const all = foldAll(aggregate, mergeKey, contributions);
  for (const order of [[...contributions], contributions.toReversed(), shuffle(contributions, dice)]) {
    const folded = foldAll(aggregate, mergeKey, order);
    for (const { table } of aggregate.targets) {
      if (isSame(toRows(all, table), toRows(folded, table))) continue;
      const what = `the rows of ${table} depend on the order of contributions`;
      throw fault([`${aggregate.name}: ${what}`, ...showBoth(all, folded, table)].join('\n'));
    }
  }
  if (aggregate.needs === undefined) return;
  for (const others of [0, 1 / 3]) {
    const few = foldAll(aggregate, mergeKey, chooseWithOthers(aggregate.needs, contributions, others, dice));
    for (const { table, key } of aggregate.targets) {
      const [whole, part] = [toRows(all, table), toRows(few, table)];
      // With many rows under one merge key, rows of parts that are not read stay as they are.
      const wanted = key === 'id' ? whole : new Map([...part].map(([id]) => [id, whole.get(id) ?? '']));
      if (isSame(wanted, part)) continue;
      const what = `what \`needs\` chooses folds to other rows of ${table} than all contributions do`;
      throw fault([`${aggregate.name}: ${what}`, ...showBoth(all, few, table)].join('\n'));
    }
  }
}

/** The needed contributions, some of the others, and those that the parts of both need. */
function chooseWithOthers(
  { whole, parts }: NonNullable<Aggregate['needs']>,
  contributions: readonly StoredContribution[],
  share: number,
  dice: Dice,
): StoredContribution[] {
  const chosen = choose(whole, contributions);
  const known = new Set(contributions.filter((each) => chosen.has(each) || dice(100) < share * 100));
  const partOf = (each: Contribution) => parts?.of(each) ?? null;
  for (const part of new Set([...known].map(partOf))) {
    if (part === null) continue;
    const ofPart = contributions.filter((each) => partOf(each) === part);
    for (const each of choose(parts!.choices, ofPart)) known.add(each);
  }
  return shuffle([...known], dice);
}

function shuffle<T>(list: readonly T[], dice: Dice): T[] {
  return interleave(
    list.map((each) => [each]),
    dice,
  );
}

type Folded = Readonly<Record<string, readonly FoldedRow[]>>;

/** Rows of a table by id as texts, without their sources. */
function toRows(folded: Folded, table: string): Map<string, string> {
  const rows = (folded[table] ?? []).map(({ row, deletedAt }) => {
    const cells = Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1));
    return [row.id!, JSON.stringify({ ...Object.fromEntries(cells), deletedAt })] as const;
  });
  return new Map(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([id, row]) => b.get(id) === row);
}

function showBoth(all: Folded, other: Folded, table: string): string[] {
  const show = (folded: Folded) => [...toRows(folded, table).values()].join(', ') || 'no row';
  return [`  one time ${show(all)}`, `  another  ${show(other)}`];
}
