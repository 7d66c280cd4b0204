import type { Aggregate, Choice, FoldNeeds } from '../projection.ts';
import { uuid5 } from '../values/uuid5.ts';
import type { Extent, Place, Rank, ReadContribution, Reserves, StoredContribution } from './contributions.ts';
import { Best, choose, exhaustedOf, nameOf } from './front.ts';

/** Numbers of contributions. */
export interface FrontSizes {
  /** Those that a fold reads in vain before they are told apart: a merge key of so few has no front, and nothing more is written for it. */
  readonly slack: number;
  /** Those that a reserve holds at least of the next best by each choice, and for each changed contribution of the batch that makes it. */
  readonly reserve: number;
  readonly reservePerChange: number;
  /** Of so few no reserve is made: to look through all of them again costs as little. */
  readonly few: number;
}
export const SIZES: FrontSizes = { slack: 64, reserve: 256, reservePerChange: 4, few: 512 };

/** Parts of one merge key that have a reserve. */
const MOST_RESERVES = 16;

/** An aggregate that says what its fold needs. */
export type Folding = Aggregate & { readonly needs: FoldNeeds };

/** A contribution whose place is decided here. */
type Placed = StoredContribution & { place: Place };

/** Names the whole among parts. */
const WHOLE = '';

/** What stands for all contributions to the merge key, or to a part of it: before the changes, and with them. */
interface Side {
  readonly choices: readonly Choice[];
  readonly before: readonly Placed[];
  after: Placed[];
  /** Which contributions tell what is chosen now; null: those that are known. */
  readonly extent: Extent | null;
  /** For how many more changes the reserve is good; null: there is none. */
  left: number | null;
  /** Where more than the reserve is looked through: the reserve that comes, what is seen of the one that was, and how many there are. */
  readonly best: Best<Placed> | null;
  readonly reserved: Placed[];
  seen: number;
}

/** The name of a part in the database; null: it belongs to none. */
function partIdOf({ name: aggregate, needs }: Folding, contribution: StoredContribution): string | null {
  const part = needs.parts?.of(contribution) ?? null;
  return part === null ? null : uuid5(`part:${aggregate}|${contribution.mergeKey}|${part}`);
}

/**
 * The front of one merge key in one batch: pure. Built from the front as it is stored; then `addParts` takes what is stored of the fronts of `partsToRead`, and
 * `judge` decides where the changed contributions stand. Where that does not tell what is chosen now, `addAll` takes what `extents` asks for, as it is written.
 *
 * A reserve holds at least the `n` next best by each choice when it is made. As long as fewer than `n` contributions have changed since, and all of these are put
 * into it, none behind it can be the best: what is best is in the front or in the reserve.
 */
export class KeyFront {
  readonly mergeKey: string;
  readonly #aggregate: Folding;
  readonly #sizes: FrontSizes;
  readonly #stored = new Map<string, Placed>();
  readonly #changed: ReadonlyMap<string, Placed>;
  readonly #reserves: Reserves;
  readonly #sides = new Map<string, Side>();
  #toRead: Set<string>;

