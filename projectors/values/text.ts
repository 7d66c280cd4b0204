const whiteSpaceRun = /[\t\n\v\f\r \u00a0]+/g;
const separatorRun = /[\p{P}\t\n\v\f\r \u00a0]+/gu;

function isWhiteSpace(codeUnit: number): boolean {
  return codeUnit === 32 || (codeUnit >= 9 && codeUnit <= 13) || codeUnit === 0xa0;
}

/** Removes leading and trailing white space: ASCII white space and U+00A0 (not JavaScript's wider set). */
export function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhiteSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** Whether a cell holds more than white space. */
export function has(cell: string | null | undefined): cell is string {
  if (cell === null || cell === undefined) return false;
  for (let at = 0; at < cell.length; at += 1) {
    if (!isWhiteSpace(cell.charCodeAt(at))) return true;
  }
  return false;
}

/** Whether a text contains white space anywhere. */
export function hasWhiteSpace(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    if (isWhiteSpace(text.charCodeAt(at))) return true;
  }
  return false;
}

/** Lower case per code point: U+03A3 never becomes a final sigma, and U+0130 becomes a plain `i`. */
export function toLowerCase(text: string): string {
  // These two are the only letters whose lower case depends on more than the code point itself.
  const plain = text.includes('\u03a3') ? text.replaceAll('\u03a3', '\u03c3') : text;
  return (plain.includes('\u0130') ? plain.replaceAll('\u0130', 'i') : plain).toLowerCase();
}

/** Status text: trimmed and lower-cased; null if blank. */
export function toStatusText(cell: string | null | undefined): string | null {
  return has(cell) ? toLowerCase(trim(cell)) : null;
}

/** Normalised name: NFKC, lower case, white space collapsed, trimmed; may be empty. */
export function toNormalisedName(cell: string | null | undefined): string {
  if (!has(cell)) return '';
  return trim(toLowerCase(cell.normalize('NFKC')).replace(whiteSpaceRun, ' '));
}

/** Normalised address: NFKC, lower case, runs of punctuation and white space replaced by one space, trimmed; may be empty. */
export function toNormalisedAddress(cell: string | null | undefined): string {
  if (!has(cell)) return '';
  return trim(toLowerCase(cell.normalize('NFKC')).replace(separatorRun, ' '));
}

/** Orders two texts by their UTF-8 bytes (which is the order of their code points): negative, zero or positive. */
export function compareBytes(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at += 1) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rankOfCodeUnit(a) - rankOfCodeUnit(b);
  }
  return left.length - right.length;
}

// Surrogates stand for code points above U+FFFF, so they sort after U+E000 to U+FFFF.
function rankOfCodeUnit(codeUnit: number): number {
  return codeUnit >= 0xd800 && codeUnit <= 0xdfff ? codeUnit + 0x10000 : codeUnit;
}

/** Length of a text in UTF-8 bytes. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const codeUnit = text.charCodeAt(at);
    if (codeUnit < 0x80) continue;
    if (codeUnit < 0x800 || (codeUnit >= 0xd800 && codeUnit <= 0xdfff)) length += 1;
    else length += 2;
  }
  return length;
}
