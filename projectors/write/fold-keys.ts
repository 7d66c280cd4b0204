import type pg from 'pg';
import type { Aggregate, NewRow } from '../projection.ts';
import {
  type ReadContribution,
  readAllPaged,
  readContributions,
  readEarlier,
  readFronts,
  readPartFronts,
  readPartsPaged,
  type StoredContribution,
  writeContributions,
  writePlaces,
} from './contributions.ts';
import { FoldError } from './data-error.ts';
import { choose } from './front.ts';
import { type Folding, KeyFront, placeAll, SLACK } from './key-front.ts';

type Folded = ReturnType<Aggregate['fold']>;

/** What the contributions of a merge key fold to. */
export interface FoldedKey {
  readonly mergeKey: string;
  readonly rows: Folded;
  /** What it was folded from its front before, where it is again: of the rows under the merge key both are those that may have changed, and all others stay. Null: `rows` are all there are. */
  readonly before: Folded | null;
}

interface Batch {
  readonly mergeKeys: readonly string[];
  /** Those that have a front. */
  readonly fronted: ReadonlySet<string>;
  readonly changed: readonly StoredContribution[];
  /** Nothing is trusted: every merge key is folded from all its contributions, and its front is made anew. */
  readonly isRepair: boolean;
}

/**
 * Writes contributions and folds their merge keys, which the caller holds locked. Of a merge key with many contributions only those are read that its fold needs, beside those that
 * changed; all of them only where one that was needed went or became less. Throws `FoldError`.
 */
export async function foldKeys(
  client: pg.ClientBase,
  aggregate: Aggregate,
  { mergeKeys, fronted, changed, isRepair }: Batch,
): Promise<FoldedKey[]> {
  const keys = isRepair || !hasNeeds(aggregate) ? [] : mergeKeys.filter((mergeKey) => fronted.has(mergeKey));
  const fronts = keys.length === 0 ? [] : await readKeyFronts(client, aggregate as Folding, keys, changed);
  const isFronted = new Set(fronts.map(({ mergeKey }) => mergeKey));
  const others = changed.filter(({ mergeKey }) => !isFronted.has(mergeKey));
  const written = [...others, ...fronts.flatMap((front) => front.judge())];
  if (written.length > 0) await writeContributions(client, aggregate, written);
  await chooseExhausted(client, aggregate, fronts);
  const folded: FoldedKey[] = [];
  const whole = mergeKeys.filter((mergeKey) => !isFronted.has(mergeKey));
  for (const front of fronts) {
    const { mergeKey } = front;
    const rows = fold(aggregate, mergeKey, front.after());
    folded.push({ mergeKey, rows, before: fold(aggregate, mergeKey, front.before()) });
  }
  const places = fronts.flatMap((front) => front.moves());
  const hasFront = new Map<string, boolean>();
  const contributions =
    whole.length === 0 ? new Map<string, never>() : await readContributions(client, aggregate, whole);
  for (const mergeKey of whole) {
    const all: readonly ReadContribution[] = contributions.get(mergeKey) ?? [];
    folded.push({ mergeKey, rows: fold(aggregate, mergeKey, all), before: null });
    if (!hasNeeds(aggregate)) continue;
    const getsFront = all.length > SLACK && choose(aggregate.needs.whole, all).size <= all.length / 2;
    if (getsFront) places.push(...placeAll(aggregate, all));
    if (getsFront !== fronted.has(mergeKey)) hasFront.set(mergeKey, getsFront);
  }
  await writePlaces(client, aggregate, places, hasFront);
  return folded;
}

function hasNeeds(aggregate: Aggregate): aggregate is Folding {
  return aggregate.needs !== undefined;
}

async function readKeyFronts(
  client: pg.ClientBase,
  aggregate: Folding,
  mergeKeys: readonly string[],
  changed: readonly StoredContribution[],
): Promise<KeyFront[]> {
  const byKey = <C extends StoredContribution>(some: readonly C[]) => Map.groupBy(some, ({ mergeKey }) => mergeKey);
  const changedOf = byKey(changed);
  const ofKeys = mergeKeys.flatMap((mergeKey) => changedOf.get(mergeKey) ?? []);
  const front = byKey(await readFronts(client, aggregate, mergeKeys));
  const earlier = byKey(aggregate.needs.parts === undefined ? [] : await readEarlier(client, aggregate, ofKeys));
  const fronts = mergeKeys.map((mergeKey) => {
    const stored = { front: front.get(mergeKey) ?? [], earlier: earlier.get(mergeKey) ?? [] };
    return new KeyFront(aggregate, mergeKey, stored, changedOf.get(mergeKey) ?? []);
  });
  await readParts(client, fronts);
  return fronts;
}

async function readParts(client: pg.ClientBase, fronts: readonly KeyFront[]): Promise<void> {
  const parts = fronts.flatMap((front) => front.partsToRead());
  const read = Map.groupBy(await readPartFronts(client, parts), ({ mergeKey }) => mergeKey);
  for (const front of fronts) front.addParts(read.get(front.mergeKey) ?? []);
}

/** Looks through all contributions for those that are chosen now, where only they can tell: page by page, so that there may be any number of them. */
async function chooseExhausted(
  client: pg.ClientBase,
  aggregate: Aggregate,
  fronts: readonly KeyFront[],
): Promise<void> {
  const exhausted = new Map(fronts.filter((front) => front.isExhausted).map((front) => [front.mergeKey, front]));
  const parts = new Map(fronts.flatMap((front) => front.exhaustedParts().map((part) => [part, front] as const)));
  if (exhausted.size > 0) {
    for await (const page of readAllPaged(client, aggregate, [...exhausted.keys()])) {
      for (const [mergeKey, some] of Map.groupBy(page, (each) => each.mergeKey))
        exhausted.get(mergeKey)!.addAll(some, null);
    }
    await readParts(client, [...exhausted.values()]);
  }
  if (parts.size > 0) {
    for await (const page of readPartsPaged(client, [...parts.keys()])) {
      for (const [part, some] of Map.groupBy(page, ({ place }) => place.part)) parts.get(part!)!.addAll(some, part);
    }
  }
}

/** Live rows of a table that were folded before and are not any more; none where all rows of the merge key are known. */
export function rowsThatGo({ rows, before }: Pick<FoldedKey, 'rows' | 'before'>, table: string): NewRow[] {
  const ids = new Set(rows[table]?.map(({ row }) => row.id));
  const gone = before?.[table]?.filter(({ row, deletedAt }) => deletedAt === null && !ids.has(row.id)) ?? [];
  return gone.map(({ row }) => row);
}

function fold(aggregate: Aggregate, mergeKey: string, contributions: readonly StoredContribution[]): Folded {
  // Only a repair folds a merge key that nobody contributes to: its rows go.
  if (contributions.length === 0) return {};
  try {
    return aggregate.fold(mergeKey, contributions);
  } catch (error) {
    throw new FoldError(error);
  }
}
