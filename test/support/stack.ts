// The servers of a test run: vitest's global setup opens them once, the tests ask for databases of their own.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { openStack } from '../../infra/stack/stack.ts';
import { startTestContainer } from './test-container.ts';

export interface StackAddresses {
  /** A role on each server that may create databases. */
  readonly legacyAdminUrl: string;
  readonly targetAdminUrl: string;
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    stack: StackAddresses;
  }
}

/** vitest's global setup: opens the stack of this run in a new folder; the function it returns closes it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-test-'));
  const removeDir = () => rmSync(dir, { recursive: true, force: true });
  const log = (line: string) => console.error(`stack: ${line}`);
  try {
    const stack = await openStack({ dir, env: process.env, log, keepData: false, startContainer: startTestContainer });
    project.provide('stack', {
      legacyAdminUrl: process.env.LEGACY_DATABASE_URL ? stack.legacyUrl : stack.adminUrl!,
      targetAdminUrl: process.env.TARGET_DATABASE_URL ? stack.targetUrl : stack.adminUrl!,
      kafkaBrokers: stack.kafkaBrokers,
      registryUrl: stack.registryUrl,
    });
    return async () => {
      await stack.close();
      removeDir();
    };
  } catch (error) {
    removeDir();
    throw error;
  }
}

/** The addresses of this run's servers; in tests only. */
export function stackAddresses(): StackAddresses {
  return inject('stack');
}

async function withAdmin<T>(adminUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function createDatabase(adminUrl: string, name: string): Promise<string> {
  await withAdmin(adminUrl, (client) => client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`));
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withAdmin(adminUrl, async (client) => {
    // A replication slot keeps its database from being dropped, and its reader keeps the slot from being dropped.
    const slots = `FROM pg_replication_slots WHERE database = $1`;
    await client.query(`SELECT pg_terminate_backend(active_pid, 10000) ${slots} AND active_pid IS NOT NULL`, [name]);
    await client.query(`SELECT pg_drop_replication_slot(slot_name) ${slots}`, [name]);
    await client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  });
}

/** Two new databases for one test file; `drop` removes them with their replication slots, whoever still uses them. */
export async function createDatabases(
  prefix: string,
): Promise<{ legacyUrl: string; targetUrl: string; drop(): Promise<void> }> {
  const { legacyAdminUrl, targetAdminUrl } = inject('stack');
  const id = `${prefix}_${randomBytes(4).toString('hex')}`;
  const [legacyName, targetName] = [`${id}_legacy`, `${id}_crm`];
  const legacyUrl = await createDatabase(legacyAdminUrl, legacyName);
  const targetUrl = await createDatabase(targetAdminUrl, targetName);
  return {
    legacyUrl,
    targetUrl,
    drop: async () => {
      await dropDatabase(legacyAdminUrl, legacyName);
      await dropDatabase(targetAdminUrl, targetName);
    },
  };
}
