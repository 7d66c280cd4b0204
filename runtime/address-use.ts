/** The settings that hold an address of PostgreSQL. */
export type AddressSetting =
  | 'LEGACY_DATABASE_URL'
  | 'LEGACY_OWNER_URL'
  | 'TARGET_DATABASE_URL'
  | 'TARGET_OWNER_URL'
  | 'TARGET_OPERATOR_URL'
  | 'RESTORE_DATABASE_URL';

/** What an address was asked for, and the setting that it was then read from: another one where the first is not set. */
export interface AddressUse {
  readonly wanted: AddressSetting;
  readonly from: AddressSetting;
}

// An error of PostgreSQL comes from a connection, and a connection knows its address only: this is the way back to the setting, for all of this process.
const uses = new Map<string, AddressUse[]>();

/** Remembers what an address is for, and returns it. */
export function noteUse(url: string, use: AddressUse): string {
  const known = uses.get(url) ?? [];
  if (!known.some(({ wanted }) => wanted === use.wanted)) uses.set(url, [...known, use]);
  return url;
}

/**
 * What an address is for; null for one that no setting holds. Of several uses, the one whose own setting is missing: where a right is lacking there, that is why.
 */
export function useOf(url: string): AddressUse | null {
  const known = uses.get(url) ?? [];
  return known.find(({ wanted, from }) => wanted !== from) ?? known[0] ?? null;
}
