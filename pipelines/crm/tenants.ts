import { isSupportedCountry } from 'libphonenumber-js/max';
import type { Tenants as TenantsOf } from '../../projectors/projection.ts';
import { toLowerCase, trim } from '../../projectors/values/text.ts';
import placeholders from './placeholders.json' with { type: 'json' };

/** Settings of one tenant that the mapping uses. */
export interface TenantSettings {
  /** ISO 3166 alpha-2 country for national phone numbers. */
  readonly country: string;
  readonly userId: string;
  readonly chatbotId: string;
  readonly placeholders: Placeholders;
}

/** Texts that people enter for unknown values. They identify nobody, and never replace a known value. Lower case, trimmed. */
export interface Placeholders {
  /** Local parts of e-mail addresses. */
  readonly mailboxes: ReadonlySet<string>;
  /** Names, white space collapsed. */
  readonly names: ReadonlySet<string>;
}

export type Tenants = TenantsOf<TenantSettings>;

const fields = ['country', 'userId', 'chatbotId', 'placeholders'] as const;
const builtIn: TenantSettings = {
  country: 'US',
  userId: '1',
  chatbotId: '1',
  placeholders: { mailboxes: new Set(placeholders.mailboxes), names: new Set(placeholders.names) },
};

/** Whether a tenant's `country` may have this value: a country with phone numbers of its own. */
export function isPhoneCountry(country: string): boolean {
  return isSupportedCountry(country);
}

/**
 * Lookup of tenant settings from a configuration `{ default: {…}, tenants: { <tenant id>: {…} } }`. Settings are `country`, `userId`, `chatbotId` and
 * `placeholders` (lists `mailboxes` and `names`). A tenant inherits omitted settings from the default. Throws with the faulty path if the shape is
 * wrong.
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
  if (typeof country !== 'string' || !isPhoneCountry(country)) {
    throw new Error(`${path}.country must be a country known to libphonenumber, such as "US"`);
  }
  return {
    country,
    userId: toId(userId, `${path}.userId`),
    chatbotId: toId(chatbotId, `${path}.chatbotId`),
    placeholders: toPlaceholders(given.placeholders, fallback.placeholders, `${path}.placeholders`),
  };
}

function toPlaceholders(config: unknown, fallback: Placeholders, path: string): Placeholders {
  if (config === undefined) return fallback;
  const { mailboxes, names, ...others } = toRecord(config, path);
  const stray = Object.keys(others)[0];
  if (stray !== undefined) throw new Error(`${path}: unknown key "${stray}": use mailboxes and names`);
  return {
    mailboxes: mailboxes === undefined ? fallback.mailboxes : toTexts(mailboxes, `${path}.mailboxes`),
    names: names === undefined ? fallback.names : toTexts(names, `${path}.names`),
  };
}

function toTexts(config: unknown, path: string): ReadonlySet<string> {
  if (!Array.isArray(config) || config.some((text) => typeof text !== 'string' || text !== toLowerCase(trim(text))))
    throw new Error(`${path} must be a list of texts, trimmed and in lower case`);
  return new Set(config as string[]);
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
