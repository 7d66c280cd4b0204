import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../infra/stack/jars.ts';
import { toCrosswalkError, toErrorLine } from '../runtime/errors.ts';
import { connect } from '../runtime/postgres.ts';
import { type Run, say } from './bench.ts';
import { type Machine, readKafkaVersion } from './machine.ts';
import { installPeer, type PeerJars, versions } from './peer/peer-jars.ts';
import { fanOut, flat, withPipeline } from './pipeline.ts';
import type { Latency, LatencyName, LegName, Results, Throughput } from './results.ts';
import { enableStatementTimes, takeStatementTimes } from './statement-times.ts';
import { measureBackfill } from './steps/backfill.ts';
import { measureCatchUp, measureLegs } from './steps/catch-up.ts';
import { measureGrowth } from './steps/growth.ts';
import { measureLatency } from './steps/latency.ts';
import { measureLimit } from './steps/limit.ts';
import { measurePeer } from './steps/peer.ts';
import { measureApplicationQueries } from './steps/queries.ts';
import { measureScale } from './steps/scale.ts';
import { measureVerification } from './steps/verification.ts';
import { summarise } from './summary.ts';
import { judge } from './targets.ts';

export const stepNames = [
  'backfill',
  'catchup',
  'latency',
  'verify',
  'limit',
  'flat',
  'growth',
  'scale',
  'queries',
] as const;
export type StepName = (typeof stepNames)[number];
/** What a run does that names no steps. */
export const defaultSteps: readonly StepName[] = stepNames.filter(
  (name) => !['growth', 'scale', 'queries'].includes(name),
);

/** What is asked of a run. */
export interface Plan {
  readonly machine: Machine;
  readonly command: string;
  readonly steps: ReadonlySet<StepName>;
  /** Repetitions of what is fast, and of what is slow: latency, verification and the peer. Growth is measured once. */
  readonly repeat: { readonly fast: number; readonly slow: number };
  readonly hasPeer: boolean;
  readonly growth: { readonly rows: readonly number[]; readonly oneCustomer: number };
  readonly scale: { readonly partitions: readonly number[]; readonly processes: readonly number[] };
  /** Told after each leg of everything so far: a later one may fail. */
  readonly onResults: (results: Results) => void;
  /** Rows of a first round that nothing is told of: servers that have just been started are slower. 0: none. */
  readonly warmUpRows: number;
}