  /** `earlier`: the changed contributions as they are stored. */
  constructor(
    aggregate: Folding,
    mergeKey: string,
    stored: {
      readonly front: readonly ReadContribution[];
      readonly earlier: readonly ReadContribution[];
      readonly reserves: Reserves;
    },
    changed: readonly StoredContribution[],
    sizes = SIZES,
  ) {
    this.mergeKey = mergeKey;
    this.#aggregate = aggregate;
    this.#sizes = sizes;
    const placed = changed.map((each): Placed => {
      const place: Place = { rank: 2, part: partIdOf(aggregate, each), partRank: 2 };
      return { ...each, place };
    });
    this.#changed = new Map(placed.map((each) => [nameOf(each), each]));
    // Which of them a change concerns is not asked: a reserve that ends too early costs no more than a look through all.
    const left = Object.entries(stored.reserves).map(([side, changes]) => [side, changes - changed.length] as const);
    this.#reserves = Object.fromEntries(left.filter(([, changes]) => changes >= 0));
    const before = stored.front.map((each) => this.#known(each));
    this.#addSide(WHOLE, aggregate.needs.whole, before, placed);
    const parts = [...before, ...stored.earlier, ...placed].map(({ place }) => place.part);
    this.#toRead = new Set(parts.filter((part) => part !== null));
  }

  /** Parts of which the front must be known. */
  partsToRead(): readonly string[] {
    return [...this.#toRead];
  }

  /** Takes the stored fronts of `partsToRead`. */
  addParts(fronts: readonly ReadContribution[]): void {
    const byPart = Map.groupBy(fronts, ({ place }) => place.part);
    const changed = Map.groupBy(this.#changed.values(), ({ place }) => place.part);
    for (const part of this.#toRead) {
      const before = (byPart.get(part) ?? []).map((each) => this.#known(each));
      this.#addSide(part, this.#aggregate.needs.parts?.choices ?? [], before, changed.get(part) ?? []);
    }
    this.#toRead = new Set();
  }

  /** The changed contributions, with where they stand. */
  judge(): readonly StoredContribution[] {
    for (const [name, side] of this.#sides) {
      const chosen = choose(side.choices, side.after);
      for (const each of this.#changed.values()) {
        if (name !== WHOLE && each.place.part !== name) continue;
        each.place = withRank(each.place, name, chosen.has(each) ? 0 : behind(each, side));
      }
    }
    return [...this.#changed.values()];
  }

  /** What has to be looked through: by part, the whole under ''. */
  extents(): readonly (readonly [string, Extent])[] {
    return [...this.#sides].flatMap(([name, { extent }]) => (extent === null ? [] : [[name, extent] as const]));
  }

  /** Takes some of what has to be looked through, of a part or, under '', of the whole. */
  addAll(some: readonly ReadContribution[], name: string): void {
    const side = this.#sides.get(name)!;
    const written = some.map((each) => this.#changed.get(nameOf(each)) ?? this.#stored.get(nameOf(each)) ?? each);
    const chosen = choose(side.choices, [...side.after, ...written]);
    // None but the chosen ones are kept: there may be any number of the others.
    for (const each of chosen) if (!this.#changed.has(nameOf(each))) this.#stored.set(nameOf(each), each);
    // Those that stand in the front already stay, until they are too many.
    side.after = [...new Set([...side.after.filter((each) => rankOf(each, name) === 0), ...chosen])];
    side.seen += written.length;
    if (side.best !== null) {
      for (const each of written) {
        side.best.add(each);
        if (rankOf(each, name) === 1) side.reserved.push(each);
      }
    }
    if (name !== WHOLE) return;
    for (const { place } of chosen)
      if (place.part !== null && !this.#sides.has(place.part)) this.#toRead.add(place.part);
  }

  /** What the rows are folded from. */
  after(): readonly StoredContribution[] {
    return [...new Set([...[...this.#sides.values()].flatMap(({ after }) => after), ...this.#changed.values()])];
  }

  /** What they were folded from before. */
  before(): readonly StoredContribution[] {
    return [...new Set([...this.#sides.values()].flatMap(({ before }) => before))];
  }

  /** Whether the rows of every part, and not of those alone that a change concerns, are others by now. */
  concernsAllParts(): boolean {
    const { shared } = this.#aggregate.needs.parts ?? {};
    if (shared === undefined) return false;
    const { before, after } = this.#sides.get(WHOLE)!;
    return shared(before) !== shared(after);
  }

  /** Whether the rows of a part come of `after` already. */
  knowsPart(part: string): boolean {
    return this.#sides.has(part);
  }

  /** What the rows of the other parts rest on beside the contributions of these: what is chosen for the whole, with its parts. */
  wholes(): { readonly before: readonly StoredContribution[]; readonly after: readonly StoredContribution[] } {
    const { choices, before, after } = this.#sides.get(WHOLE)!;
    const withParts = (of: 'before' | 'after', chosen: ReadonlySet<Placed>) => {
      const parts = [...chosen].flatMap(({ place }) => (place.part === null ? [] : [place.part]));
      return [...new Set([...chosen, ...parts.flatMap((part) => this.#sides.get(part)?.[of] ?? [])])];
    };
    return { before: withParts('before', choose(choices, before)), after: withParts('after', choose(choices, after)) };
  }

  /** Contributions that come into a front or a reserve, and those that leave one in which too many are not needed, with their new places; and the reserves by then. */
  settle(): { readonly places: (readonly [StoredContribution, Place])[]; readonly reserves: Reserves } {
    // By name: one that is looked through for its part and for the whole is read twice.
    const moved = new Map<string, readonly [Placed, Place]>();
    const left = new Map(Object.entries(this.#reserves));
    for (const [name, side] of this.#sides) {
      const to = (each: Placed, rank: Rank) => {
        const place = moved.get(nameOf(each))?.[1] ?? each.place;
        if (rankOf({ place }, name) !== rank) moved.set(nameOf(each), [each, withRank(place, name, rank)]);
      };
      const chosen = choose(side.choices, side.after);
      const isMade = side.best !== null && side.seen > this.#sizes.few;
      const next = isMade ? side.best.all() : new Set<Placed>();
      if (isMade) {
        side.left = this.#reserveOf() - 1;
        left.set(name, side.left);
      } else if (side.best !== null) left.delete(name);
      for (const each of side.reserved) to(each, behind(each, { left: null }));
      for (const each of next) if (rankOf(each, name) !== 0) to(each, 1);
      for (const each of chosen) to(each, 0);
      const inVain = side.after.filter((each) => !chosen.has(each) && rankOf(each, name) === 0);
      if (inVain.length > this.#sizes.slack) for (const each of inVain) to(each, behind(each, side));
    }
    const most = [...left].sort(([, a], [, b]) => b - a).slice(0, MOST_RESERVES);
    return { places: [...moved.values()], reserves: Object.fromEntries(most) };
  }

  #reserveOf(): number {
    return Math.max(this.#sizes.reserve, this.#sizes.reservePerChange * this.#changed.size);
  }

  /** One object for each contribution as it was. */
  #known(read: ReadContribution): Placed {
    const known = this.#stored.get(nameOf(read));
    if (known === undefined) this.#stored.set(nameOf(read), read);
    return known ?? read;
  }

  #addSide(name: string, choices: readonly Choice[], before: readonly Placed[], changed: readonly Placed[]): void {
    const after = [...before.filter((each) => !this.#changed.has(nameOf(each))), ...changed];
    const left = this.#reserves[name] ?? null;
    const { live, retired } = exhaustedOf(choices, before, after);
    const extent = retired ? 'all' : live ? (left === null ? 'live' : 'reserve') : null;
    const best = extent === null || extent === 'reserve' ? null : new Best<Placed>(choices, this.#reserveOf());
    this.#sides.set(name, { choices, before, after, extent, left, best, reserved: [], seen: 0 });
  }
}

function rankOf({ place }: { readonly place: Place }, name: string): Rank {
  return name === WHOLE ? place.rank : place.partRank;
}

function withRank(place: Place, name: string, rank: Rank): Place {
  return name === WHOLE ? { ...place, rank } : { ...place, partRank: rank };
}

/** Where one stands that is not chosen: none that is live may come to stand behind a reserve. */
function behind({ live }: Placed, { left }: Pick<Side, 'left'>): Rank {
  return live && left !== null ? 1 : 2;
}

/** Where all contributions to a merge key stand whose front is made: those whose place is another one by now. */
export function placeAll(
  aggregate: Folding,
  contributions: readonly ReadContribution[],
): (readonly [StoredContribution, Place])[] {
  const inFront = choose(aggregate.needs.whole, contributions);
  const parts = Map.groupBy(contributions, (each) => partIdOf(aggregate, each));
  return [...parts].flatMap(([part, ofPart]) => {
    const inPartFront = part === null ? new Set() : choose(aggregate.needs.parts?.choices ?? [], ofPart);
    return ofPart.flatMap((each) => {
      const place: Place = { rank: inFront.has(each) ? 0 : 2, part, partRank: inPartFront.has(each) ? 0 : 2 };
      const { rank, part: ofOld, partRank } = each.place;
      const isSame = place.rank === rank && place.part === ofOld && place.partRank === partRank;
      return isSame ? [] : [[each, place] as const];
    });
  });
}
