// A pipeline as processes, with what a gate asks for beside it: an hour of lag samples, a verification, confirmations.

import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { evaluateGate, type StoredGate, storeGate } from '../../monitor/stages/gate.ts';
import type { GateLimits, GateLine } from '../../monitor/stages/gate-lines.ts';
import { toMappingText } from '../../projectors/verify/run-store.ts';
import { targetTables } from '../../projectors/write/catalog.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from './connector.ts';
import { type CliProcess, startCli } from './connector-process.ts';
import { allProjections, parseConfig, projections, readTenants } from './crm.ts';

export interface GateRig extends Omit<ConnectorRig, 'run'> {
  /** The target database as its owner. */
  readonly owner: pg.Client;
  /** The environment of people who set stages: a login that is a member of crosswalk_operator and nothing else. */
  readonly operatorEnv: Readonly<Record<string, string>>;
  /** Starts a process that is ended with the rig. */
  start(args: readonly string[], env?: Readonly<Record<string, string>>): CliProcess;
  stop(process: CliProcess): Promise<void>;
  /** Runs a command to its end, as an operator. */
  run(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<{ code: number | string; stdout: string; stderr: string }>;
  /** Evaluates and stores a gate in this process, as the command does. */
  gate(
    tenant: string,
    limits?: Partial<GateLimits>,
    env?: Readonly<Record<string, string>>,
  ): Promise<{ gate: StoredGate; isGo: boolean; line: (name: string) => GateLine }>;
}

export async function createGateRig(name: string): Promise<GateRig> {
  const rig = await createConnectorRig(name, { env: { NODE_NO_WARNINGS: '1' } });
  const processes: CliProcess[] = [];
  const start: GateRig['start'] = (args, env = {}) => {
    const started = startCli(args, { ...rig.env, ...env });
    processes.push(started);
    return started;
  };
  const migrate = start(['migrate', 'up']);
  if ((await migrate.ended) !== 0) throw new Error(migrate.stderr());
  const owner = await connect(rig.env.TARGET_DATABASE_URL!, 'test');
  const login = `operator_${randomBytes(4).toString('hex')}`;
  await owner.query(`CREATE ROLE ${login} LOGIN PASSWORD '${login}' IN ROLE crosswalk_operator`);
  const url = new URL(rig.env.TARGET_DATABASE_URL!);
  url.username = login;
  url.password = login;
  const operatorEnv = { ...rig.env, TARGET_DATABASE_URL: url.href };

  const run: GateRig['run'] = async (args, env = {}) => {
    const command = startCli(args, { ...operatorEnv, ...env });
    return { code: await command.ended, stdout: command.stdout(), stderr: command.stderr() };
  };
  return {
    ...rig,
    owner,
    operatorEnv,
    start,
    run,
    async stop(process) {
      if (process.isRunning()) process.child.kill('SIGTERM');
      await process.ended;
    },
    async gate(tenant, limits = {}, env = {}) {
      const target = await connect(url.href, 'test');
      try {
        const gate = await evaluateGate(
          parseConfig({ ...operatorEnv, ...env }),
          target,
          tenant === 'all' ? null : tenant,
          {
            projections: allProjections,
            tenants: readTenants(),
            // A busy machine may lag for a while.
            limits: { maxLagSeconds: 600, verifiedWithinSeconds: 86_400, ...limits },
            log: createLog('silent'),
            signal: new AbortController().signal,
          },
        );
        const stored = await storeGate(target, gate, null);
        const line = (wanted: string) => stored.lines.find(({ name: candidate }) => candidate === wanted)!;
        return { gate: stored, isGo: stored.verdict === 'go', line };
      } finally {
        await target.end();
      }
    },
    async drop() {
      for (const process of processes) if (process.isRunning()) process.child.kill('SIGKILL');
      await Promise.all(processes.map(({ ended }) => ended));
      await owner.end();
      await rig.drop();
      const admin = await connect(new URL('/postgres', rig.env.TARGET_DATABASE_URL).href, 'test');
      await admin.query(`DROP ROLE ${login}`).finally(() => admin.end());
    },
  };
}

/** An hour and more of samples without lag, as if the projectors had run for so long. */
export async function writePastSamples(owner: pg.Client): Promise<void> {
  await owner.query(
    `INSERT INTO crosswalk.lag_sample SELECT p, at, 1, 0 FROM unnest($1::text[]) p,
       generate_series(date_bin('15 seconds', now(), 'epoch') - interval '70 minutes', now(), '15 seconds') at ON CONFLICT (projection, at) DO UPDATE SET lag_seconds = 1`,
    [allProjections.map(({ name }) => name)],
  );
}

/** The mark that a verification of everything leaves: each table, over all tenants and for each of those given. */
export async function writeVerified(
  owner: pg.Client,
  tenants: readonly string[],
  found: { differences?: number; unsettled?: number; minutesAgo?: number } = {},
): Promise<void> {
  const tables = [...new Set([...projections.flatMap(targetTables), 'contribution'])];
  await owner.query(
    `WITH run AS (INSERT INTO crosswalk.verification_run (id, kind, through, mapping, progress) VALUES (gen_random_uuid(), 'once', now(), $6, '{}') RETURNING id)
     INSERT INTO crosswalk.verified (table_name, tenant_id, verified_through, rows, differences, unsettled, run_id)
     SELECT t, w, now() - make_interval(mins => $3), 1, $4, $5, run.id FROM run, unnest($1::text[]) t, unnest($2::text[]) w
     ON CONFLICT (table_name, tenant_id) DO UPDATE SET verified_through = excluded.verified_through, differences = excluded.differences, unsettled = excluded.unsettled, run_id = excluded.run_id`,
    [
      ...[tables, ['*', ...tenants], found.minutesAgo ?? 0, found.differences ?? 0, found.unsettled ?? 0],
      toMappingText(projections),
    ],
  );
}
