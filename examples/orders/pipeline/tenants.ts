import type { Tenants } from 'crosswalk';

/** What the mapping must know of a shop and the legacy database does not say. */
export interface ShopSettings {
  /** ISO 4217: of orders that name none. */
  readonly currency: string;
}

/** Checks what tenants.json holds. Throws an Error with the faulty path. */
export function parseTenants(configuration: unknown): Tenants<ShopSettings> {
  const { default: fallback, tenants = {} } = toRecord(configuration, 'tenants.json');
  const others = toSettings(fallback, 'default');
  const own = new Map(
    Object.entries(toRecord(tenants, 'tenants')).map(([id, settings]) => [id, toSettings(settings, `tenants.${id}`)]),
  );
  return (shop) => own.get(shop) ?? others;
}

function toSettings(value: unknown, path: string): ShopSettings {
  const { currency } = toRecord(value, path);
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency))
    throw new Error(`${path}.currency must be three capital letters, such as "EUR"`);
  return { currency };
}

function toRecord(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${path} must be an object`);
  return value as Readonly<Record<string, unknown>>;
}
