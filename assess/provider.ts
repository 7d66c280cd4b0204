import { CrosswalkError } from '../runtime/errors.ts';
import type { ProviderSigns } from './facts.ts';

export type ProviderName =
  | 'self-managed'
  | 'Amazon RDS'
  | 'Amazon Aurora'
  | 'Google Cloud SQL'
  | 'Azure Database'
  | 'Neon'
  | 'Supabase';

/** Provider of the server, the sign it was recognised by, and its replacements for actions that elsewhere need a superuser: one line each. */
export interface Provider {
  readonly name: ProviderName;
  /** Null: no sign of a provider. */
  readonly sign: string | null;
  /** How to enable logical decoding. */
  readonly decoding: string;
  /** How to give `role` the right to stream. */
  readonly replication: (role: string) => string;
  /** How to let `role` see rows that policies hide. */
  readonly policies: (role: string) => string;
  /** How to limit the WAL that a slot may retain. */
  readonly walLimit: string;
  /** Further notes. */
  readonly notes: readonly string[];
}

/** Everything to look up in the catalog. */
export const PROVIDER_ROLES = [
  'rds_superuser',
  'cloudsqlsuperuser',
  'azure_pg_admin',
  'neon_superuser',
  'supabase_admin',
] as const;
export const PROVIDER_FUNCTIONS = ['aurora_version'] as const;
export const PROVIDER_SETTINGS = [
  'rds.logical_replication',
  'cloudsql.logical_decoding',
  'azure.extensions',
  'neon.tenant_id',
] as const;

const bypass = (role: string) => `Run as a superuser: ALTER ROLE ${role} BYPASSRLS;`;
const asOwner = (role: string) =>
  `Nobody is a superuser there: where no role may give BYPASSRLS, have ${role} be a member of the tables' owner (GRANT <owner> TO ${role};), which policies leave alone unless they are FORCED.`;

const SELF: Provider = {
  name: 'self-managed',
  sign: null,
  decoding: 'Run ALTER SYSTEM SET wal_level = logical; as a superuser, and restart the server.',
  replication: (role) => `Run as a superuser: ALTER ROLE ${role} REPLICATION;`,
  policies: bypass,
  walLimit:
    "Run as a superuser, with what the disk allows: ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();",
  notes: [],
};

