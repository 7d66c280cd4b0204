import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Pipeline } from './pipeline.ts';
import type { Tenants } from './projection.ts';

/** Path of the pinned tenant configuration, which is part of the mapping. */
export function tenantsFileOf({ folder, tenants }: Pick<Pipeline, 'folder' | 'tenants'>): string {
  return join(folder, tenants.file);
}

/** Reads the pinned tenant configuration. Throws `config_invalid` if the file is invalid. */
export function readTenants(pipeline: Pick<Pipeline, 'folder' | 'tenants'>, file = tenantsFileOf(pipeline)): Tenants {
  const configuration = readConfiguration(file);
  return withFile(file, () => pipeline.tenants.parse(configuration));
}

/** Tenants with their own settings. */
export function readConfiguredTenants(pipeline: Pick<Pipeline, 'folder' | 'tenants'>): string[] {
  return Object.keys((readConfiguration(tenantsFileOf(pipeline)) as { tenants?: object }).tenants ?? {});
}

/** Content of the file, parsed as JSON. Throws `config_invalid` if it is not valid JSON. */
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
