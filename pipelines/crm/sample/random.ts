/** A seeded random generator: the same seed gives the same sequence on every machine. */
export interface Random {
  /** The next 32 bits, as an unsigned integer. */
  bits(): number;
  /** A number in [0, 1). */
  fraction(): number;
  /** An integer between least and greatest, both inclusive. */
  int(least: number, greatest: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** One element of a non-empty list. Throws RangeError on an empty one. */
  pick<T>(list: readonly T[]): T;
  /** One value, with probability proportional to its weight; weights are positive. */
  weighted<T>(choices: readonly (readonly [T, number])[]): T;
}

/** A 32-bit hash of a text, with a different sequence per `salt`. */
export function hashText(text: string, salt = 0): number {
  let hash = (0x811c9dc5 ^ Math.imul(salt + 1, 0x9e3779b1)) | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** Scrambles 32 bits: neighbouring inputs give unrelated outputs. */
export function mix(bits: number): number {
  let hash = bits | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A random sequence seeded by a text: sfc32 with four hashes of it. */
export function createRandom(seed: string): Random {
  let a = hashText(seed, 0) | 0;
  let b = hashText(seed, 1) | 0;
  let c = hashText(seed, 2) | 0;
  let counter = hashText(seed, 3) | 0;
  const bits = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) bits();

  const fraction = (): number => bits() / 0x1_0000_0000;
  const int = (least: number, greatest: number): number => least + Math.floor(fraction() * (greatest - least + 1));
  return {
    bits,
    fraction,
    int,
    chance: (probability) => fraction() < probability,
    pick: (list) => {
      if (list.length === 0) throw new RangeError('pick: the list is empty');
      return list[int(0, list.length - 1)] as (typeof list)[number];
    },
    weighted: (choices) => {
      let rest = fraction() * choices.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [value, weight] of choices) {
        rest -= weight;
        if (rest < 0) return value;
      }
      return choices[choices.length - 1]![0];
    },
  };
}
