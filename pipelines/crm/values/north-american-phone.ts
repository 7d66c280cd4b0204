import { type CountryCode, Metadata } from 'libphonenumber-js/max';

// Reads numbers of the plan that 25 countries share, in their usual formats, with the library's own metadata but without its overhead: the library
// creates 25 objects and as many regular expressions per number. All other formats are left to the library.
// test/unit/values/north-american-phone.test.ts compares the two.

const CALLING_CODE = '1';
/** The country whose plan applies if a number belongs to none. */
const MAIN = 'US';
const TYPES = [
  ...['FIXED_LINE', 'MOBILE', 'PREMIUM_RATE', 'TOLL_FREE', 'SHARED_COST', 'VOIP', 'PERSONAL_NUMBER', 'PAGER'],
  ...['UAN', 'VOICEMAIL'],
];

/** Parts of the library's metadata that its types do not declare. */
interface Plans {
  getCountryCodesForCallingCode(code: string): readonly CountryCode[];
  selectNumberingPlan(country: CountryCode): void;
  readonly numberingPlan: {
    leadingDigits(): string | undefined;
    nationalNumberPattern(): string;
    type(name: string): { pattern(): string | undefined; possibleLengths(): number[] | undefined } | undefined;
  };
}

/** `leading`: digits that assign a number to the country, valid or not. Null: a number belongs to the country if it is valid there. */
interface Country {
  readonly leading: RegExp | null;
  readonly isValid: (tenDigits: string) => boolean;
}

/** Ten digits, and the country in which they are read if they belong to none. */
export interface TenDigits {
  readonly digits: string;
  readonly country: string;
}

const written = /^(\+1[ .-]?)?\(?([2-9][0-9]{2})\)?[ .-]?([0-9]{3})[ .-]?([0-9]{4})$/;

/** In the library's order, the main country first. */
let known: ReadonlyMap<string, Country> | null = null;

/** The ten digits of a number in a usual format: with +1, or without if `country` belongs to the plan. Null for everything else. */
export function toTenDigits(raw: string, country: string): TenDigits | null {
  const match = written.exec(raw);
  if (match === null) return null;
  known ??= readCountries();
  const isNational = match[1] === undefined;
  if (isNational && !known.has(country)) return null;
  return {
    digits: match[2]! + match[3]! + match[4]!,
    country: isNational ? country : MAIN,
  };
}

/** Whether the digits are a valid subscriber number in the first country that they belong to. */
export function isValidInNorthAmerica({ digits, country }: TenDigits): boolean {
  known ??= readCountries();
  for (const { leading, isValid } of known.values()) {
    if (leading === null) {
      if (isValid(digits)) return true;
    } else if (leading.test(digits)) return isValid(digits);
  }
  return known.get(country)!.isValid(digits);
}

function readCountries(): Map<string, Country> {
  const metadata = new Metadata() as unknown as Plans;
  return new Map(
    metadata.getCountryCodesForCallingCode(CALLING_CODE).map((country) => {
      metadata.selectNumberingPlan(country);
      return [country, toCountry(metadata.numberingPlan)];
    }),
  );
}

function toCountry(plan: Plans['numberingPlan']): Country {
  const entire = (pattern: string) => new RegExp(`^(?:${pattern})$`);
  const national = entire(plan.nationalNumberPattern());
  const types = TYPES.flatMap((name) => {
    const type = plan.type(name);
    const pattern = type?.pattern();
    const lengths = type?.possibleLengths();
    return pattern && (lengths === undefined || lengths.includes(10)) ? [entire(pattern)] : [];
  });
  const leading = plan.leadingDigits();
  return {
    leading: leading ? new RegExp(`^(?:${leading})`) : null,
    isValid: (digits) => national.test(digits) && types.some((type) => type.test(digits)),
  };
}
