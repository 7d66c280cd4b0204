import type pg from 'pg';
import type { Aggregate, FoldedRow, NewRow } from '../projection.ts';
import {
  type ReadContribution,
  type Reserves,
  readContributions,
  readEarlier,
  readFronts,
  readPaged,
  readPartFronts,
  readPartFrontsPaged,
  readPartsPaged,
  type StoredContribution,
  writeContributions,
  writePlaces,
} from './contributions.ts';
import { FoldError } from './data-error.ts';
import type { Flight } from './flight.ts';
import { choose } from './front.ts';
import { type Folding, KeyFront, placeAll, SIZES } from './key-front.ts';

type Folded = ReturnType<Aggregate['fold']>;

/** The fold result of a merge key. */
export interface FoldedKey {
  readonly mergeKey: string;
  readonly rows: Folded;
  /** If it has a front: the rows folded from the front before the batch. Rows of the merge key in neither result are unchanged. Null: `rows` are all its rows. */
  readonly before: Folded | null;
}

interface Batch {
  readonly mergeKeys: readonly string[];
  /** Merge keys that have a front, with their reserves. */
  readonly fronted: ReadonlyMap<string, Reserves>;
  readonly changed: readonly StoredContribution[];
  /** Trusts nothing stored: folds every merge key from all its contributions and builds its front again. */
  readonly isRepair: boolean;
}

interface Folds {
  readonly folded: FoldedKey[];
  /** Fronts of which the rows of all parts have changed: `foldParts` folds the parts missing in `folded`. */
  readonly spreading: readonly KeyFront[];
}

/**
 * Writes contributions and folds their merge keys, which the caller has locked. Of a merge key with many contributions, it reads only those that the fold needs, besides
 * the changed ones. It reads all of them only if a needed one disappeared or became less. Throws `FoldError`.
 */
export async function foldKeys(
  client: pg.ClientBase,
  flight: Flight,
  aggregate: Aggregate,
  { mergeKeys, fronted, changed, isRepair }: Batch,
): Promise<Folds> {
  const keys = isRepair || !hasNeeds(aggregate) ? [] : mergeKeys.filter((mergeKey) => fronted.has(mergeKey));
  const fronts =
    keys.length === 0 ? [] : await readKeyFronts(client, aggregate as Folding, { mergeKeys: keys, fronted, changed });
  const isFronted = new Set(fronts.map(({ mergeKey }) => mergeKey));
  const others = changed.filter(({ mergeKey }) => !isFronted.has(mergeKey));
  const written = [...others, ...fronts.flatMap((front) => front.judge())];
  if (written.length > 0) flight.add(writeContributions(client, aggregate, written));
  const whole = mergeKeys.filter((mergeKey) => !isFronted.has(mergeKey));
  const reading = whole.length === 0 ? null : flight.ask(readContributions(client, aggregate, whole));
  await flight.landed();
  await lookThrough(client, aggregate, fronts);
  const folded: FoldedKey[] = [];
  for (const front of fronts) {
    const { mergeKey } = front;
    const rows = fold(aggregate, mergeKey, front.after());
    folded.push({ mergeKey, rows, before: fold(aggregate, mergeKey, front.before()) });
  }
  const settled = fronts.map((front) => ({ mergeKey: front.mergeKey, ...front.settle() }));
  const places = settled.flatMap((front) => front.places);
  const hasFront = new Map<string, Reserves | null>();
  for (const { mergeKey, reserves } of settled)
    if (JSON.stringify(reserves) !== JSON.stringify(fronted.get(mergeKey))) hasFront.set(mergeKey, reserves);
  const contributions = (await reading) ?? new Map<string, never>();
  for (const mergeKey of whole) {
    const all: readonly ReadContribution[] = contributions.get(mergeKey) ?? [];
    folded.push({ mergeKey, rows: fold(aggregate, mergeKey, all), before: null });
    if (!hasNeeds(aggregate)) continue;
    const getsFront = all.length > SIZES.slack && choose(aggregate.needs.whole, all).size <= all.length / 2;
    if (getsFront) places.push(...placeAll(aggregate, all));
    if (getsFront || fronted.has(mergeKey)) hasFront.set(mergeKey, getsFront ? {} : null);
  }
  await writePlaces(client, aggregate, places, hasFront);
  return { folded, spreading: fronts.filter((front) => front.concernsAllParts()) };
}

/** Folds the parts of a merge key that no change of the batch touches, some at a time: their number is unbounded. Throws `FoldError`. */
export async function* foldParts(
  client: pg.ClientBase,
  aggregate: Aggregate,
  front: KeyFront,
): AsyncGenerator<FoldedKey> {
  const { take, end } = createPartFolds(aggregate, front);
  for await (const page of readPartFrontsPaged(client, aggregate, front.mergeKey)) yield* take(page);
  yield* end();
}

