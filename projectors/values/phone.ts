import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js';

/** Longest raw text that is looked at, in UTF-16 code units: the library's own bound. */
const maxRawLength = 250;
/** Parsing costs tens of microseconds, and the same few numbers come back; two generations bound the memory. */
const maxGenerationSize = 20_000;

// Digits alone are no E.164 number beyond 15, though the library calls some longer national numbers possible.
const e164Pattern = /^\+[1-9][0-9]{1,14}$/;
const oneDigitRepeated = /^([0-9])\1*$/;

let young = new Map<string, string | null>();
let old = new Map<string, string | null>();

/**
 * The E.164 number that identifies a subscriber in a raw text, national numbers read in `country` (ISO 3166 alpha-2); null when
 * there is none: no possible number, one with an extension, or one digit repeated. Never throws.
 */
export function toE164(raw: string | null | undefined, country: string): string | null {
  if (raw === null || raw === undefined || raw === '' || raw.length > maxRawLength) return null;
  const key = `${country} ${raw}`;
  const recent = young.get(key);
  if (recent !== undefined) return recent;
  const earlier = old.get(key);
  const found = earlier === undefined ? parseE164(raw, country) : earlier;
  if (young.size >= maxGenerationSize) {
    old = young;
    young = new Map();
  }
  young.set(key, found);
  return found;
}

// The library's smallest metadata is enough: `isPossible` compares lengths only, and all of its metadata sets hold them all.
function parseE164(raw: string, country: string): string | null {
  try {
    const phone = parsePhoneNumberFromString(raw, country as CountryCode);
    if (phone === undefined || phone.ext || oneDigitRepeated.test(phone.nationalNumber)) return null;
    return e164Pattern.test(phone.number) && phone.isPossible() ? phone.number : null;
  } catch {
    return null;
  }
}
