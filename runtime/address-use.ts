/** The settings that hold an address of PostgreSQL. */
export type AddressSetting =
  | 'LEGACY_DATABASE_URL'
  | 'LEGACY_OWNER_URL'
  | 'TARGET_DATABASE_URL'
  | 'TARGET_OWNER_URL'
  | 'TARGET_OPERATOR_URL'
  | 'RESTORE_DATABASE_URL';

/** The purpose of an address, and the setting it was read from: a fallback if the first is not set. */
export interface AddressUse {
  readonly wanted: AddressSetting;
  readonly from: AddressSetting;
}

// An error of PostgreSQL comes from a connection, and a connection knows only its address. This maps the address back to its setting, for the whole process.
const uses = new Map<string, AddressUse[]>();

/** Remembers what an address is for, and returns it. */
export function noteUse(url: string, use: AddressUse): string {
  const known = uses.get(url) ?? [];
  if (!known.some(({ wanted }) => wanted === use.wanted)) uses.set(url, [...known, use]);
  return url;
}

/**
 * The purpose of an address; null for one that no setting holds. If there are several, the one whose own setting is missing, because that is the likely cause of a missing right.
 */
export function useOf(url: string): AddressUse | null {
  const known = uses.get(url) ?? [];
  return known.find(({ wanted, from }) => wanted !== from) ?? known[0] ?? null;
}
