import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalStack } from '../cli/local-stack.ts';
import { repositoryRoot } from '../infra/stack/jars.ts';
import { parseConfig } from '../runtime/config.ts';
import { createKafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { connect } from '../runtime/postgres.ts';
import { type Bench, say } from './bench.ts';
import { type Machine, readKafkaVersion } from './machine.ts';
import type { Results } from './results.ts';
import { enableStatementTimes, takeStatementTimes } from './statement-times.ts';
import { measureBackfill } from './steps/backfill.ts';
import { measureCatchUp, measureLegs } from './steps/catch-up.ts';
import { measureLatency } from './steps/latency.ts';
import { measureLimit } from './steps/limit.ts';
import { measureVerification } from './steps/verification.ts';

export const stepNames = ['backfill', 'catchup', 'latency', 'verify', 'limit'] as const;
export type StepName = (typeof stepNames)[number];

/** Runs the steps one after the other on one stack, each on what the one before left; a step throws where the rows do not add up. */
export async function runSteps(
  run: Omit<Bench, 'config' | 'kafka' | 'legacy' | 'target' | 'lastRow'> & {
    readonly machine: Machine;
    readonly log: Log;
    readonly steps: ReadonlySet<StepName>;
  },
): Promise<Results> {
  const { local, steps, sizes, profileDir } = run;
  const isTimed = profileDir !== null && (await enableStatementTimes(local.stack));
  const config = parseConfig({ ...run.env, ...local.env });
  const legacy = await connect(local.ownerUrl, 'bench');
  const target = await connect(local.stack.targetUrl, 'bench');
  try {
    const bench: Bench = { ...run, config, kafka: createKafka(config.kafka(), run.log), legacy, target, lastRow: 0 };
    const results: Results = {
      at: new Date().toISOString(),
      machine: { ...run.machine, ...(await readServers(local, bench)) },
      sizes,
      isProfiled: profileDir !== null,
    };
    const takeTimes = async (step: string) => {
      if (!isTimed) return;
      mkdirSync(profileDir, { recursive: true });
      const file = join(profileDir, `${step}-statements.txt`);
      writeFileSync(file, `${(await takeStatementTimes(local.stack)).join('\n')}\n`);
    };
    // The other steps need its rows, so that it is always run.
    const backfill = await measureBackfill(bench);
    results.backfill = backfill;
    say(
      bench,
      `  backfill: ${backfill.rowsPerSecond} rows/s, ${(backfill.newRows / backfill.rows).toFixed(1)} new rows each`,
    );
    await takeTimes('backfill');
    if (steps.has('catchup')) {
      const { source, projector } = await measureLegs(bench);
      results.source = source;
      results.projector = projector;
      await takeTimes('legs');
      results.catchup = await measureCatchUp(bench);
      say(bench, `  both at once: ${results.catchup.rowsPerSecond} changes/s`);
      await takeTimes('catchup');
    }
    if (steps.has('latency')) {
      results.latency = await measureLatency(bench);
      await takeTimes('latency');
    }
    if (steps.has('verify')) results.verify = await measureVerification(bench);
    if (steps.has('limit')) results.limit = await measureLimit(bench);
    return results;
  } finally {
    await legacy.end().catch(() => undefined);
    await target.end().catch(() => undefined);
  }
}

async function readServers(local: LocalStack, bench: Bench): Promise<{ postgres: string; kafka: string }> {
  const { rows } = await bench.legacy.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  const jars = bench.env.CROSSWALK_CACHE ?? join(repositoryRoot, '.crosswalk/jars');
  const kafka = local.stack.kind.kafka === 'embedded' ? readKafkaVersion(jars) : local.stack.kind.kafka;
  return { postgres: rows[0]!.version, kafka };
}
