import type { Aggregate, Contribution, FoldedRow } from '../projectors/projection.ts';
import type { StoredContribution } from '../projectors/write/contributions.ts';
import { choose } from '../projectors/write/front.ts';
import { type Dice, interleave } from './dice.ts';
import { fault } from './fault.ts';
import { foldAll } from './new-tables.ts';

/** Folds contributions in any order, and any of them that hold what is needed. Throws an AssertionError where that gives other rows. */
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
  const few = foldAll(aggregate, mergeKey, chooseWithOthers(aggregate.needs, contributions, dice));
  for (const { table, key } of aggregate.targets) {
    const [whole, part] = [toRows(all, table), toRows(few, table)];
    // Of many rows under one merge key, those of parts that are not read stay as they are.
    const wanted = key === 'id' ? whole : new Map([...part].map(([id]) => [id, whole.get(id) ?? '']));
    if (isSame(wanted, part)) continue;
    const what = `what \`needs\` chooses folds to other rows of ${table} than all contributions do`;
    throw fault([`${aggregate.name}: ${what}`, ...showBoth(all, few, table)].join('\n'));
  }
}

/** The contributions that are needed, any others, and those that the parts of both need. */
function chooseWithOthers(
  { whole, parts }: NonNullable<Aggregate['needs']>,
  contributions: readonly StoredContribution[],
  dice: Dice,
): StoredContribution[] {
  const chosen = choose(whole, contributions);
  const known = new Set(contributions.filter((each) => chosen.has(each) || dice(4) === 0));
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

/** Rows of a table by id, as texts; without what they rest on. */
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