const HOSTED: readonly (Omit<Provider, 'sign'> & {
  readonly is: (signs: ProviderSigns) => string | null;
})[] = [
  {
    name: 'Amazon Aurora',
    is: ({ functions, roles }) =>
      functions.includes('aurora_version') && roles.includes('rds_superuser') ? 'function aurora_version' : null,
    decoding:
      'Set rds.logical_replication = 1 in a DB cluster parameter group of your own, and reboot the writer instance.',
    replication: (role) => `Run as a member of rds_superuser: GRANT rds_replication TO ${role};`,
    policies: asOwner,
    walLimit:
      'Look in the DB cluster parameter group whether max_slot_wal_keep_size can be set; watch the slot in any case.',
    notes: ['Have the address name the cluster endpoint, which is the writer: a reader cannot be captured.'],
  },
  {
    name: 'Amazon RDS',
    is: ({ roles, settings }) =>
      roles.includes('rds_superuser')
        ? 'role rds_superuser'
        : settings.includes('rds.logical_replication')
          ? 'setting rds.logical_replication'
          : null,
    decoding: 'Set rds.logical_replication = 1 in a DB parameter group of your own, and reboot the instance.',
    replication: (role) => `Run as a member of rds_superuser: GRANT rds_replication TO ${role};`,
    policies: asOwner,
    walLimit: 'Set max_slot_wal_keep_size in the DB parameter group, with what the storage allows.',
    notes: [],
  },
  {
    name: 'Google Cloud SQL',
    is: ({ roles, settings }) =>
      roles.includes('cloudsqlsuperuser')
        ? 'role cloudsqlsuperuser'
        : settings.includes('cloudsql.logical_decoding')
          ? 'setting cloudsql.logical_decoding'
          : null,
    decoding:
      'Set the flag cloudsql.logical_decoding = on, which restarts the instance; wal_level cannot be set there.',
    replication: (role) => `Run as a member of cloudsqlsuperuser: ALTER ROLE ${role} REPLICATION;`,
    policies: asOwner,
    walLimit:
      'Set the flag max_slot_wal_keep_size where the instance offers it; else watch the disk, and drop the slot of a connector that stays down.',
    notes: [],
  },
  {
    name: 'Azure Database',
    is: ({ roles, settings }) =>
      roles.includes('azure_pg_admin')
        ? 'role azure_pg_admin'
        : settings.includes('azure.extensions')
          ? 'setting azure.extensions'
          : null,
    decoding: 'Set the server parameter wal_level = LOGICAL in the portal, and restart the server.',
    replication: (role) => `Run as the administrator: ALTER ROLE ${role} REPLICATION;`,
    policies: asOwner,
    walLimit:
      'max_slot_wal_keep_size is read-only there: watch the storage, and drop the slot of a connector that stays down.',
    notes: ['With high availability leave it at least four of max_replication_slots.'],
  },
  {
    name: 'Neon',
    is: ({ roles, settings }) =>
      settings.includes('neon.tenant_id')
        ? 'setting neon.tenant_id'
        : roles.includes('neon_superuser')
          ? 'role neon_superuser'
          : null,
    decoding:
      'Turn logical replication on in the settings of the project: it restarts every compute, and cannot be turned off again.',
    replication: (role) =>
      `Run as a role that was made in the console: ALTER ROLE ${role} REPLICATION; or take such a role, which has the right.`,
    policies: asOwner,
    walLimit: 'Neon sets it.',
    notes: [
      'A slot that nobody reads for about 40 hours is removed: let no connector be down for that long.',
      'Restoring a branch removes its slots; while a connector streams, the compute does not scale to zero.',
    ],
  },
  {
    name: 'Supabase',
    is: ({ roles }) => (roles.includes('supabase_admin') ? 'role supabase_admin' : null),
    decoding: 'wal_level is logical on every Supabase project: ask its support.',
    replication: (role) => `Run as postgres: ALTER ROLE ${role} REPLICATION;`,
    policies: (role) => `Run as postgres: ALTER ROLE ${role} BYPASSRLS;`,
    walLimit:
      'Run: supabase --experimental --project-ref <ref> postgres-config update --config max_slot_wal_keep_size=4GB',
    notes: ['The direct connection is IPv6 unless the project has the IPv4 add-on.'],
  },
];

/** The first provider that shows a sign. */
export function toProvider(signs: ProviderSigns): Provider {
  for (const { is, ...provider } of HOSTED) {
    const sign = is(signs);
    if (sign !== null) return { ...provider, sign };
  }
  return SELF;
}

/** Whether an address names a connection pooler, which does not support replication, and what to use instead. Null: no sign of one. */
export function toPooler({
  host,
  port,
}: Pick<ProviderSigns, 'host' | 'port'>): { what: string; remedy: string } | null {
  if (/-pooler\./.test(host))
    return {
      what: 'The address names the pooler of Neon, which speaks no replication',
      remedy: 'Take `-pooler` out of its host.',
    };
  if (host.endsWith('.pooler.supabase.com') || (host.endsWith('.supabase.co') && port === 6543))
    return {
      what: 'The address names the pooler of Supabase, which speaks no replication',
      remedy: 'Name the direct connection: db.<ref>.supabase.co, port 5432.',
    };
  if (port === 6432)
    return {
      what: 'Port 6432 is where PgBouncer listens by default, which speaks no replication',
      remedy: 'Where it is one, name the port of PostgreSQL itself, usually 5432.',
    };
  return null;
}

/** Translates a pooler's refusal of session options; null for any other error. */
export function toPoolerRefusal(error: unknown, what: string): CrosswalkError | null {
  const message = String((error as { message?: unknown } | null)?.message);
  if (!/unsupported startup parameter/.test(message)) return null;
  return new CrosswalkError('config_invalid.pooler', `${what}: a pooler answers, and no PostgreSQL`, { cause: error });
}
