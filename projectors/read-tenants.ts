import { readFileSync } from 'node:fs';
import type { Tenants } from './projection.ts';
import { createTenants } from './tenants.ts';

/** The pinned configuration of tenants that lies beside the projections. */
export function readTenants(): Tenants {
  return createTenants(JSON.parse(readFileSync(new URL('./tenants.json', import.meta.url), 'utf8')));
}
