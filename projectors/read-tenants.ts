import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Pipeline } from './pipeline.ts';
import type { Tenants } from './projection.ts';

/** The file of the pinned configuration of tenants: part of the mapping. */
export function tenantsFileOf({ folder, tenants }: Pick<Pipeline, 'folder' | 'tenants'>): string {
  return join(folder, tenants.file);
}

/** The pinned configuration of tenants. Throws `config_invalid` where the file does not hold one. */
export function readTenants(pipeline: Pick<Pipeline, 'folder' | 'tenants'>, file = tenantsFileOf(pipeline)): Tenants {
  const configuration = readConfiguration(file);
  return withFile(file, () => pipeline.tenants.parse(configuration));
}

/** Tenants with settings of their own. */
export function readConfiguredTenants(pipeline: Pick<Pipeline, 'folder' | 'tenants'>): string[] {
  return Object.keys((readConfiguration(tenantsFileOf(pipeline)) as { tenants?: object }).tenants ?? {});
}

/** What the file holds, as JSON gives it. Throws `config_invalid` where it is no JSON. */
export function readConfiguration(file: string): unknown {
  return withFile(file, () => JSON.parse(readFileSync(file, 'utf8')) as unknown);
}

function withFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new CrosswalkError('config_invalid.tenants_file', `${file}: ${(error as Error).message}`, { cause: error });
  }
}
