/**
 * PostgreSQL's text of floats (extra_float_digits ≥ 1): the shortest decimal that reads back as the same value,
 * excluding decimals halfway between two floats, which JavaScript's own rounding would accept.
 */
type Decimal = { digits: string; exponent: number };

/** Text of a float8. */
export function toFloat8Text(value: number): string {
  const special = toSpecialText(value);
  if (special !== null) return special;
  const size = Math.abs(value);
  // A halfway decimal of at most 17 digits exists only between these bounds; elsewhere JavaScript's digits match
  // PostgreSQL's.
  const decimal = size < 1e15 || size > 1e41 ? parseDecimal(String(size)) : shortestDecimal(size, 53, -1074);
  return toText(value < 0, decimal, 15);
}

/** Text of a float4; the value must be a float4 (`Math.fround(value) === value`). */
export function toFloat4Text(value: number): string {
  const special = toSpecialText(value);
  if (special !== null) return special;
  const size = Math.abs(value);
  if (size >= 1.2e-38 && size < 1e6) {
    // Two decimals of six digits are never the same float4: one that reads back is the shortest, apart from zeros.
    const short = size.toPrecision(6);
    if (Math.fround(Number(short)) === size) return toText(value < 0, parseDecimal(String(Number(short))), 6);
  }
  return toText(value < 0, shortestDecimal(size, 24, -149), 6);
}

function toSpecialText(value: number): string | null {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (Number.isFinite(value)) return null;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/** value = 0.digits × 10^exponent, without zeros at either end of the digits */
function parseDecimal(text: string): Decimal {
  const [mantissa, power] = text.split('e') as [string, string | undefined];
  const point = mantissa.indexOf('.');
  const whole = point === -1 ? mantissa : mantissa.slice(0, point);
  const all = point === -1 ? mantissa : whole + mantissa.slice(point + 1);
  const digits = all.replace(/^0+/, '');
  const exponent = whole.length - (all.length - digits.length) + (power === undefined ? 0 : Number(power));
  return { digits: digits.replace(/0+$/, ''), exponent };
}

/** Uses fixed notation for exponents from -4 up to but excluding the limit, like printf's %g. */
function toText(negative: boolean, { digits, exponent }: Decimal, limit: number): string {
  const sign = negative ? '-' : '';
  const scientific = exponent - 1;
  if (scientific < -4 || scientific >= limit) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const power = String(Math.abs(scientific)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${scientific < 0 ? '-' : '+'}${power}`;
  }
  if (exponent <= 0) return `${sign}0.${'0'.repeat(-exponent)}${digits}`;
  if (exponent >= digits.length) return sign + digits.padEnd(exponent, '0');
  return `${sign}${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
}

/**
 * The shortest decimal strictly between the halfway points around a value; if there are several, the closest. Exact.
 */
function shortestDecimal(size: number, mantissaBits: number, minPower: number): Decimal {
  // size = mantissa × 2^power, exactly.
  let power = Math.max(Math.floor(Math.log2(size)) - mantissaBits + 1, minPower);
  while (size / 2 ** power >= 2 ** mantissaBits) power++;
  while (power > minPower && size / 2 ** power < 2 ** (mantissaBits - 1)) power--;
  const mantissa = BigInt(size / 2 ** power);
  const closerBelow = mantissa === 1n << BigInt(mantissaBits - 1) && power > minPower;
  // All in units of 2^(power - 2), as fractions over a common denominator.
  let value = mantissa * 4n;
  let low = value - (closerBelow ? 1n : 2n);
  let high = value + 2n;
  let denominator = 1n;
  if (power >= 2) {
    const scale = 1n << BigInt(power - 2);
    value *= scale;
    low *= scale;
    high *= scale;
  } else {
    denominator = 1n << BigInt(2 - power);
  }
  for (let ten = high.toString().length - denominator.toString().length + 1; ; ten--) {
    // A decimal n × 10^ten: low < n × unit < high, over the same denominator.
    const [factor, unit] = ten >= 0 ? [1n, denominator * 10n ** BigInt(ten)] : [10n ** BigInt(-ten), denominator];
    const first = (low * factor) / unit + 1n;
    const last = (high * factor - 1n) / unit;
    if (first > last) continue;
    const scaled = value * factor;
    let n = scaled / unit;
    const remainder = scaled % unit;
    if (remainder * 2n > unit || (remainder * 2n === unit && n % 2n === 1n)) n++;
    if (n < first) n = first;
    if (n > last) n = last;
    if (n === 0n) continue;
    const digits = n.toString();
    return { digits: digits.replace(/0+$/, ''), exponent: digits.length + ten };
  }
}
