import { hashText, mix } from '../random.ts';

/** Kinds with their share per thousand rows. The shares add up to 1,000. */
export type Shares<K extends string> = readonly (readonly [K, number])[];

const COPRIMES = [1, 3, 7, 9, 11, 13, 17, 19, 21, 23, 27, 29, 31, 33, 37, 39];

/**
 * The kind of row `index` under `name`. Each block of 1,000 rows has every kind exactly as often as its share says. The kinds of different names are
 * independent of each other: the block is shuffled by a step coprime to 1,000.
 */
export function kindOf<K extends string>(seed: string, name: string, index: number, shares: Shares<K>): K {
  const block = Math.floor(index / 1000);
  const shuffle = mix(hashText(`${seed}/${name}`) ^ mix(block));
  const step = COPRIMES[shuffle & 15]! + 40 * ((shuffle >>> 4) % 25);
  let slot = ((index % 1000) * step + ((shuffle >>> 10) % 1000)) % 1000;
  for (const [kind, share] of shares) {
    slot -= share;
    if (slot < 0) return kind;
  }
  throw new RangeError(`${name}: the shares add up to less than 1,000`);
}

/** The same shares, with those of the unwanted kinds moved to `instead`. */
export function without<K extends string>(shares: Shares<K>, unwanted: readonly K[], instead: K): Shares<K> {
  return shares.map(([kind, share]) => [unwanted.includes(kind) ? instead : kind, share]);
}
