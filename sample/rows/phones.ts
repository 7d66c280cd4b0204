import { toLetters } from './identifiers.ts';

const AREAS = Array.from({ length: 789 }, (_, i) => 201 + i).filter((area) => area % 100 !== 11 && area % 100 < 90);

/** The ways one number gets written; all of them are the same number to libphonenumber in the US. */
export const SPELLINGS = 5;

/** The ten digits of the n-th fictional US number: 555-01xx of every area first, then the rest of the exchanges from 555. */
export function nationalDigits(n: number): string {
  const line = 100 + Math.floor(n / AREAS.length);
  return `${AREAS[n % AREAS.length]}${555 + Math.floor(line / 10_000)}${String(line % 10_000).padStart(4, '0')}`;
}

/** The n-th number in one of its spellings (0 to 4). */
export function spellPhone(n: number, spelling: number): string {
  const digits = nationalDigits(n);
  const [area, exchange, line] = [digits.slice(0, 3), digits.slice(3, 6), digits.slice(6)];
  switch (spelling % SPELLINGS) {
    case 0:
      return `(${area}) ${exchange}-${line}`;
    case 1:
      return `+1 ${area} ${exchange} ${line}`;
    case 2:
      return `1-${area}-${exchange}-${line}`;
    case 3:
      return `${area}.${exchange}.${line}`;
    default:
      return digits;
  }
}

/** The n-th number with an extension: a shared line. */
export function spellExtension(n: number, extension: number): string {
  return `${spellPhone(n, n)} ${['ext. ', 'x', 'ext', 'extension '][extension % 4]}${10 + (extension % 90)}`;
}

/** The n-th number in digits and spaces that are not ASCII: full width, no-break spaces, zero-width spaces. */
export function spellExotic(n: number, variant: number): string {
  const digits = nationalDigits(n);
  switch (variant % 3) {
    case 0:
      return `＋１${[...digits].map((digit) => String.fromCodePoint(0xff10 + Number(digit))).join('')}`;
    case 1:
      return `+1\u00a0${digits.slice(0, 3)}\u00a0${digits.slice(3, 6)}\u00a0${digits.slice(6)}`;
    default:
      return `\u200b${digits.slice(0, 3)}-${digits.slice(3, 6)}-${digits.slice(6)}\u200b`;
  }
}

/** A number of another country, distinct for each n. */
export function spellForeign(n: number): string {
  return n % 2 === 0 ? `+49 1555 ${String(n).padStart(7, '0')}` : `+81 90 ${String(n).padStart(8, '0')}`;
}

/** A text in the phone's place that is no number, distinct for each n: with and without digits. */
export function spellNoPhone(n: number): string {
  switch (n % 3) {
    case 0:
      return `front desk #${n}`;
    case 1:
      return `ask for ${toLetters(n)}`;
    default:
      return `5555555555 (${toLetters(n)})`;
  }
}

/** A blank text, distinct for each n: spaces and no-break spaces. */
export function spellBlank(n: number): string {
  return n.toString(2).replaceAll('0', ' ').replaceAll('1', '\u00a0');
}
