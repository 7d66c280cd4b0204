import type pg from 'pg';
import type { Position } from '../connectors/position.ts';
import { findFailoverGaps } from '../connectors/slot.ts';
import { listSilentChanges, toSourceChanged } from '../connectors/source-health.ts';
import { findShortcomings } from '../connectors/source-requirements.ts';
import { captureOf, readSource, type SourceState } from '../connectors/source-state.ts';
import type { Projection } from '../projectors/projection.ts';
import type { Config } from '../runtime/config.ts';
import { pause } from '../runtime/retry.ts';
import { type Check, checksOf, toWalChecks } from './checks.ts';
import { toColumnChecks } from './column-checks.ts';

/** Time between the two readings for the rate of the write-ahead log. */
const RATE_MS = 1000;
/** Row filters, column lists and schemas of publications. */
const OLDEST_VERSION = 150_000;

/** All requirements of the connector on the legacy server, and everything that would stop it. The state of the slot itself is among the pipeline's findings. */
export async function readSourceChecks(
  client: pg.Client,
  config: Config,
  position: Position | null,
  signal: AbortSignal,
  projections: readonly Projection[],
): Promise<Check[]> {
  const { ok, warning, failing } = checksOf('source');
  const { rows } = await client.query<{ version: string; number: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number`,
  );
  const { version, number } = rows[0]!;
  if (Number(number) < OLDEST_VERSION)
    return [
      failing('version', `PostgreSQL ${version}`, 'The legacy server must be PostgreSQL 15 or later: upgrade it.'),
    ];
  const capture = captureOf(config);
  const source = await readSource(client, capture);
  const shortcomings = findShortcomings(source, capture);
  const changes = listSilentChanges(source, position?.source);
  const changed = changes.length > 0 ? toSourceChanged(changes, capture) : null;
  return [
    toVersionCheck(version, Number(number)),
    ...(await readRights(client, config)),
    ...shortcomings.map(({ what, remedy }) => failing('capture', what, remedy)),
    ...(shortcomings.length === 0
      ? [
          ok(
            'capture',
            'wal_level, tables, keys, replica identity, publication and row-level security are as they must be',
          ),
        ]
      : []),
    changed === null
      ? ok('changes', 'nothing changed without an event')
      : failing('changes', changed.message, changed.remedy),
    ...toColumnChecks(projections, columnsOf(source)),
    ...(await readCapacity(client, config)),
    ...(await readWalChecks(client, config, signal)),
    ...(await findFailoverGaps(client, config.slot)).map(({ what, remedy }) => warning('failover', what, remedy)),
  ];
}

/** Names of the columns of captured tables that exist. */
function columnsOf({ tables }: SourceState): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(tables).flatMap(([table, { names }]) =>
      names === undefined ? [] : [[table, names.filter((name) => name !== '')]],
    ),
  );
}

/** Earlier versions may lose every later change of a table that is added to a publication beside an open writer, or fail on its memory. */
const MENDED: Readonly<Record<number, number>> = { 15: 14, 16: 10, 17: 6 };

function toVersionCheck(version: string, number: number): Check {
  const { ok, warning } = checksOf('source');
  const major = Math.floor(number / 10_000);
  const minor = MENDED[major];
  if (minor === undefined || number % 10_000 >= minor) return ok('version', `PostgreSQL ${version}`);
  return warning(
    'version',
    `PostgreSQL ${version}: after ALTER PUBLICATION its stream may leave out changes of a table, or fail with "invalid memory alloc request size"`,
    `Upgrade the legacy server to ${major}.${minor} or later.`,
  );
}

/** What takes the place of REPLICATION for roles of a provider (Amazon RDS and Aurora): membership in this role. */
export const REPLICATION_ROLE = 'rds_replication';

async function readRights(client: pg.Client, config: Config): Promise<Check[]> {
  const { ok, warning, failing } = checksOf('source');
  const { rows } = await client.query<
    Record<'role' | 'super' | 'replication' | 'usage', string> & { giver: string | null }
  >(
    `SELECT rolname AS role, rolsuper::text AS super, 
       (rolreplication OR coalesce((SELECT pg_has_role(m.oid, 'MEMBER') FROM pg_roles m WHERE m.rolname = $2), false))::text AS replication,
       (SELECT m.rolname FROM pg_roles m WHERE m.rolname = $2) AS giver,
       coalesce((SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace n WHERE n.nspname = $1), true)::text AS usage
     FROM pg_roles WHERE rolname = current_user`,
    [config.legacySchema, REPLICATION_ROLE],
  );
  const { role, super: isSuper, replication, giver, usage } = rows[0]!;
  if (isSuper === 'true')
    return [
      warning(
        'rights',
        `Role ${role} is a superuser`,
        'Give the connector a role of its own that can read and nothing else: README.md, "On a real legacy database".',
      ),
    ];
  const { rows: tables } = await client.query<{ table: string }>(
    `SELECT c.relname AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT has_table_privilege(c.oid, 'SELECT')`,
    [config.legacySchema, config.tables],
  );
  const lacks = [
    ...(replication === 'true'
      ? []
      : [giver === null ? `ALTER ROLE ${role} REPLICATION;` : `GRANT ${giver} TO ${role};`]),
    ...(usage === 'true' ? [] : [`GRANT USAGE ON SCHEMA ${config.legacySchema} TO ${role};`]),
    ...tables.map(({ table }) => `GRANT SELECT ON ${config.legacySchema}.${table} TO ${role};`),
  ];
  return lacks.length === 0
    ? [ok('rights', `role ${role} may stream and read the captured tables`)]
    : [failing('rights', `Role ${role} lacks rights`, `Run as the owner: ${lacks.join(' ')}`)];
}

/** Slots, senders, and how long a slot may be idle. */
async function readCapacity(client: pg.Client, config: Config): Promise<Check[]> {
  const { ok, warning, failing } = checksOf('source');
  const { rows } = await client.query<
    Record<'slots' | 'max_slots' | 'senders' | 'max_senders' | 'own' | 'idle', string | null>
  >(
    `SELECT (SELECT count(*) FROM pg_replication_slots)::text AS slots, current_setting('max_replication_slots') AS max_slots,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')::text AS senders, current_setting('max_wal_senders') AS max_senders,
       (SELECT active::text FROM pg_replication_slots WHERE slot_name = $1) AS own,
       (SELECT setting::bigint * CASE unit WHEN 'min' THEN 60 WHEN 'ms' THEN 0.001 ELSE 1 END FROM pg_settings WHERE name = 'idle_replication_slot_timeout')::bigint::text AS idle`,
    [config.slot],
  );
  const { slots, max_slots, senders, max_senders, own, idle } = rows[0]!;
  const checks: Check[] = [];
  if (own === null && Number(slots) >= Number(max_slots))
    checks.push(
      failing(
        'capacity',
        `All ${max_slots} replication slots are taken`,
        'Raise max_replication_slots, and restart the server.',
      ),
    );
  if (own !== 'true' && Number(senders) >= Number(max_senders))
    checks.push(
      failing('capacity', `All ${max_senders} WAL senders are taken`, 'Raise max_wal_senders, and restart the server.'),
    );
  if (Number(idle ?? '0') > 0)
    checks.push(
      warning(
        'idle',
        `A slot that nobody reads is invalidated after ${idle} s (idle_replication_slot_timeout)`,
        'Let no connector be down for so long, or ALTER SYSTEM SET idle_replication_slot_timeout = 0; and limit what it may hold with max_slot_wal_keep_size.',
      ),
    );
  return checks.length > 0
    ? checks
    : [
        ok(
          'capacity',
          `${slots} of ${max_slots} replication slots and ${senders} of ${max_senders} WAL senders are in use`,
        ),
      ];
}

async function readWalChecks(client: pg.Client, config: Config, signal: AbortSignal): Promise<Check[]> {
  const look = async () => {
    const { rows } = await client.query<{ limit: string; safe: string | null; retained: string | null }>(
      `SELECT (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS limit, safe_wal_size::text AS safe,
         greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint::text AS retained
       FROM (SELECT 1) one LEFT JOIN pg_replication_slots ON slot_name = $1`,
      [config.slot],
    );
    const { limit, safe, retained } = rows[0]!;
    return {
      limitMb: Number(limit),
      safeBytes: safe === null ? null : BigInt(safe),
      retainedBytes: retained === null ? null : BigInt(retained),
      atMs: performance.now(),
    };
  };
  const before = await look();
  if (before.safeBytes !== null) await pause(RATE_MS, signal);
  const now = before.safeBytes === null ? before : await look();
  return toWalChecks({ limitMb: now.limitMb, before, now, retainedBytes: now.retainedBytes });
}
