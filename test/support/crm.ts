// The engine with the shipped pipeline: what tests of both call.
import type pg from 'pg';
import { readSourceChecks as readSourceChecksOf } from '../../monitor/source-checks.ts';
import {
  type Omission,
  readTableAccess as readTableAccessOf,
  type TableAccess,
  toOmissions as toOmissionsOf,
  type wantedTables,
} from '../../monitor/target-access.ts';
import { readTargetChecks as readTargetChecksOf } from '../../monitor/target-checks.ts';
import {
  insertInputs,
  type PhoneIdentity,
  readPhones,
  oracle as sqlOracle,
  type TenantConfiguration,
} from '../../pipelines/crm/oracle/oracle.ts';
import crm from '../../pipelines/crm/pipeline.ts';
import type { Tenants } from '../../pipelines/crm/tenants.ts';
import { migrationsOf } from '../../projectors/pipeline.ts';
import { type Projection, statesOf } from '../../projectors/projection.ts';
import { readTenants as readTenantsOf } from '../../projectors/read-tenants.ts';
import { mappingFiles as mappingFilesOf, readMapping as readMappingOf } from '../../projectors/rebuild/mapping.ts';
import { toUnits as toUnitsOf } from '../../projectors/rebuild/units.ts';
import {
  createProjectorPool as createProjectorPoolIn,
  liveNamespace,
  type Namespace,
} from '../../projectors/session.ts';
import { type Difference, runOracle as runOracleOf } from '../../projectors/verify/oracle/oracle.ts';
import { targetTables } from '../../projectors/write/catalog.ts';
import { type Config, parseConfig as parseConfigFor } from '../../runtime/config.ts';
import { connect } from '../../runtime/postgres.ts';
import {
  type MigrateOptions,
  type Migration,
  migrateDown as migrateDownWith,
  migrateUp as migrateUpWith,
  readMigrationState as readMigrationStateOf,
} from '../../schemas/migrations.ts';
import { quoteIdent } from '../../schemas/quote.ts';

export { crm };
export const allProjections: readonly Projection[] = crm.projections;
export const projections: readonly Projection[] = statesOf(crm.projections);
/** Legacy tables that projections read. */
export const sources: readonly string[] = [...new Set(projections.map(({ source }) => source))];
export const histories: readonly Projection[] = crm.projections.filter(({ history }) => history !== undefined);
export const LIVE: Namespace = liveNamespace(crm.targetSchema);

export const parseConfig = (env: Readonly<Record<string, string | undefined>>) => parseConfigFor(env, crm);
export const readTenants = () => readTenantsOf(crm) as Tenants;
export const mappingFiles = () => mappingFilesOf(crm);
export const readMapping = (of: readonly Projection[], files?: Map<string, string>) => readMappingOf(crm, of, files);

export const readMigrations = (): Migration[] => migrationsOf(crm);
type Migrating = Partial<MigrateOptions>;
export const migrateUp = (client: pg.ClientBase, onApplied: (name: string) => void, options: Migrating = {}) =>
  migrateUpWith(client, onApplied, { migrations: readMigrations(), ...options });
export const migrateDown = (
  client: pg.ClientBase,
  steps: number,
  onUndone: (name: string) => void,
  options: Migrating = {},
) => migrateDownWith(client, steps, onUndone, { migrations: readMigrations(), ...options });
export const readMigrationState = (client: pg.ClientBase, migrations = readMigrations()) =>
  readMigrationStateOf(client, migrations);

export const createProjectorPool = (
  url: string,
  name: string,
  max: number,
  namespace = LIVE,
  options: { isReplayable?: boolean } = {},
) => createProjectorPoolIn(url, name, max, namespace, options);
export const toUnits = (
  of: readonly Projection[],
  all: readonly Projection[],
  shapes: Parameters<typeof toUnitsOf>[2],
) => toUnitsOf(of, all, shapes, crm.targetSchema);

export const readTargetChecks = (client: pg.ClientBase, of = allProjections) =>
  readTargetChecksOf(client, { projections: of, targetSchema: crm.targetSchema, migrations: readMigrations() });
export const readSourceChecks = (
  client: pg.Client,
  config: Config,
  position: Parameters<typeof readSourceChecksOf>[2],
  signal: AbortSignal,
  of = allProjections,
) => readSourceChecksOf(client, config, position, signal, of);
export const readTableAccess = (client: pg.ClientBase, tables: readonly string[]) =>
  readTableAccessOf(client, crm.targetSchema, tables);
export const toOmissions = (
  wanted: ReturnType<typeof wantedTables>,
  found: ReadonlyMap<string, TableAccess>,
): Omission[] => toOmissionsOf(wanted, found, crm.targetSchema);

export interface OracleOptions {
  readonly legacyUrl: string;
  readonly targetUrl: string;
  /** Every raw phone of the legacy rows, with the country of its tenant: for several countries, several times. */
  readonly phones: readonly PhoneIdentity[];
  readonly tenants?: readonly TenantConfiguration[];
  readonly legacySchema?: string;
  readonly projected?: readonly string[];
}

/** The oracle with phones and tenants that the test names. */
export async function runOracle({
  phones,
  tenants,
  legacySchema = 'public',
  projected = [...new Set(projections.flatMap(targetTables))],
  ...urls
}: OracleOptions): Promise<Difference[]> {
  return await runOracleOf({
    ...urls,
    ...{ legacySchema, projected, targetSchema: crm.targetSchema },
    sources,
    aggregates: sqlOracle.aggregates ?? [],
    sql: sqlOracle.sql.map((file) => `${crm.folder}/${file}`),
    prepare: (scratch) => insertInputs(scratch, { phones, ...(tenants === undefined ? {} : { tenants }) }),
  });
}

/** The distinct phones of the legacy contacts and quotes, as they are spelled there. */
export async function fetchPhones(legacyUrl: string, legacySchema = 'public'): Promise<string[]> {
  const client = await connect(legacyUrl, 'phones', '-c row_security=off');
  try {
    return await readPhones(client, quoteIdent(legacySchema));
  } finally {
    await client.end();
  }
}
