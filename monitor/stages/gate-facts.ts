import type pg from 'pg';
import { readSourceDeadLetters } from '../../connectors/dead-letters.ts';
import type { Projection, Tenants } from '../../projectors/projection.ts';
import type { Config } from '../../runtime/config.ts';
import { createKafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { inTransaction } from '../../runtime/postgres.ts';
import { type Reading, readWithin } from '../../runtime/reading.ts';
import { createRegistry, type Registry } from '../../schemas/avro/registry.ts';
import { quoteTable } from '../../schemas/quote.ts';
import { type PipelineState, readPipelineState } from '../pipeline-state.ts';
import { type LagSample, readLagSamples } from './lag-samples.ts';
import { countForTenant, type TenantCount } from './letter-tenants.ts';

/** Lag is looked at this far back. */
export const LAG_WINDOW_SECONDS = 3600;
const LIMIT_MS = 10_000;

/**
 * How far one table is verified, for one tenant, for rows of a tenant that nobody can tell (`tenantId` ''), or for all of them ('*'). Seconds since 1970 of the legacy database's clock.
 * `mapping`: what it was verified against; null where that is not kept any more.
 */
export interface VerifiedTable {
  readonly table: string;
  readonly tenantId: string;
  readonly mapping: string | null;
  readonly throughSeconds: number;
  readonly rows: number;
  readonly differences: number;
  readonly unsettled: number;
}

/** What people vouch for: a gate cannot look at it by itself. */
export const confirmationKinds = ['backup', 'rollback', 'team', 'monitoring'] as const;
export type ConfirmationKind = (typeof confirmationKinds)[number];

/** The newest confirmation of a kind that covers a tenant. Times are PostgreSQL text, UTC. */
export interface Confirmation {
  readonly kind: ConfirmationKind;
  readonly by: string;
  readonly note: string;
  readonly at: string;
  readonly validUntil: string;
  readonly isValid: boolean;
}

/** Everything that a gate looks at. `tenant` null: all of them. */
export interface GateFacts {
  readonly tenant: string | null;
  /** Whether any row, verification or stage knows this tenant. */
  readonly isKnown: boolean;
  readonly pipeline: PipelineState;
  /** The target database's clock, seconds since 1970. */
  readonly nowSeconds: number;
  readonly samples: readonly LagSample[];
  readonly verified: readonly VerifiedTable[];
  readonly deadLetters: TenantCount;
  readonly parked: TenantCount;
  /** Rows that are too large for the log; nobody knows whose they are. */
  readonly oversized: Reading<{ readonly count: number }>;
  readonly rejects: number;
  readonly confirmations: readonly Confirmation[];
}

export interface FactsOptions {
  /** Every projection of the pipeline. */
  readonly projections: readonly Projection[];
  readonly tenants: Tenants;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Reads what a gate looks at. A legacy database, Kafka or registry that does not answer is a fact like any other; only the target database must be there.
 */
export async function readGateFacts(
  config: Config,
  target: pg.ClientBase,
  tenant: string | null,
  options: FactsOptions,
): Promise<GateFacts> {
  const pipeline = await readPipelineState(config, options.projections, options);
  const oversized = await readWithin(LIMIT_MS, 'Kafka', async () => ({ count: await countOversized(config, options) }));
  const registry = openRegistry(config);
  try {
    const reading = { projections: options.projections, tenants: options.tenants, registry };
    const inSnapshot = async () => ({
      isKnown: tenant === null || (await isKnown(target, config, tenant)),
      ...(await readLagSamples(target, LAG_WINDOW_SECONDS)),
      verified: await readVerified(target, tenant),
      deadLetters: await countForTenant(target, 'dead letters', tenant, reading),
      parked: await countForTenant(target, 'parked', tenant, reading),
      rejects: await countRejects(target, config, tenant),
      confirmations: await readConfirmations(target, tenant),
    });
    const facts = await inTransaction(target, inSnapshot, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return { tenant, pipeline, oversized, ...facts };
  } finally {
    registry?.close();
  }
}

async function countOversized(config: Config, { projections, log }: FactsOptions): Promise<number> {
  const tables = new Set(projections.map(({ source }) => `${config.legacySchema}.${source}`));
  const letters = await readSourceDeadLetters(createKafka(config.kafka(), log), config);
  return letters.filter(({ table }) => tables.has(table)).length;
}

function openRegistry(config: Config): Registry | null {
  try {
    const { url: baseUrl, ...credentials } = config.registry();
    return createRegistry({ baseUrl, ...credentials, timeoutMs: 3000 });
  } catch {
    return null;
  }
}

async function isKnown(
  target: pg.ClientBase,
  { targetSchema, tenantsTable }: Config,
  tenant: string,
): Promise<boolean> {
  const table = tenantsTable === null ? null : quoteTable(targetSchema, tenantsTable);
  const { rowCount } = await target.query(
    `${table === null ? '' : `SELECT FROM ${table} WHERE id = $1 AND deleted_at IS NULL UNION ALL `}SELECT FROM crosswalk.verified WHERE tenant_id = $1
     UNION ALL SELECT FROM crosswalk.stage_log WHERE tenant_id = $1 LIMIT 1`,
    [tenant],
  );
  return rowCount === 1;
}

async function readVerified(target: pg.ClientBase, tenant: string | null): Promise<VerifiedTable[]> {
  const { rows } = await target.query<
    Record<Exclude<keyof VerifiedTable, 'mapping'>, string> & { mapping: string | null }
  >(
    `SELECT v.table_name AS "table", v.tenant_id AS "tenantId", r.mapping, extract(epoch FROM v.verified_through)::text AS "throughSeconds", v.rows::text,
       v.differences::text, v.unsettled::text
     FROM crosswalk.verified v LEFT JOIN crosswalk.verification_run r ON r.id = v.run_id WHERE v.tenant_id IN ('*', '', $1) ORDER BY 1, 2`,
    [tenant],
  );
  return rows.map(({ throughSeconds, rows: count, differences, unsettled, ...rest }) => ({
    ...rest,
    throughSeconds: Number(throughSeconds),
    rows: Number(count),
    differences: Number(differences),
    unsettled: Number(unsettled),
  }));
}

async function countRejects(
  target: pg.ClientBase,
  { targetSchema, rejectsTable }: Config,
  tenant: string | null,
): Promise<number> {
  if (rejectsTable === null) return 0;
  const { rows } = await target.query<{ count: string }>(
    `SELECT count(*)::text FROM ${quoteTable(targetSchema, rejectsTable)} WHERE $1::text IS NULL OR tenant_id = $1`,
    [tenant],
  );
  return Number(rows[0]!.count);
}

/** One that is valid comes before one that is not; a tenant is covered by what was confirmed for all, all are not covered by one tenant's. */
async function readConfirmations(target: pg.ClientBase, tenant: string | null): Promise<Confirmation[]> {
  const { rows } = await target.query<Record<Exclude<keyof Confirmation, 'isValid'>, string> & { valid: string }>(
    `SELECT DISTINCT ON (kind) kind, confirmed_by AS by, note, at::text, valid_until::text AS "validUntil", (valid_until > now())::text AS valid
     FROM crosswalk.confirmation c WHERE tenant_id IS NULL OR tenant_id = $1 ORDER BY kind, c.valid_until > now() DESC, c.at DESC`,
    [tenant],
  );
  return rows.map(({ valid, kind, ...rest }) => ({
    ...rest,
    kind: kind as ConfirmationKind,
    isValid: valid === 'true',
  }));
}
