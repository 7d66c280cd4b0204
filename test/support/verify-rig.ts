// A whole pipeline in this process: legacy database, connector, Kafka, projectors, new schema, and verification of it.

import type pg from 'pg';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { mark } from '../../projectors/mark.ts';
import { runProjectors } from '../../projectors/project.ts';
import type { Projection } from '../../projectors/projection.ts';
import { createProjectionStatus } from '../../projectors/status.ts';
import { type Repair, repairRun } from '../../projectors/verify/repair.ts';
import { type Verification, type VerifyOptions, verifyAll } from '../../projectors/verify/verify.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from './connector.ts';
import { allProjections, crm, migrateUp, parseConfig, projections, readTenants } from './crm.ts';

export interface VerifyRig {
  readonly rig: ConnectorRig;
  /** Owners' connections. */
  readonly legacy: pg.Client;
  readonly target: pg.Client;
  readonly connector: RunningConnector;
  verify(options?: Partial<VerifyOptions>): Promise<Verification>;
  repair(run: string): Promise<Repair>;
  /** Waits until everything committed by now is applied. */
  untilApplied(): Promise<void>;
  /** The same pipeline under other addresses, while its own processes rest: a connector and projectors, until they are stopped. */
  under(
    env: Readonly<Record<string, string>>,
  ): Promise<Pick<VerifyRig, 'verify' | 'untilApplied'> & { stop(): Promise<void> }>;
  /** Stops or starts the projectors. */
  stopProjectors(): Promise<void>;
  startProjectors(): void;
  drop(): Promise<void>;
}

const WAIT_MS = 90_000;

/** Loads sample rows and waits until they are applied. `legacyUrl`: an empty database elsewhere. `beforeLoad` may change the legacy schema. */
export async function createVerifyRig(
  name: string,
  options: {
    seed: string;
    contacts: number;
    quotes: number;
    legacyUrl?: string;
    env?: Readonly<Record<string, string>>;
    schema?: string;
    /** Other ones than those of the tree, and the tables that they write. */
    projections?: readonly Projection[];
    targetSchema?: string;
  },
): Promise<VerifyRig> {
  const verified = options.projections ?? projections;
  const running = options.projections ?? allProjections;
  const rig = await createConnectorRig(name, {
    ...(options.legacyUrl === undefined ? {} : { legacyUrl: options.legacyUrl }),
    ...(options.schema === undefined ? {} : { schema: options.schema }),
    env: {
      CROSSWALK_TABLES: projections.map(({ source }) => source).join(','),
      CROSSWALK_CHUNK_ROWS: '1000',
      ...options.env,
    },
  });
  const log = createLog(rig.config.logLevel);
  const kafka = createKafka(rig.config.kafka(), createLog('silent'));
  const target = await connect(rig.config.targetUrl(), 'test');
  await migrateUp(target, () => undefined);
  if (options.targetSchema !== undefined) await target.query(options.targetSchema);
  await loadSample(rig.env.LEGACY_DATABASE_URL!, options);
  const connector = rig.run();
  let stopping = new AbortController();
  let projecting: Promise<unknown> = Promise.resolve();
  const startProjectors = () => {
    stopping = new AbortController();
    const statuses = new Map(running.map(({ name: of }) => [of, createProjectionStatus(of)]));
    projecting = runProjectors(rig.config, running, readTenants(), statuses, { log, signal: stopping.signal });
    projecting.catch(() => undefined);
  };
  startProjectors();
  const pipeline: VerifyRig = {
    rig,
    target,
    connector,
    legacy: rig.legacy,
    verify: (given = {}) =>
      verifyAll(rig.config, verified, readTenants(), {
        ...{ kafka, limit: 10_000, signal: AbortSignal.timeout(300_000), fenceTimeoutMs: WAIT_MS },
        checks: crm.checks!,
        ...given,
      }),
    repair: (run) =>
      repairRun(rig.config, verified, readTenants(), run, { kafka, signal: AbortSignal.timeout(300_000) }),
    async untilApplied() {
      const lsn = await mark(rig.legacy);
      await waitForLsn(rig.config, kafka, target, running, {
        ...{ lsn, timeoutMs: WAIT_MS, signal: AbortSignal.timeout(WAIT_MS) },
      });
    },
    async under(env) {
      const config = parseConfig(env);
      const other = rig.run(env);
      const ending = new AbortController();
      const statuses = new Map(running.map(({ name: of }) => [of, createProjectionStatus(of)]));
      const projected = runProjectors(config, running, readTenants(), statuses, { log, signal: ending.signal });
      projected.catch(() => undefined);
      return {
        verify: (given = {}) =>
          verifyAll(config, verified, readTenants(), {
            ...{ kafka, limit: 10_000, signal: AbortSignal.timeout(300_000), fenceTimeoutMs: WAIT_MS },
            checks: crm.checks!,
            ...given,
          }),
        untilApplied: pipeline.untilApplied,
        async stop() {
          ending.abort(new Error('test'));
          await projected;
          await other.stop();
        },
      };
    },
    async stopProjectors() {
      stopping.abort(new Error('test'));
      await projecting;
    },
    startProjectors,
    async drop() {
      stopping.abort(new Error('test'));
      await projecting.catch(() => undefined);
      await target.end();
      await rig.drop();
    },
  };
  try {
    await pipeline.untilApplied();
  } catch (error) {
    await pipeline.drop();
    throw error;
  }
  return pipeline;
}

/** Rows that a verification found different, as `table id kind column`. */
export function namesOf({ tables }: Pick<Verification, 'tables'>): string[] {
  return tables.flatMap(({ differences }) =>
    differences.map(({ table, id, kind, column }) => `${table} ${id} ${column ?? kind}`),
  );
}
