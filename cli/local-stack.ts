import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { planSourceSetup } from '../connectors/source-setup.ts';
import { captureOf } from '../connectors/source-state.ts';
import { findFreePort } from '../infra/stack/free-port.ts';
import { openStack, type Stack } from '../infra/stack/stack.ts';
import { migrationsOf } from '../projectors/pipeline.ts';
import { parseConfig } from '../runtime/config.ts';
import { addressConfig, connect } from '../runtime/postgres.ts';
import { migrateUp } from '../schemas/migrations.ts';
import { quoteIdent, quoteTable } from '../schemas/quote.ts';
import { type CommandContext, print } from './context.ts';
import { type ManagedProcess, startProcess } from './managed-process.ts';
import { tellAdminEmail } from './phases/open-run.ts';

/** Servers, found or started; both databases, prepared; and the environment of crosswalk's processes. */
export interface LocalStack {
  readonly stack: Stack;
  readonly env: Readonly<Record<string, string>>;
  /** The legacy application's own address, with write access. */
  readonly ownerUrl: string;
  /** Starts one connector and one projector process, as containers would. */
  startPipeline(): Promise<readonly ManagedProcess[]>;
  close(): Promise<void>;
}

/**
 * Starts everything that the pipeline needs. If this stack runs PostgreSQL itself, it creates roles with minimal rights for connector, projector and operators. Given
 * databases are used with the given addresses.
 */
export async function openLocalStack(
  context: CommandContext,
  options: {
    dir: string;
    keepData: boolean;
    isEmpty: (message: string) => void;
    /** Inspects the legacy database before anything is written to it; throws to leave it untouched. */
    beforePrepare?: (ownerUrl: string) => Promise<void>;
  },
): Promise<LocalStack> {
  const dir = join(process.cwd(), options.dir);
  mkdirSync(join(dir, 'logs'), { recursive: true });
  // The environment that a running `make up` wrote does not count as a given stack.
  const given = context.ownEnv;
  const stack = await openStack({ dir, env: given, keepData: options.keepData, log: (line) => print(`  ${line}`) });
  const processes: ManagedProcess[] = [];
  try {
    const ownerUrl = given.LEGACY_OWNER_URL ?? stack.legacyUrl;
    const targetOwnerUrl = given.TARGET_OWNER_URL ?? stack.targetUrl;
    await options.beforePrepare?.(ownerUrl);
    if (stack.kind.postgres !== 'given') {
      const legacy = new pg.Client(addressConfig(ownerUrl, 'crosswalk-prepare'));
      await legacy.connect();
      try {
        const sample = await context.pipeline.sample?.();
        if (await sample?.createSchema(legacy)) options.isEmpty('the legacy schema is created');
      } finally {
        await legacy.end();
      }
    }
    const settings = {
      ...given,
      LEGACY_DATABASE_URL: ownerUrl,
      TARGET_DATABASE_URL: targetOwnerUrl,
      KAFKA_BROKERS: stack.kafkaBrokers,
      SCHEMA_REGISTRY_URL: stack.registryUrl,
    };
    const config = parseConfig(settings, context.pipeline);
    const legacy = await connect(ownerUrl, 'prepare', '-c lock_timeout=5s');
    const target = await connect(targetOwnerUrl, 'prepare');
    let urls = { legacy: stack.legacyUrl, target: stack.targetUrl, operator: given.TARGET_OPERATOR_URL };
    try {
      for (const statement of await planSourceSetup(legacy, captureOf(config))) await legacy.query(statement);
      await tellAdminEmail(target, config);
      await migrateUp(target, () => undefined, { migrations: migrationsOf(context.pipeline) });
      if (stack.kind.postgres !== 'given') {
        const password = readPassword(dir);
        const tables = config.tables.map((table) => quoteTable(config.legacySchema, table)).join(', ');
        await ensureLogin(legacy, 'crosswalk_connector', `LOGIN REPLICATION PASSWORD '${password}'`);
        await legacy.query(`GRANT USAGE ON SCHEMA ${quoteIdent(config.legacySchema)} TO crosswalk_connector`);
        await legacy.query(`GRANT SELECT ON ${tables} TO crosswalk_connector`);
        await ensureLogin(target, 'crosswalk_project', `LOGIN PASSWORD '${password}' IN ROLE crosswalk_projector`);
        await ensureLogin(target, 'crosswalk_operate', `LOGIN PASSWORD '${password}' IN ROLE crosswalk_operator`);
        urls = {
          legacy: withLogin(ownerUrl, 'crosswalk_connector', password),
          target: withLogin(targetOwnerUrl, 'crosswalk_project', password),
          operator: withLogin(targetOwnerUrl, 'crosswalk_operate', password),
        };
      }
    } finally {
      await legacy.end();
      await target.end();
    }
    const env = {
      LEGACY_DATABASE_URL: urls.legacy,
      TARGET_DATABASE_URL: urls.target,
      LEGACY_OWNER_URL: ownerUrl,
      TARGET_OWNER_URL: targetOwnerUrl,
      ...(urls.operator === undefined ? {} : { TARGET_OPERATOR_URL: urls.operator }),
      KAFKA_BROKERS: stack.kafkaBrokers,
      SCHEMA_REGISTRY_URL: stack.registryUrl,
    };
    return {
      stack,
      env,
      ownerUrl,
      async startPipeline() {
        for (const name of ['connect', 'project']) {
          const port = await findFreePort();
          processes.push(
            startProcess(name, {
              env: { ...given, ...env, CROSSWALK_HTTP_PORT: String(port), CROSSWALK_ENV_FILE: '/nonexistent' },
              logFile: join(dir, 'logs', `${name}.log`),
              port,
            }),
          );
        }
        return processes;
      },
      async close() {
        await Promise.all(processes.map((child) => child.stop()));
        await stack.close();
      },
    };
  } catch (error) {
    await stack.close();
    throw error;
  }
}

/** Reads or creates the password of the roles that this stack creates, kept next to its data. */
function readPassword(dir: string): string {
  const file = join(dir, 'roles.password');
  if (!existsSync(file)) {
    writeFileSync(file, randomBytes(18).toString('hex'), { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  return readFileSync(file, 'utf8');
}

async function ensureLogin(
  client: { query(sql: string, values?: unknown[]): Promise<{ rows: unknown[] }> },
  role: string,
  attributes: string,
): Promise<void> {
  const { rows } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
  if (rows.length === 0) await client.query(`CREATE ROLE ${quoteIdent(role)} ${attributes}`);
  else await client.query(`ALTER ROLE ${quoteIdent(role)} ${attributes.replace(/ IN ROLE .*/, '')}`);
}

function withLogin(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
}
