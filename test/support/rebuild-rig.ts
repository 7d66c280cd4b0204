// A pipeline whose projections are rebuilt: connector and projectors run in this process, under a login with the rights of the projectors alone.

import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { createTenants } from '../../pipelines/crm/tenants.ts';
import { mark } from '../../projectors/mark.ts';
import { runProjectors } from '../../projectors/project.ts';
import type { Projection, Tenants } from '../../projectors/projection.ts';
import {
  type RebuildOptions,
  type RebuildRequest,
  type RebuildResult,
  rebuild,
} from '../../projectors/rebuild/rebuild.ts';
import { createProjectionStatus, type ProjectionStatus } from '../../projectors/status.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import type { Config } from '../../runtime/config.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { compareRows } from './compare-rows.ts';
import { type ConnectorRig, createConnectorRig } from './connector.ts';
import { allProjections, parseConfig } from './crm.ts';
import { HISTORY_TABLES, openTarget, PROJECTED_TABLES } from './target-database.ts';

/** Live projectors that run in this process. */
export interface RunningProjectors {
  readonly statuses: ReadonlyMap<string, ProjectionStatus>;
  /** What they ended with; null after a stop. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

export interface RebuildRig {
  readonly source: ConnectorRig;
  readonly config: Config;
  /** For processes of their own. */
  readonly env: Readonly<Record<string, string>>;
  /** On the target database, as its owner. */
  readonly owner: pg.Client;
  project(projections?: readonly Projection[], env?: Readonly<Record<string, string>>): RunningProjectors;
  /** Waits until everything committed in the legacy database by now is applied. */
  untilApplied(timeoutMs?: number): Promise<void>;
  /** Runs a rebuild of everything that merges without asking, or what is said otherwise. */
  rebuild(
    request?: Partial<RebuildRequest>,
    options?: Partial<RebuildOptions>,
    config?: Config,
  ): Promise<RebuildResult>;
  /** Differences between the legacy rows and the live ones, as the SQL oracle finds them. */
  differences(): Promise<unknown[]>;
  /** `xmin` and a digest of every row, by table and id. */
  rows(): Promise<Map<string, { xmin: string; digest: string }>>;
  shadows(): Promise<string[]>;
  drop(): Promise<void>;
}

/** Databases, topics and a connector that runs, with so many legacy contacts and quotes. */
export async function createRebuildRig(
  name: string,
  options: {
    seed: string;
    rows: number;
    env?: Readonly<Record<string, string>>;
    tenants?: Tenants;
    /** The legacy database of another rig, with its rows. */
    legacyUrl?: string;
  },
): Promise<RebuildRig> {
  const { legacyUrl } = options;
  const source = await createConnectorRig(name, {
    ...(legacyUrl === undefined ? {} : { legacyUrl }),
    env: { CROSSWALK_SESSION_TIMEOUT_MS: '6000', ...options.env },
  });
  if (options.rows > 0) {
    const { seed, rows } = options;
    await loadSample(source.env.LEGACY_DATABASE_URL!, { seed, contacts: rows, quotes: rows });
  }
  const owner = await openTarget(source.env.TARGET_DATABASE_URL!);
  const role = `rebuild_${randomBytes(4).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}' IN ROLE crosswalk_projector`);
  const url = new URL(source.env.TARGET_DATABASE_URL!);
  url.username = role;
  url.password = password;
  const env = { ...source.env, TARGET_DATABASE_URL: url.href };
  const config = parseConfig(env);
  const tenants = options.tenants ?? createTenants({});
  const kafka = createKafka(config.kafka(), createLog('silent'));
  const running: RunningProjectors[] = [];
  source.run();

  return {
    source,
    config,
    env,
    owner,
    project(projections = allProjections, overrides = {}) {
      const statuses = new Map(projections.map(({ name: each }) => [each, createProjectionStatus(each)]));
      const stopping = new AbortController();
      const ended = runProjectors(parseConfig({ ...env, ...overrides }), projections, tenants, statuses, {
        log: createLog('silent'),
        signal: stopping.signal,
      }).then(
        () => null,
        (error: unknown) => error,
      );
      const projectors = {
        statuses,
        ended,
        stop: async () => {
          stopping.abort(new Error('test'));
          const error = await ended;
          if (error !== null) throw error;
        },
      };
      running.push(projectors);
      return projectors;
    },
    async untilApplied(timeoutMs = 120_000) {
      const lsn = await mark(source.legacy);
      await waitForLsn(config, kafka, owner, allProjections, {
        lsn,
        timeoutMs,
        signal: new AbortController().signal,
      });
    },
    rebuild: (request = {}, given = {}, own = config) =>
      rebuild(
        own,
        {
          name: 'test',
          projections: allProjections,
          all: allProjections,
          tenants,
          mapping: 'test',
          start: { kind: 'beginning' },
          resume: false,
          dryRun: false,
          maxRate: null,
          limit: 1000,
          lockTimeoutMs: 30_000,
          ...request,
        },
        {
          log: createLog('silent'),
          signal: new AbortController().signal,
          onProgress: () => undefined,
          confirm: async () => true,
          ...given,
        },
      ),
    differences: () =>
      compareRows({ legacyUrl: source.env.LEGACY_DATABASE_URL!, targetUrl: source.env.TARGET_DATABASE_URL! }),
    async rows() {
      const found = new Map<string, { xmin: string; digest: string }>();
      for (const table of [...PROJECTED_TABLES, ...HISTORY_TABLES]) {
        const { rows } = await owner.query<{ id: string; xmin: string; digest: string }>(
          `SELECT id::text, xmin::text, md5(to_jsonb(t)::text) AS digest FROM crm.${table} t`,
        );
        for (const { id, xmin, digest } of rows) found.set(`${table} ${id}`, { xmin, digest });
      }
      return found;
    },
    async shadows() {
      const { rows } = await owner.query<{ name: string }>(
        `SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'crosswalk\\_shadow\\_%' ORDER BY 1`,
      );
      return rows.map((row) => row.name);
    },
    async drop() {
      await Promise.all(running.map((each) => each.stop().catch(() => undefined)));
      await owner.end();
      await source.drop();
      const admin = await connect(new URL('/postgres', source.env.TARGET_DATABASE_URL!).href, 'test');
      await admin.query(`DROP ROLE IF EXISTS ${role}`).finally(() => admin.end());
    },
  };
}

/** Which rows are not as they were: added, changed in any way (written anew counts), or gone. */
export function touchedRows(
  before: ReadonlyMap<string, { xmin: string; digest: string }>,
  after: ReadonlyMap<string, { xmin: string; digest: string }>,
): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name)?.xmin !== after.get(name)?.xmin).sort();
}
