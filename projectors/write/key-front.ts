import type { Aggregate, Choice, FoldNeeds } from '../projection.ts';
import { uuid5 } from '../values/uuid5.ts';
import type { Extent, Place, Rank, ReadContribution, Reserves, StoredContribution } from './contributions.ts';
import { Best, choose, exhaustedOf, nameOf } from './front.ts';

/** Sizes of a front, in contributions. */
export interface FrontSizes {
  /** Contributions that a fold may read unnecessarily before they are ranked. A merge key with no more than these has no front, and nothing more is stored for it. */
  readonly slack: number;
  /** Minimum number of next best contributions, by each choice, in a reserve: in total, and per changed contribution of the batch that builds it. */
  readonly reserve: number;
  readonly reservePerChange: number;
  /** With no more than these no reserve is built: reading all of them again is as cheap. */
  readonly few: number;
}
export const SIZES: FrontSizes = { slack: 64, reserve: 256, reservePerChange: 4, few: 512 };

/** Most parts of one merge key that have a reserve. */
const MOST_RESERVES = 16;

/** An aggregate that declares what its fold needs. */
export type Folding = Aggregate & { readonly needs: FoldNeeds };

/** A contribution whose place is decided here. */
type Placed = StoredContribution & { place: Place };

/** Name of the whole among the parts. */
const WHOLE = '';

/** The contributions that represent all those to the merge key, or to a part of it, before the changes and after them. */
interface Side {
  readonly choices: readonly Choice[];
  readonly before: readonly Placed[];
  after: Placed[];
  /** Which contributions must be read to know what is chosen now; null: the known ones suffice. */
  readonly extent: Extent | null;
  /** For how many more changes the reserve remains valid; null: there is none. */
  left: number | null;
  /** If more than the reserve is read: the new reserve, the members of the old one seen so far, and the number of contributions read. */
  readonly best: Best<Placed> | null;
  readonly reserved: Placed[];
  seen: number;
}

/** The id of a part in the database; null: the contribution belongs to no part. */
function partIdOf({ name: aggregate, needs }: Folding, contribution: StoredContribution): string | null {
  const part = needs.parts?.of(contribution) ?? null;
  return part === null ? null : uuid5(`part:${aggregate}|${contribution.mergeKey}|${part}`);
}

/**
 * The front of one merge key in one batch. Pure. It is built from the stored front; then `addParts` takes the stored fronts of `partsToRead`, and `judge` decides the
 * places of the changed contributions. If that does not determine what is chosen now, `addAll` takes, after the write, the contributions that `extents` asks for. A new
 * reserve holds at least the `n` next best by each choice. As long as fewer than `n` contributions have changed since, and all of these are put into it, none behind it
 * can be the best: the best is in the front or in the reserve.
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
    // Every change counts against every reserve. A reserve that expires too early only costs one read of all contributions.
    const left = Object.entries(stored.reserves).map(([side, changes]) => [side, changes - changed.length] as const);
    this.#reserves = Object.fromEntries(left.filter(([, changes]) => changes >= 0));
    const before = stored.front.map((each) => this.#known(each));
    this.#addSide(WHOLE, aggregate.needs.whole, before, placed);
    const parts = [...before, ...stored.earlier, ...placed].map(({ place }) => place.part);
    this.#toRead = new Set(parts.filter((part) => part !== null));
  }

  /** Parts whose fronts must be read. */
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

  /** Returns the changed contributions with their places. */
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

  /** Extents that must be read, by part; '' is the whole. */
  extents(): readonly (readonly [string, Extent])[] {
    return [...this.#sides].flatMap(([name, { extent }]) => (extent === null ? [] : [[name, extent] as const]));
  }

  /** Takes some of the contributions that `extents` asks for, of a part or, under '', of the whole. */
  addAll(some: readonly ReadContribution[], name: string): void {
    const side = this.#sides.get(name)!;
    const written = some.map((each) => this.#changed.get(nameOf(each)) ?? this.#stored.get(nameOf(each)) ?? each);
    const chosen = choose(side.choices, [...side.after, ...written]);
    // Keep only the chosen ones: the number of the others is unbounded.
    for (const each of chosen) if (!this.#changed.has(nameOf(each))) this.#stored.set(nameOf(each), each);
    // Those already in the front stay, until they are too many.
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

  /** The contributions to fold the rows from. */
  after(): readonly StoredContribution[] {
    return [...new Set([...[...this.#sides.values()].flatMap(({ after }) => after), ...this.#changed.values()])];
  }

  /** The contributions that the rows were folded from before. */
  before(): readonly StoredContribution[] {
    return [...new Set([...this.#sides.values()].flatMap(({ before }) => before))];
  }

  /** Whether the rows of all parts may have changed, and not only those of parts with changes. */
  concernsAllParts(): boolean {
    const { shared } = this.#aggregate.needs.parts ?? {};
    if (shared === undefined) return false;
    const { before, after } = this.#sides.get(WHOLE)!;
    return shared(before) !== shared(after);
  }

  /** Whether `after` already includes the contributions of a part. */
  knowsPart(part: string): boolean {
    return this.#sides.has(part);
  }

  /** Contributions that the rows of other parts depend on besides their own: those chosen for the whole, with their parts. */
  wholes(): { readonly before: readonly StoredContribution[]; readonly after: readonly StoredContribution[] } {
    const { choices, before, after } = this.#sides.get(WHOLE)!;
    const withParts = (of: 'before' | 'after', chosen: ReadonlySet<Placed>) => {
      const parts = [...chosen].flatMap(({ place }) => (place.part === null ? [] : [place.part]));
      return [...new Set([...chosen, ...parts.flatMap((part) => this.#sides.get(part)?.[of] ?? [])])];
    };
    return { before: withParts('before', choose(choices, before)), after: withParts('after', choose(choices, after)) };
  }

  /** Returns contributions that enter a front or a reserve, and those that leave a front with too many unneeded ones, with their new places; and the resulting reserves. */
  settle(): { readonly places: (readonly [StoredContribution, Place])[]; readonly reserves: Reserves } {
    // Keyed by name: a contribution that is read both for its part and for the whole is read twice.
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

  /** Returns one object for each stored contribution. */
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

/** Rank of a contribution that is not chosen: no live one may move behind a reserve. */
function behind({ live }: Placed, { left }: Pick<Side, 'left'>): Rank {
  return live && left !== null ? 1 : 2;
}

/** Returns the contributions to a merge key whose place changes when its front is built. */
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
