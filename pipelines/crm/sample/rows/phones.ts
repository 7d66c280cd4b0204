import { toLetters } from './identifiers.ts';

/** Area codes of the United States. */
const AREAS = [
  ...[
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234,
    239, 240, 248, 251,
  ],
  ...[
    252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314,
    315, 316, 317, 318,
  ],
  ...[
    319, 320, 321, 323, 325, 330, 331, 334, 336, 337, 339, 347, 351, 352, 360, 361, 386, 401, 402, 404, 405, 406, 407,
    408, 409, 410, 412,
  ],
  ...[
    413, 414, 415, 417, 419, 423, 424, 425, 430, 432, 434, 435, 440, 443, 469, 478, 479, 480, 484, 501, 502, 503, 504,
    505, 507, 508, 509,
  ],
  ...[
    510, 512, 513, 515, 516, 517, 518, 520, 530, 540, 541, 559, 561, 562, 563, 567, 570, 571, 573, 574, 580, 585, 586,
    601, 602, 603, 605,
  ],
  ...[
    606, 607, 608, 609, 610, 612, 614, 615, 616, 617, 618, 619, 620, 623, 626, 630, 631, 636, 641, 646, 650, 651, 660,
    661, 662, 678, 682,
  ],
  ...[
    701, 702, 703, 704, 706, 707, 708, 712, 713, 714, 715, 716, 717, 718, 719, 720, 724, 727, 731, 732, 734, 740, 754,
    757, 760, 763, 765,
  ],
  ...[
    770, 772, 773, 774, 775, 781, 785, 786, 801, 802, 803, 804, 805, 806, 808, 810, 812, 813, 814, 815, 816, 817, 818,
    828, 830, 831, 832,
  ],
  ...[
    843, 845, 847, 848, 850, 856, 857, 858, 859, 860, 862, 863, 864, 865, 870, 878, 901, 903, 904, 906, 907, 908, 909,
    910, 912, 913, 914,
  ],
  ...[
    915, 916, 917, 918, 919, 920, 925, 928, 931, 936, 937, 940, 941, 947, 949, 951, 952, 954, 956, 970, 971, 972, 973,
    978, 979, 980, 985,
  ],
  ...[989],
];

/** Number of ways to write one number. In the US, libphonenumber reads all of them as the same number. */
export const SPELLINGS = 5;

/** The ten digits of the n-th US number: first 555-0200 of every area, then the following lines. All are valid, and few lines of this exchange are assigned. */
export function nationalDigits(n: number): string {
  const line = 200 + Math.floor(n / AREAS.length);
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

/** The n-th number in non-ASCII digits and spaces: full width, no-break spaces, zero-width spaces. */
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

/** A foreign number, distinct for each n. */
export function spellForeign(n: number): string {
  return n % 2 === 0 ? `+49 1555 ${String(n).padStart(7, '0')}` : `+81 90 1${String(n).padStart(7, '0')}`;
}

/** Placeholder numbers that people enter when they have none. Some are valid. */
export const FILLERS: readonly string[] = [
  ...['123-456-7890', '(123) 123-1234', '000-000-0001', '555-123-4567', '0000000000', '555-555-5555', '(999) 999-9999'],
  ...['234-567-8901', '212-212-2121', '+1 206 234 5678', '415-555-0123'],
];

/** A text that is not a phone number, distinct for each n, with or without digits. */
export function spellNoPhone(n: number): string {
  switch (n % 5) {
    case 3:
      return `${FILLERS[n % FILLERS.length]} ${toLetters(n)}`;
    case 4:
      // A foreign number in its national format.
      return `030 9${String(n).padStart(6, '0')}`;
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