/** The same for fronts of parts that arrive in pages, ordered by part. Yields only the rows of these parts. */
export function createPartFolds(aggregate: Aggregate, front: KeyFront) {
  const { mergeKey } = front;
  const wholes = front.wholes();
  const nameOf = (table: string, { row }: FoldedRow) => `${table} ${row.id}`;
  const known = new Set(
    [wholes.before, wholes.after].flatMap((whole) =>
      Object.entries(fold(aggregate, mergeKey, whole)).flatMap(([table, rows]) =>
        rows.map((row) => nameOf(table, row)),
      ),
    ),
  );
  const foldWith = (whole: readonly StoredContribution[], parts: readonly StoredContribution[]): Folded => {
    const rows = Object.entries(fold(aggregate, mergeKey, [...whole, ...parts]));
    return Object.fromEntries(rows.map(([table, of]) => [table, of.filter((row) => !known.has(nameOf(table, row)))]));
  };
  const foldSome = (parts: readonly ReadContribution[]): FoldedKey[] => {
    const others = parts.filter(({ place }) => !front.knowsPart(place.part!));
    if (others.length === 0) return [];
    return [{ mergeKey, rows: foldWith(wholes.after, others), before: foldWith(wholes.before, others) }];
  };
  // A part is folded from its whole front: the last one of a page may continue on the next.
  let kept: readonly ReadContribution[] = [];
  return {
    take(page: readonly ReadContribution[]): FoldedKey[] {
      const some = [...kept, ...page];
      const last = some.at(-1)?.place.part;
      kept = some.filter(({ place }) => place.part === last);
      return foldSome(some.filter(({ place }) => place.part !== last));
    },
    end: (): FoldedKey[] => foldSome(kept),
  };
}

function hasNeeds(aggregate: Aggregate): aggregate is Folding {
  return aggregate.needs !== undefined;
}

async function readKeyFronts(
  client: pg.ClientBase,
  aggregate: Folding,
  { mergeKeys, fronted, changed }: Omit<Batch, 'isRepair'>,
): Promise<KeyFront[]> {
  const byKey = <C extends StoredContribution>(some: readonly C[]) => Map.groupBy(some, ({ mergeKey }) => mergeKey);
  const changedOf = byKey(changed);
  const ofKeys = mergeKeys.flatMap((mergeKey) => changedOf.get(mergeKey) ?? []);
  const front = byKey(await readFronts(client, aggregate, mergeKeys));
  const earlier = byKey(aggregate.needs.parts === undefined ? [] : await readEarlier(client, aggregate, ofKeys));
  const fronts = mergeKeys.map((mergeKey) => {
    const reserves = fronted.get(mergeKey) ?? {};
    const stored = { front: front.get(mergeKey) ?? [], earlier: earlier.get(mergeKey) ?? [], reserves };
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

/** Determines what is chosen now if the known contributions do not tell, page by page, since the number of contributions is unbounded. */
async function lookThrough(client: pg.ClientBase, aggregate: Aggregate, fronts: readonly KeyFront[]): Promise<void> {
  const asked = fronts.flatMap((front) => front.extents().map(([name, extent]) => ({ front, name, extent })));
  if (asked.length === 0) return;
  for (const [extent, some] of Map.groupBy(asked, (each) => each.extent)) {
    const whole = new Map(some.filter(({ name }) => name === '').map(({ front }) => [front.mergeKey, front]));
    const parts = new Map(some.filter(({ name }) => name !== '').map(({ front, name }) => [name, front]));
    if (whole.size > 0) {
      for await (const page of readPaged(client, aggregate, [...whole.keys()], extent)) {
        for (const [mergeKey, found] of Map.groupBy(page, (each) => each.mergeKey))
          whole.get(mergeKey)!.addAll(found, '');
      }
    }
    if (parts.size > 0) {
      for await (const page of readPartsPaged(client, [...parts.keys()], extent)) {
        for (const [part, found] of Map.groupBy(page, ({ place }) => place.part))
          parts.get(part!)!.addAll(found, part!);
      }
    }
  }
  await readParts(client, fronts);
}

/** Live rows of a table that were folded before and no longer are; empty if all rows of the merge key are known. */
export function rowsThatGo({ rows, before }: Pick<FoldedKey, 'rows' | 'before'>, table: string): NewRow[] {
  const ids = new Set(rows[table]?.map(({ row }) => row.id));
  const gone = before?.[table]?.filter(({ row, deletedAt }) => deletedAt === null && !ids.has(row.id)) ?? [];
  return gone.map(({ row }) => row);
}

function fold(aggregate: Aggregate, mergeKey: string, contributions: readonly StoredContribution[]): Folded {
  // Only a repair folds a merge key without contributions; its rows are retracted.
  if (contributions.length === 0) return {};
  try {
    return aggregate.fold(mergeKey, contributions);
  } catch (error) {
    throw new FoldError(error);
  }
}
