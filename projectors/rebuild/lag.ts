import type { Place } from './replay.ts';

/** Lag of a shadow behind the live projectors, from samples of both positions. */
export interface Lag {
  /** Records both positions. Returns how long ago the live projectors were last at the shadow's present position; infinite if longer ago than the samples reach. */
  look(atMs: number, live: readonly Place[], own: readonly Place[]): number;
  /** Number of samples kept. */
  readonly size: number;
}

/** Keeps the samples of the last `withinMs`. */
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
