import { isSupportedCountry } from 'libphonenumber-js';
import type { TenantSettings, Tenants } from './projection.ts';

const fields = ['country', 'userId', 'chatbotId'] as const;
const builtIn: TenantSettings = { country: 'US', userId: '1', chatbotId: '1' };

/** Tenant of rows whose legacy column names none. */
export const unassignedTenant = 'unassigned';

/**
 * Lookup of tenant settings from a configuration `{ default: {…}, tenants: { <tenant id>: {…} } }`, where settings are `country`,
 * `userId` and `chatbotId`; what a tenant leaves out is the default's. Throws with the faulty path when the shape is wrong.
 */
export function createTenants(config: unknown): Tenants {
  const { default: fallbackConfig = {}, tenants = {}, ...others } = toRecord(config, 'tenant configuration');
  const stray = Object.keys(others)[0];
  if (stray !== undefined) throw new Error(`tenant configuration: unknown key "${stray}": use default and tenants`);
  const fallback = toSettings(fallbackConfig, builtIn, 'default');
  const byId = new Map(
    Object.entries(toRecord(tenants, 'tenants')).map(([id, own]) => [id, toSettings(own, fallback, `tenants.${id}`)]),
  );
  return (tenantId) => byId.get(tenantId) ?? fallback;
}

function toSettings(config: unknown, fallback: TenantSettings, path: string): TenantSettings {
  const given = toRecord(config, path);
  for (const key of Object.keys(given)) {
    if (!fields.some((field) => field === key))
      throw new Error(`${path}: unknown key "${key}": use ${fields.join(', ')}`);
  }
  const { country = fallback.country, userId = fallback.userId, chatbotId = fallback.chatbotId } = given;
  if (typeof country !== 'string' || !isSupportedCountry(country)) {
    throw new Error(`${path}.country must be a country known to libphonenumber, such as "US"`);
  }
  return { country, userId: toId(userId, `${path}.userId`), chatbotId: toId(chatbotId, `${path}.chatbotId`) };
}

function toId(value: unknown, path: string): string {
  if (typeof value !== 'string' || !/^[1-9][0-9]{0,17}$/.test(value)) {
    throw new Error(`${path} must be a positive integer in quotes, such as "1"`);
  }
  return value;
}

function toRecord(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${path} must be an object`);
  return value as Readonly<Record<string, unknown>>;
}
