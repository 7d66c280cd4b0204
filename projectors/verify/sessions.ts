import type pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { readCatalog } from '../../connectors/catalog.ts';
import type { Config } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { addressOf, connect, sourceOptions } from '../../runtime/postgres.ts';
import type { LegacyTotal } from '../pipeline.ts';
import type { Projection } from '../projection.ts';
import { liveNamespace, searchPathOption } from '../session.ts';
import { readTargetShapes } from '../write/catalog.ts';
import { createFence, type Fence } from './fence.ts';
import { type Plan, toPlans } from './plan.ts';

/** Sessions that check suspects independently. */
const LOOKERS = 2;

/** A role that sees only some rows gets an error, not a smaller table. Rows are found by key. Marks are the only writes, and must not wait for an absent standby. */
const LEGACY_OPTIONS = `${sourceOptions} -c row_security=off -c synchronous_commit=local -c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off`;
const BY_KEY = '-c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off';
/** Tables may be freshly filled and without statistics: nested loops would take forever. */
const WHOLE_TABLES = '-c jit=off -c work_mem=64MB -c enable_nestloop=off';

/** Sessions and plans of a verification. */
export interface Sessions {
  readonly plans: readonly Plan[];
  /** Legacy tables by name. */
  readonly relations: ReadonlyMap<string, Relation>;
  readonly legacy: pg.ClientBase;
  /** Finds rows by key. */
  readonly target: pg.ClientBase;
  /** Joins whole tables. */
  readonly whole: pg.ClientBase;
  /** Writes the findings. */
  readonly store: pg.ClientBase;
  readonly lookers: readonly { readonly legacy: pg.ClientBase; readonly target: pg.ClientBase }[];
  readonly fence: Fence;
  close(): Promise<void>;
}

/** Opens all sessions. Throws a CrosswalkError that names what is missing or down. `timeoutMs`: time limit of a fence, 0: none. */
export async function openSessions(
  config: Config,
  kafka: Kafka,
  projections: readonly Projection[],
  options: {
    tenant: string | null;
    timeoutMs: number;
    signal: AbortSignal;
    lookers?: number;
    totals?: readonly LegacyTotal[];
  },
): Promise<Sessions> {
  const opened: pg.Client[] = [];
  const open = async (side: 'legacy' | 'target', sessionOptions: string): Promise<pg.Client> => {
    const url = side === 'legacy' ? config.legacyUrl() : config.targetUrl();
    try {
      const client = await connect(url, 'verify', sessionOptions);
      opened.push(client);
      return client;
    } catch (error) {
      throw toCrosswalkError(error, `${side} database ${addressOf(url)}`);
    }
  };
  const path = searchPathOption(liveNamespace(config.targetSchema));
  const toTarget = (planner: string) => open('target', `${planner} ${path}`);
  try {
    const legacy = await open('legacy', LEGACY_OPTIONS);
    const target = await toTarget(BY_KEY);
    const plans = toPlans(projections, await readTargetShapes(target, projections), totalsOf(projections, options));
    assertTenants(plans, options.tenant);
    const relations = await readCatalog(legacy, {
      schema: config.legacySchema,
      tables: plans.map(({ projection }) => projection.source),
      publication: config.publication,
    });
    const lookers = [];
    for (let at = 0; at < (options.lookers ?? LOOKERS); at += 1)
      lookers.push({ legacy: await open('legacy', LEGACY_OPTIONS), target: await toTarget(BY_KEY) });
    const fence = createFence({ config, kafka, target: await toTarget(BY_KEY), ...options });
    return {
      plans,
      relations: new Map(relations.map((relation) => [relation.table, relation])),
      legacy,
      target,
      whole: await toTarget(WHOLE_TABLES),
      store: await toTarget(BY_KEY),
      lookers,
      fence,
      close: async () => {
        await fence.close();
        await endAll(opened);
      },
    };
  } catch (error) {
    await endAll(opened);
    throw error;
  }
}

async function endAll(clients: readonly pg.Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
}

/** A run over one tenant has no totals of legacy tables without a tenant column. */
function totalsOf(
  projections: readonly Projection[],
  { totals = [], tenant }: { readonly totals?: readonly LegacyTotal[]; readonly tenant: string | null },
): readonly LegacyTotal[] {
  if (tenant === null) return totals;
  const silent = new Set(projections.filter((of) => of.tenant === undefined).map(({ source }) => source));
  return totals.filter(({ source }) => !silent.has(source));
}

/** Rows that only contribute to merged rows need no tenant column: the merged rows have one. */
function assertTenants(plans: readonly Plan[], tenant: string | null): void {
  const without = plans.find(({ projection, owned }) => projection.tenant === undefined && owned.length > 0);
  if (tenant === null || without === undefined) return;
  throw new CrosswalkError(
    'config_invalid.tenant_undeclared',
    `Projection ${without.projection.name} does not say which column names the tenant`,
  );
}
