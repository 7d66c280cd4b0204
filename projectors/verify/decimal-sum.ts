const decimal = /^(-?)([0-9]+)(?:\.([0-9]+))?$/;
/** Up to this length in characters, numbers are added as doubles. Sums stay below 2^53 until they are carried over. */
const MOST_CHARACTERS = 14;
const CARRY_AT = 2 ** 52;

/** An exact sum of decimal numbers, each in PostgreSQL's text. */
export class DecimalSum {
  /** By scale: sums of the digits without the point. Small numbers are kept apart from the rest. */
  readonly #small: number[] = [];
  readonly #large: bigint[] = [];
  readonly #special = new Set<string>();

  add(text: string): void {
    if (text.length > MOST_CHARACTERS || !this.#addSmall(text)) this.#addLarge(text);
  }

  /** Most numbers are short. Their digits are added without creating a string or a bigint. */
  #addSmall(text: string): boolean {
    const isNegative = text.charCodeAt(0) === 45;
    let value = 0;
    let pointAt = text.length - 1;
    for (let at = isNegative ? 1 : 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 46) pointAt = at;
      else if (code >= 48 && code <= 57) value = value * 10 + code - 48;
      else return false;
    }
    const scale = text.length - 1 - pointAt;
    const sum = (this.#small[scale] ?? 0) + (isNegative ? -value : value);
    if (Math.abs(sum) < CARRY_AT) {
      this.#small[scale] = sum;
      return true;
    }
    this.#large[scale] = (this.#large[scale] ?? 0n) + BigInt(sum);
    this.#small[scale] = 0;
    return true;
  }

  #addLarge(text: string): void {
    const match = decimal.exec(text);
    if (match === null) {
      this.#special.add(text);
      return;
    }
    const scale = match[3]?.length ?? 0;
    const value = BigInt(match[2]! + (match[3] ?? ''));
    this.#large[scale] = (this.#large[scale] ?? 0n) + (match[1] === '-' ? -value : value);
  }

  /** Without trailing zeros. If a text is not a number, the sum is that text, or `NaN` if there are several different ones. */
  toText(): string {
    if (this.#special.size > 0) return this.#special.size === 1 ? [...this.#special][0]! : 'NaN';
    const scale = Math.max(this.#small.length, this.#large.length, 1) - 1;
    let total = 0n;
    for (let at = 0; at <= scale; at += 1) {
      const sum = BigInt(this.#small[at] ?? 0) + (this.#large[at] ?? 0n);
      total += sum * 10n ** BigInt(scale - at);
    }
    const digits = String(total < 0n ? -total : total).padStart(scale + 1, '0');
    const whole = digits.slice(0, digits.length - scale);
    const fraction = digits.slice(digits.length - scale).replace(/0+$/, '');
    return `${total < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
  }
}
