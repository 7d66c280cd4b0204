import { hashText, type Random } from '../random.ts';

/** The UUID (version 4 in form) derived from a name. */
export function uuidOf(name: string): string {
  return toUuid(hashText(name, 0), hashText(name, 1), hashText(name, 2), hashText(name, 3));
}

/** A random UUID (version 4 in form). */
export function randomUuid(random: Random): string {
  return toUuid(random.bits(), random.bits(), random.bits(), random.bits());
}

/** A number written in the letters a–z. Distinct numbers give distinct letters. */
export function toLetters(value: number): string {
  let rest = value;
  let letters = '';
  do {
    letters = String.fromCharCode(97 + (rest % 26)) + letters;
    rest = Math.floor(rest / 26);
  } while (rest > 0);
  return letters;
}

function toUuid(a: number, b: number, c: number, d: number): string {
  const hex = [a, (b & 0xffff0fff) | 0x4000, (c & 0x3fffffff) | 0x80000000, d]
    .map((bits) => (bits >>> 0).toString(16).padStart(8, '0'))
    .join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
