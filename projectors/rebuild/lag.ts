import type { Place } from './replay.ts';

/** How far behind the live projectors a shadow is, as looks at both tell. */
export interface Lag {
  /** Notes where both are. Returns how long ago the live projectors were last where the shadow is now; infinite where that is longer ago than is remembered. */
  look(atMs: number, live: readonly Place[], own: readonly Place[]): number;
  /** How many looks are remembered. */
  readonly size: number;
}

/** Remembers the looks of `withinMs`, and no others. */
export function createLag(withinMs: number): Lag {
  let looks: { readonly atMs: number; readonly live: readonly Place[] }[] = [];
  return {
    look(atMs, live, own) {
      looks = looks.filter((look) => atMs - look.atMs <= withinMs);
      looks.push({ atMs, live });
      const reached = new Map(own.map((place) => [nameOf(place), place.offset]));
      const last = looks.findLast((look) =>
        look.live.every((place) => (reached.get(nameOf(place)) ?? -1n) >= place.offset),
      );
      return last === undefined ? Number.POSITIVE_INFINITY : atMs - last.atMs;
    },
    get size() {
      return looks.length;
    },
  };
}

const nameOf = ({ projection, partition }: Place) => `${projection}/${partition}`;
