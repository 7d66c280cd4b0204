import { type CountryCode, type PhoneNumber, parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { isValidInNorthAmerica, toTenDigits } from './north-american-phone.ts';

/** Longest raw text that is parsed, in UTF-16 code units: the library's own limit. */
const maxRawLength = 250;
/** Parsing costs tens of microseconds, and the same few numbers recur; two generations bound the memory of the cache. */
const maxGenerationSize = 20_000;

const e164Pattern = /^\+[1-9][0-9]{1,14}$/;

let young = new Map<string, string | null>();
let old = new Map<string, string | null>();

/**
 * The E.164 number that identifies a subscriber in a raw text. National numbers are read in `country` (ISO 3166 alpha-2). Null if there is none: not a
 * valid number, one with an extension, or a usual placeholder. Never throws.
 */
export function toE164(raw: string | null | undefined, country: string): string | null {
  if (raw === null || raw === undefined || raw === '' || raw.length > maxRawLength) return null;
  const key = `${country} ${raw}`;
  const recent = young.get(key);
  if (recent !== undefined) return recent;
  const earlier = old.get(key);
  const found = earlier === undefined ? readE164(raw, country) : earlier;
  if (young.size >= maxGenerationSize) {
    old = young;
    young = new Map();
  }
  young.set(key, found);
  return found;
}

function readE164(raw: string, country: string): string | null {
  const ten = toTenDigits(raw, country);
  if (ten === null) return parseE164(raw, country);
  const { digits } = ten;
  return isValidInNorthAmerica(ten) && !isFillerNumber(digits) && !isFiction(digits) ? `+1${digits}` : null;
}

// The full metadata has every country's number ranges; smaller sets only have lengths.
function parseE164(raw: string, country: string): string | null {
  try {
    const phone = parsePhoneNumberFromString(raw, country as CountryCode);
    if (phone === undefined || phone.ext || !phone.isValid() || isFiller(phone)) return null;
    return e164Pattern.test(phone.number) ? phone.number : null;
  } catch {
    return null;
  }
}

function isFiller(phone: PhoneNumber): boolean {
  return isFillerNumber(phone.nationalNumber) || (phone.countryCallingCode === '1' && isFiction(phone.nationalNumber));
}

/** 555-0100 to 555-0199 in North America: reserved for films and examples. */
function isFiction(nationalNumber: string): boolean {
  return /^[0-9]{3}55501[0-9]{2}$/.test(nationalNumber);
}

/**
 * Whether digits are a usual placeholder for an unknown number: the last seven count up or down by one (1234567890), or all but the last repeat a group
 * of at most three digits (0000000001, 123 123 1234).
 */
export function isFillerNumber(digits: string): boolean {
  return countsOn(digits.slice(-7)) || repeats(digits);
}

function countsOn(digits: string): boolean {
  if (digits.length < 7) return false;
  const step = (Number(digits[1]) - Number(digits[0]) + 10) % 10;
  if (step !== 1 && step !== 9) return false;
  for (let index = 1; index < digits.length; index += 1) {
    if ((Number(digits[index]) - Number(digits[index - 1]) + 10) % 10 !== step) return false;
  }
  return true;
}

function repeats(digits: string): boolean {
  for (const period of [1, 2, 3]) {
    const compared = digits.length - 1 - period;
    if (compared < period) return false;
    let index = 0;
    while (index < compared && digits[index] === digits[index + period]) index += 1;
    if (index === compared) return true;
  }
  return false;
}
