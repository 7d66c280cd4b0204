import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Tenants } from './projection.ts';
import { createTenants } from './tenants.ts';

/** The file of the pinned configuration of tenants, beside the projections and part of their mapping. */
export const TENANTS_FILE = fileURLToPath(new URL('./tenants.json', import.meta.url));

/** The pinned configuration of tenants. */
export function readTenants(): Tenants {
  return createTenants(readConfiguration());
}

/** Tenants with settings of their own. */
export function readConfiguredTenants(): string[] {
  return Object.keys((readConfiguration() as { tenants?: object }).tenants ?? {});
}

/** What the file holds, as JSON gives it. */
export function readConfiguration(file = TENANTS_FILE): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
