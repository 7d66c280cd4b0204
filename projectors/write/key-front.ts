import type { Aggregate, Choice, FoldNeeds } from '../projection.ts';
import { uuid5 } from '../values/uuid5.ts';
import type { Place, ReadContribution, StoredContribution } from './contributions.ts';
import { choose, isExhausted, nameOf } from './front.ts';

/** How many contributions a fold reads in vain before they are told apart: a merge key of few has no front, and nothing more is written for it. */
export const SLACK = 64;

/** An aggregate that says what its fold needs. */
export type Folding = Aggregate & { readonly needs: FoldNeeds };

/** A contribution whose place is decided here. */
type Placed = StoredContribution & { place: Place };

/** What stands for all contributions to the merge key, or to a part of it: before the changes, and with them. */
interface Side {
  readonly choices: readonly Choice[];
  readonly before: readonly Placed[];
  after: Placed[];
  /** Only all contributions can tell what is chosen now. */
  exhausted: boolean;
}

/** The name of a part in the database; null: it belongs to none. */
function partIdOf({ name: aggregate, needs }: Folding, contribution: StoredContribution): string | null {
  const part = needs.parts?.of(contribution) ?? null;
  return part === null ? null : uuid5(`part:${aggregate}|${contribution.mergeKey}|${part}`);
}

/**
 * The front of one merge key in one batch: pure. Built from the front as it is stored; then `addParts` takes what is stored of the fronts of `partsToRead`, and
 * `judge` decides where the changed contributions stand. What is `exhausted` is then chosen anew (`choose`) from all contributions as they are written.
 */
export class KeyFront {
  readonly mergeKey: string;
  readonly #aggregate: Folding;
  readonly #stored = new Map<string, Placed>();
  readonly #changed: ReadonlyMap<string, Placed>;
  readonly #whole: Side;
  readonly #parts = new Map<string, Side>();
  #toRead: Set<string>;

  /** `earlier`: the changed contributions as they are stored. */
  constructor(
    aggregate: Folding,
    mergeKey: string,
    stored: { readonly front: readonly ReadContribution[]; readonly earlier: readonly ReadContribution[] },
    changed: readonly StoredContribution[],
  ) {
    this.mergeKey = mergeKey;
    this.#aggregate = aggregate;
    const placed = changed.map((each): Placed => {
      const place = { inFront: false, part: partIdOf(aggregate, each), inPartFront: false };
      return { ...each, place };
    });
    this.#changed = new Map(placed.map((each) => [nameOf(each), each]));
    const before = stored.front.map((each) => this.#known(each));
    this.#whole = this.#toSide(aggregate.needs.whole, before, placed);
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
    const changed = [...this.#changed.values()];
    for (const part of this.#toRead) {
      const before = (byPart.get(part) ?? []).map((each) => this.#known(each));
      const ofPart = changed.filter(({ place }) => place.part === part);
      this.#parts.set(part, this.#toSide(this.#aggregate.needs.parts?.choices ?? [], before, ofPart));
    }
    this.#toRead = new Set();
  }

  /** The changed contributions, with where they stand. */
  judge(): readonly StoredContribution[] {
    const inFront = choose(this.#whole.choices, this.#whole.after);
    const inPartFront = new Set([...this.#parts.values()].flatMap(({ choices, after }) => [...choose(choices, after)]));
    for (const each of this.#changed.values())
      each.place = { ...each.place, inFront: inFront.has(each), inPartFront: inPartFront.has(each) };
    return [...this.#changed.values()];
  }

  /** Whether the whole has to be chosen anew. */
  get isExhausted(): boolean {
    return this.#whole.exhausted;
  }

  /** Parts that have to be chosen anew. */
  exhaustedParts(): readonly string[] {
    return [...this.#parts].filter(([, { exhausted }]) => exhausted).map(([part]) => part);
  }

  /** Takes some of all contributions as they are written, of the whole or of a part that is exhausted. */
  addAll(some: readonly ReadContribution[], part: string | null): void {
    const side = part === null ? this.#whole : this.#parts.get(part)!;
    const written = some.map((each) => this.#changed.get(nameOf(each)) ?? this.#stored.get(nameOf(each)) ?? each);
    const chosen = choose(side.choices, [...side.after, ...written]);
    // None but the chosen ones are kept: there may be any number of the others.
    for (const each of chosen) if (!this.#changed.has(nameOf(each))) this.#stored.set(nameOf(each), each);
    // Those that stand in the front already stay, until they are too many.
    side.after = [...new Set([...side.after.filter((each) => isIn(each, part)), ...chosen])];
    if (part !== null) return;
    for (const { place } of chosen)
      if (place.part !== null && !this.#parts.has(place.part)) this.#toRead.add(place.part);
  }

  /** What the rows are folded from. */
  after(): readonly StoredContribution[] {
    const sides = [this.#whole, ...this.#parts.values()];
    return [...new Set([...sides.flatMap(({ after }) => after), ...this.#changed.values()])];
  }

  /** What they were folded from before. */
  before(): readonly StoredContribution[] {
    return [...new Set([this.#whole, ...this.#parts.values()].flatMap(({ before }) => before))];
  }

  /** Contributions that come into a front, and those that leave one in which too many are not needed, with their new places. */
  moves(): (readonly [StoredContribution, Place])[] {
    const moved = new Map<Placed, Place>();
    const move = ({ choices, after }: Side, part: string | null) => {
      const chosen = choose(choices, after);
      const left = after.filter((each) => !chosen.has(each) && isIn(each, part));
      const to = (each: Placed, isThere: boolean) => {
        const place = moved.get(each) ?? each.place;
        moved.set(each, part === null ? { ...place, inFront: isThere } : { ...place, inPartFront: isThere });
      };
      for (const each of chosen) if (!isIn(each, part)) to(each, true);
      if (left.length > SLACK) for (const each of left) to(each, false);
    };
    move(this.#whole, null);
    for (const [part, side] of this.#parts) move(side, part);
    return [...moved];
  }

  /** One object for each contribution as it was. */
  #known(read: ReadContribution): Placed {
    const known = this.#stored.get(nameOf(read));
    if (known === undefined) this.#stored.set(nameOf(read), read);
    return known ?? read;
  }

  #toSide(choices: readonly Choice[], before: readonly Placed[], changed: readonly Placed[]): Side {
    const after = [...before.filter((each) => !this.#changed.has(nameOf(each))), ...changed];
    return { choices, before, after, exhausted: isExhausted(choices, before, after) };
  }
}

function isIn({ place }: Placed, part: string | null): boolean {
  return part === null ? place.inFront : place.inPartFront;
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
      const place = { inFront: inFront.has(each), part, inPartFront: inPartFront.has(each) };
      const { inFront: wasIn, part: ofOld, inPartFront: wasInPart } = each.place;
      const isSame = place.inFront === wasIn && place.part === ofOld && place.inPartFront === wasInPart;
      return isSame ? [] : [[each, place] as const];
    });
  });
}
