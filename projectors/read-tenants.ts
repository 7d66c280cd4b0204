import { readFileSync } from 'node:fs';
import type { Tenants } from './projection.ts';
import { createTenants } from './tenants.ts';

/** The pinned configuration of tenants that lies beside the projections. */
export function readTenants(): Tenants {
  return createTenants(readConfiguration());
}

/** Tenants with settings of their own. */
export function readConfiguredTenants(): string[] {
  return Object.keys((readConfiguration() as { tenants?: object }).tenants ?? {});
}

function readConfiguration(): unknown {
  return JSON.parse(readFileSync(new URL('./tenants.json', import.meta.url), 'utf8'));
}
