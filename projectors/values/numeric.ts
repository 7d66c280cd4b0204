const decimalPattern = /^([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?$/;
const plainPattern = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;
const zeroPattern = /^[+-]?0*(?:\.0*)?$/;
const zeroFractionPattern = /^(-?[0-9]+)(?:\.0*)?$/;

/** Limits of PostgreSQL's `numeric`: digits before and after the point, and the absolute value of the exponent. */
const maxIntegerDigits = 131_072;
const maxScale = 16_383;
const maxExponent = 1_073_741_823;

/**
 * The text that PostgreSQL's `numeric` prints for a decimal number (`-?digits[.digits][e±digits]`; `+`, `.5` and `5.` are allowed): leading zeros dropped, exponent
 * expanded, scale kept. Null for any other text, and for numbers that `numeric` cannot hold.
 */
export function parseNumeric(text: string): string | null {
  if (text.length < 1000 && plainPattern.test(text))
    return text.charCodeAt(0) === 45 && isZero(text) ? text.slice(1) : text;
  const match = decimalPattern.exec(text);
  if (match === null) return null;
  const fraction = match[3] ?? match[4] ?? '';
  const digits = (match[2] ?? '') + fraction;
  const exponent = match[5] === undefined ? 0 : Number(match[5]);
  if (Math.abs(exponent) > maxExponent) return null;
  const scale = Math.max(0, fraction.length - exponent);
  if (scale > maxScale) return null;
  const significant = digits.replace(/^0+/, '');
  if (significant === '') return withPoint('', '', scale);
  if (significant.length + exponent - fraction.length > maxIntegerDigits) return null;
  const shift = exponent - fraction.length;
  return withPoint(match[1] === '-' ? '-' : '', shift > 0 ? significant + '0'.repeat(shift) : significant, scale);
}

// `digits` has no leading zeros; the last `scale` of them go after the point.
function withPoint(sign: string, digits: string, scale: number): string {
  const padded = digits.padStart(scale + 1, '0');
  if (scale === 0) return sign + padded;
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/** Whether a decimal number in PostgreSQL's text form is zero; `NaN` and infinity are not. */
export function isZero(numeric: string): boolean {
  return numeric !== '' && zeroPattern.test(numeric);
}

/** Whether a `numeric` in PostgreSQL's text form is neither NaN nor infinite. */
export function isFiniteNumeric(numeric: string): boolean {
  return decimalPattern.test(numeric);
}

/** Whether a `numeric` in PostgreSQL's text form has at most `limit` digits on either side of the point. */
export function hasDigitsWithin(numeric: string, limit: number): boolean {
  const unsigned = numeric.startsWith('-') ? numeric.slice(1) : numeric;
  const point = unsigned.indexOf('.');
  return point < 0 ? unsigned.length <= limit : point <= limit && unsigned.length - point - 1 <= limit;
}

/** The `int4` text of a `numeric` without a fraction (`1.00` gives `1`); null if it has one or is out of range. */
export function toInt4(numeric: string): string | null {
  const integer = zeroFractionPattern.exec(numeric)?.[1];
  if (integer === undefined || integer.length > 11) return null;
  const value = Number(integer);
  return value >= -2_147_483_648 && value <= 2_147_483_647 ? String(value === 0 ? 0 : value) : null;
}

/** Exact product of two decimal numbers in PostgreSQL's text form; its scale is the sum of theirs, as for `numeric`. */
export function multiply(left: string, right: string): string {
  const product = unscaled(left) * unscaled(right);
  const negative = product < 0n;
  return withPoint(negative ? '-' : '', (negative ? -product : product).toString(), scaleOf(left) + scaleOf(right));
}

function unscaled(numeric: string): bigint {
  return BigInt(numeric.replace('.', ''));
}

function scaleOf(numeric: string): number {
  const point = numeric.indexOf('.');
  return point < 0 ? 0 : numeric.length - point - 1;
}