/** Runs the steps, repetition by repetition, so that whatever a machine does for a while hits all of them; a step throws where the rows do not add up. */
export async function runSteps(run: Run, plan: Plan): Promise<Results> {
  const { steps, repeat } = plan;
  const isTimed = run.profileDir !== null && (await enableStatementTimes(run.local.stack));
  const results: Results = {
    at: new Date().toISOString(),
    command: plan.command,
    machine: {
      ...plan.machine,
      ...(await readServers(run)),
      ...(plan.hasPeer ? { peer: `${versions.source}, sink ${versions.sink}` } : {}),
    },
    sizes: run.sizes,
    isProfiled: run.profileDir !== null,
    ...{ legs: {}, latency: {}, growth: [], scale: [], failures: [] },
  };
  const add = (name: LegName, measured: Throughput) => {
    results.legs[name] = [...(results.legs[name] ?? []), measured];
    plan.onResults(results);
  };
  const addLatency = (name: LatencyName, measured: Latency) => {
    results.latency[name] = [...(results.latency[name] ?? []), measured];
    plan.onResults(results);
  };
  const takeTimes = async (step: string) => {
    if (!isTimed) return;
    mkdirSync(run.profileDir!, { recursive: true });
    const lines = await takeStatementTimes(run.local.stack);
    writeFileSync(join(run.profileDir!, `${step}-statements.txt`), `${lines.join('\n')}\n`);
  };
  let jars = plan.hasPeer ? await tryPeer(run, results, () => installPeer((line) => say(run, line))) : null;

  const rounds = ['backfill', 'catchup', 'latency', 'verify', 'limit', 'flat'] as const;
  if (plan.warmUpRows > 0 && (jars !== null || rounds.some((step) => steps.has(step)))) {
    say(run, `\nwarm-up: ${plan.warmUpRows} rows`);
    await withPipeline(run, 'warm_up', fanOut, async (bench) => {
      await measureBackfill(bench, plan.warmUpRows);
      await measureCatchUp(bench, plan.warmUpRows);
    });
  }
  for (let repetition = 1; repetition <= Math.max(repeat.fast, repeat.slow); repetition++) {
    const isFast = repetition <= repeat.fast;
    const isSlow = repetition <= repeat.slow;
    const now = (step: StepName) => steps.has(step) && (step === 'latency' || step === 'verify' ? isSlow : isFast);
    const of = `${repetition} of ${Math.max(repeat.fast, repeat.slow)}`;
    // The steps behind it need its rows.
    if (now('backfill') || now('catchup') || now('latency') || now('verify')) {
      say(run, `\n${of}: quotes to eight tables`);
      await withPipeline(run, `fan_out_${repetition}`, fanOut, async (bench) => {
        add('backfill', await measureBackfill(bench, run.sizes.rows));
        await takeTimes('backfill');
        if (now('catchup')) {
          const { source, projector } = await measureLegs(bench, run.sizes.changes);
          add('source', source);
          add('projector', projector);
          await takeTimes('legs');
          add('catchup', await measureCatchUp(bench, run.sizes.changes));
          await takeTimes('catchup');
        }
        if (now('latency')) {
          addLatency('crosswalk', await measureLatency(bench, run.sizes.seconds));
          await takeTimes('latency');
        }
        if (now('verify')) add('verify', await measureVerification(bench));
      });
    }
    if (now('limit')) {
      say(run, `\n${of}: INSERT … SELECT in one session`);
      add('limit', await measureLimit(run, run.sizes.rows));
    }
    if (now('flat')) {
      say(run, `\n${of}: quotes to the same table`);
      await withPipeline(run, `flat_${repetition}`, flat, async (bench) => {
        add('flatBackfill', await measureBackfill(bench, run.sizes.rows));
        add('flatCatchup', await measureCatchUp(bench, run.sizes.changes));
      });
      await takeTimes('flat');
    }
    if (jars !== null && isSlow) {
      say(run, `\n${of}: quotes to the same table, by the peer`);
      jars = await tryPeer(run, results, async () => {
        await measurePeer(run, `bench_peer_${repetition}`, jars as PeerJars, toPeerParts(steps), {
          leg: add,
          latency: addLatency,
        });
        return jars;
      });
    }
  }
  if (steps.has('growth'))
    await measureGrowth(run, plan.growth, (point) => {
      results.growth.push(point);
      plan.onResults(results);
    });
  if (steps.has('scale'))
    await measureScale(run, { ...plan.scale, changes: run.sizes.changes }, (point) => {
      results.scale?.push(point);
      plan.onResults(results);
    });
  if (steps.has('queries')) {
    results.queries = await measureApplicationQueries(run, run.sizes.rows);
    plan.onResults(results);
  }
  return { ...results, summary: summarise(results), targets: judge(results) };
}

/** The parts that something of crosswalk's is compared with. */
const toPeerParts = (steps: ReadonlySet<StepName>) => ({
  source: steps.has('catchup'),
  catchUp: steps.has('catchup') || steps.has('flat'),
  latency: steps.has('latency'),
});

/** What fails of the peer leaves its figures out, and those of crosswalk in; null then. */
async function tryPeer<T>(run: Run, results: Results, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (thrown) {
    run.signal.throwIfAborted();
    const line = toErrorLine(toCrosswalkError(thrown, 'the peer'));
    say(run, `  ${line}`);
    results.failures.push(line);
    return null;
  }
}

async function readServers({ local, env }: Run): Promise<{ postgres: string; kafka: string }> {
  const admin = await connect(local.stack.adminUrl!, 'bench');
  try {
    const { rows } = await admin.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
    const jars = env.CROSSWALK_CACHE ?? join(repositoryRoot, '.crosswalk/jars');
    const kafka = local.stack.kind.kafka === 'embedded' ? readKafkaVersion(jars) : local.stack.kind.kafka;
    return { postgres: rows[0]!.version, kafka };
  } finally {
    await admin.end();
  }
}
