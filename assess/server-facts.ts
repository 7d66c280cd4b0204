import type pg from 'pg';
import { parseLsn } from '../changes/lsn.ts';
import { REPLICATION_ROLE } from '../monitor/source-checks.ts';
import { parseAddress } from '../runtime/postgres-address.ts';
import { pause } from '../runtime/retry.ts';
import type { AssessedPipeline, OpenFacts, ProviderSigns, RoleFacts, ServerFacts, WalFacts } from './facts.ts';
import { PROVIDER_FUNCTIONS, PROVIDER_ROLES, PROVIDER_SETTINGS } from './provider.ts';
import { readOnly, tryReadOnly } from './read-only.ts';

const LIMIT_MS = 15_000;
const NONE: OpenFacts = { count: 0, oldestSeconds: 0 };

export interface ServerOptions {
  readonly url: string;
  readonly pipeline: Pick<AssessedPipeline, 'legacySchema' | 'sources'>;
  /** Seconds between the two readings of the end of the log. */
  readonly walSeconds: number;
  readonly signal: AbortSignal;
}

/** Properties and activity of the server, without the settings that `doctor` checks. */
export async function readServerFacts(client: pg.ClientBase, options: ServerOptions): Promise<ServerFacts> {
  const { rows } = await readOnly(client, LIMIT_MS, () =>
    client.query<Record<'version' | 'number' | 'standby' | 'encoding', string>>(
      `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
         pg_is_in_recovery()::text AS standby, getdatabaseencoding() AS encoding`,
    ),
  );
  const { version, number, standby, encoding } = rows[0]!;
  const isStandby = standby === 'true';
  return {
    ...{ version, versionNumber: Number(number), isStandby, encoding },
    databaseBytes: await readDatabaseBytes(client),
    signs: await readSigns(client, options.url),
    role: await readRole(client, options.pipeline),
    wal: isStandby ? null : await readWal(client, options),
    transactions: await readOpen(
      client,
      `SELECT count(*), max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
       WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    ),
    prepared: await readOpen(
      client,
      'SELECT count(*), max(extract(epoch FROM clock_timestamp() - prepared)) FROM pg_prepared_xacts',
    ),
    idleSlots: isStandby ? [] : await readIdleSlots(client),
    otherSchemas: await readOtherSchemas(client, options.pipeline.legacySchema),
  };
}

async function readDatabaseBytes(client: pg.ClientBase): Promise<number | null> {
  const found = await tryReadOnly(client, LIMIT_MS, () =>
    client.query<{ bytes: string }>('SELECT pg_database_size(current_database())::text AS bytes'),
  );
  return 'value' in found ? Number(found.value.rows[0]!.bytes) : null;
}

async function readSigns(client: pg.ClientBase, url: string): Promise<ProviderSigns> {
  const { host, port } = parseAddress(url);
  const { rows } = await readOnly(client, LIMIT_MS, () =>
    client.query<Record<'roles' | 'functions' | 'settings', string>>(
      `SELECT (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles WHERE rolname = ANY ($1)) AS roles,
         (SELECT coalesce(json_agg(DISTINCT proname), '[]') FROM pg_proc WHERE proname = ANY ($2) AND pronamespace = 'pg_catalog'::regnamespace) AS functions,
         (SELECT coalesce(json_agg(name), '[]') FROM pg_settings WHERE name = ANY ($3)) AS settings`,
      [PROVIDER_ROLES, PROVIDER_FUNCTIONS, PROVIDER_SETTINGS],
    ),
  );
  const parse = (text: string) => JSON.parse(text) as string[];
  const { roles, functions, settings } = rows[0]!;
  return { roles: parse(roles), functions: parse(functions), settings: parse(settings), host, port };
}

async function readRole(
  client: pg.ClientBase,
  { legacySchema, sources }: ServerOptions['pipeline'],
): Promise<RoleFacts> {
  const { rows } = await readOnly(client, LIMIT_MS, () =>
    client.query<Record<'role' | 'super' | 'replication' | 'usage' | 'sees' | 'unreadable', string>>(
      `SELECT rolname AS role, rolsuper::text AS super,
         (rolreplication OR rolsuper OR coalesce((SELECT pg_has_role(m.oid, 'MEMBER') FROM pg_roles m WHERE m.rolname = $3), false))::text AS replication,
         coalesce((SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace n WHERE n.nspname = $1), true)::text AS usage,
         pg_has_role('pg_read_all_stats', 'USAGE')::text AS sees,
         (SELECT coalesce(json_agg(c.relname ORDER BY c.relname), '[]') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT has_table_privilege(c.oid, 'SELECT')) AS unreadable
       FROM pg_roles WHERE rolname = current_user`,
      [legacySchema, sources, REPLICATION_ROLE],
    ),
  );
  const row = rows[0]!;
  return {
    name: row.role,
    isSuperuser: row.super === 'true',
    mayReplicate: row.replication === 'true',
    mayUseSchema: row.usage === 'true',
    seesOthers: row.sees === 'true',
    unreadable: JSON.parse(row.unreadable) as string[],
  };
}

async function readWal(client: pg.ClientBase, { walSeconds, signal }: ServerOptions): Promise<WalFacts | null> {
  const look = () =>
    tryReadOnly(client, LIMIT_MS, async () => {
      const { rows } = await client.query<{ lsn: string; limit: string }>(
        `SELECT pg_current_wal_lsn()::text AS lsn, (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS limit`,
      );
      return { lsn: parseLsn(rows[0]!.lsn), limitMb: Number(rows[0]!.limit), atMs: performance.now() };
    });
  const before = await look();
  if (!('value' in before)) return null;
  await pause(walSeconds * 1000, signal);
  signal.throwIfAborted();
  const after = await look();
  const average = await tryReadOnly(client, LIMIT_MS, async () => {
    const { rows } = await client.query<{ bytes: string; seconds: string | null }>(
      'SELECT wal_bytes::text AS bytes, extract(epoch FROM clock_timestamp() - stats_reset)::text AS seconds FROM pg_stat_wal',
    );
    return { bytes: Number(rows[0]?.bytes ?? 0), seconds: Number(rows[0]?.seconds ?? 0) };
  });
  const seconds = 'value' in after ? (after.value.atMs - before.value.atMs) / 1000 : 0;
  // With some providers the view exists but is empty.
  const known = 'value' in average && average.value.bytes > 0 && average.value.seconds > 0 ? average.value : null;
  return {
    seconds,
    bytesPerSecond: 'value' in after && seconds > 0 ? Number(after.value.lsn - before.value.lsn) / seconds : null,
    averageBytesPerSecond: known === null ? null : known.bytes / known.seconds,
    averageSeconds: known?.seconds ?? null,
    slotLimitBytes: before.value.limitMb < 0 ? null : before.value.limitMb * 1024 * 1024,
  };
}

async function readOpen(client: pg.ClientBase, sql: string): Promise<OpenFacts> {
  const found = await tryReadOnly(client, LIMIT_MS, () =>
    client.query<(string | null)[]>({ text: sql, rowMode: 'array' }),
  );
  if (!('value' in found)) return NONE;
  const [count, oldest] = found.value.rows[0]!;
  return { count: Number(count ?? 0), oldestSeconds: Math.max(0, Number(oldest ?? 0)) };
}

async function readIdleSlots(client: pg.ClientBase): Promise<ServerFacts['idleSlots']> {
  const found = await tryReadOnly(client, LIMIT_MS, () =>
    client.query<{ name: string; retained: string | null }>(
      `SELECT slot_name AS name, greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint::text AS retained
       FROM pg_replication_slots WHERE NOT active AND NOT temporary ORDER BY 1`,
    ),
  );
  if (!('value' in found)) return [];
  return found.value.rows.map(({ name, retained }) => ({
    name,
    retainedBytes: retained === null ? null : Number(retained),
  }));
}

async function readOtherSchemas(client: pg.ClientBase, schema: string): Promise<string[]> {
  const { rows } = await readOnly(client, LIMIT_MS, () =>
    client.query<{ name: string }>(
      `SELECT n.nspname AS name FROM pg_namespace n
       WHERE n.nspname <> $1 AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
         AND EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'f'))
       ORDER BY 1`,
      [schema],
    ),
  );
  return rows.map(({ name }) => name);
}
