import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Tenants } from './projection.ts';
import { createTenants } from './tenants.ts';

/** The file of the pinned configuration of tenants, beside the projections and part of their mapping. */
export const TENANTS_FILE = fileURLToPath(new URL('./tenants.json', import.meta.url));

/** The pinned configuration of tenants. Throws `config_invalid` where the file does not hold one. */
export function readTenants(file = TENANTS_FILE): Tenants {
  const configuration = readConfiguration(file);
  return withFile(file, () => createTenants(configuration));
}

/** Tenants with settings of their own. */
export function readConfiguredTenants(): string[] {
  return Object.keys((readConfiguration() as { tenants?: object }).tenants ?? {});
}

/** What the file holds, as JSON gives it. Throws `config_invalid` where it is no JSON. */
export function readConfiguration(file = TENANTS_FILE): unknown {
  return withFile(file, () => JSON.parse(readFileSync(file, 'utf8')) as unknown);
}

function withFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new CrosswalkError(
      'config_invalid',
      `${file}: ${(error as Error).message}`,
      'Correct the file: docs/mapping.md, "Pinned configuration".',
      error,
    );
  }
}
