import pg from 'pg';
import { mark } from '../../projectors/mark.ts';
import type { Sample, SampleReport } from '../../projectors/pipeline.ts';
import { type Projection, statesOf } from '../../projectors/projection.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { verifyAll } from '../../projectors/verify/verify.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { type Config, parseConfig } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { createKafka, type Kafka } from '../../runtime/kafka.ts';
import { addressConfig, connect } from '../../runtime/postgres.ts';
import { pause } from '../../runtime/retry.ts';
import { rejectsSql } from '../../schemas/rejects.ts';
import { type CommandContext, print } from '../context.ts';
import { type LocalStack, openLocalStack } from '../local-stack.ts';
import { assertRunning, type ManagedProcess } from '../managed-process.ts';
import { countLegacyRows, readLoadProgress } from '../pipeline-view.ts';
import { createProgress } from '../progress.ts';
import { printVerification } from './verify.ts';

const DIR = '.crosswalk/demo';
const SEED = 1;
const CHANGES_PER_SECOND = 200;
const WAIT_MS = 300_000;

interface Demo {
  readonly sample: Sample;
  readonly projections: readonly Projection[];
  readonly rows: number;
  readonly context: CommandContext;
  readonly config: Config;
  readonly kafka: Kafka;
  readonly local: LocalStack;
  readonly processes: readonly ManagedProcess[];
  readonly legacy: pg.Client;
  readonly target: pg.Client;
}

/** Runs everything once on sample data: load, stream, live traffic, verification. Returns whether every row is equal and the rejects found are exactly the planted ones. */
export async function demo(context: CommandContext, options: { rows: number; seconds: number }): Promise<boolean> {
  const startedAtMs = performance.now();
  const { pipeline } = context;
  const projections = statesOf(pipeline.projections);
  const sample = await pipeline.sample?.();
  if (sample === undefined)
    throw new CrosswalkError('config_invalid.no_sample', `The pipeline ${pipeline.name} has no sample`);
  const secondsSoFar = () => ((performance.now() - startedAtMs) / 1000).toFixed(0);
  const step = (title: string) => print(`\n${title} (after ${secondsSoFar()} s)`);
  print('1. servers: PostgreSQL, Kafka, schema registry');
  const local = await openLocalStack(context, {
    dir: DIR,
    keepData: false,
    isEmpty: (message) => print(`  ${message}`),
    beforePrepare: (url) => prepareEmpty(url, sample),
  });
  const clients: pg.Client[] = [];
  try {
    step(`2. a legacy database with ${sample.describe(options.rows)}, as messy as real ones`);
    await load(context, local, sample, options.rows);

    step('3. the pipeline: one connector, one projector process; initial load');
    const config = parseConfig({ ...context.ownEnv, ...local.env }, pipeline);
    clients.push(await connect(local.ownerUrl, 'demo'), await connect(config.targetUrl(), 'demo'));
    const demo: Demo = {
      ...{ sample, projections, rows: options.rows },
      context,
      config,
      local,
      kafka: createKafka(config.kafka(), context.log),
      processes: await local.startPipeline(),
      legacy: clients[0]!,
      target: clients[1]!,
    };
    await watchLoad(demo);

    step(`4. the legacy application at work: ${CHANGES_PER_SECOND} changes a second for ${options.seconds} s`);
    const report = await runTraffic(demo, options.seconds);
    print(`  ${report.rowChanges} changes in ${report.transactions} transactions; waiting until they are applied`);
    await waitForLsn(config, demo.kafka, demo.target, projections, {
      lsn: await mark(demo.legacy),
      timeoutMs: WAIT_MS,
      signal: context.signal,
    });

    step('5. verification: every row recomputed from the legacy tables and compared');
    const verification = await verifyAll(config, projections, readTenants(pipeline), {
      ...(pipeline.checks === undefined ? {} : { checks: pipeline.checks }),
      kafka: demo.kafka,
      limit: 20,
      signal: context.signal,
    });
    printVerification(verification, { limit: 20, unmask: false });
    const rejectsMatch = await compareRejects(demo.target, config, report.plantedRejects);
    const ok = verification.ok && rejectsMatch;
    print(
      `\n${ok ? 'The new schema equals the legacy database.' : 'The demo FAILED: see above.'} (${secondsSoFar()} s)`,
    );
    if (ok)
      print(
        'Next: `SAMPLE=1 make up` keeps such a stack running; README.md says how to point it at your own database.',
      );
    return ok;
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    await local.close();
  }
}

/** Refuses databases that are not empty, since the demo fills them. Creates the legacy schema if there is none. */
async function prepareEmpty(url: string, sample: Sample): Promise<void> {
  const client = new pg.Client(addressConfig(url, 'crosswalk-demo'));
  await client.connect();
  try {
    if (await sample.createSchema(client)) return;
    if (!(await sample.isEmpty(client)))
      throw new CrosswalkError('config_invalid.demo_not_empty', 'The legacy database given to the demo is not empty');
  } finally {
    await client.end();
  }
}

async function load(context: CommandContext, local: LocalStack, sample: Sample, size: number): Promise<void> {
  const legacy = new pg.Client(addressConfig(local.ownerUrl, 'crosswalk-demo'));
  await legacy.connect();
  try {
    const progress = createProgress({
      label: 'rows',
      total: 0,
      isTerminal: context.isTerminal,
      write: (text) => process.stdout.write(text),
    });
    const rows = await sample.load(legacy, { seed: SEED, rows: size, onRows: progress.update });
    progress.close();
    print(
      `  ${Object.entries(rows)
        .map(([table, count]) => `${count} ${table}`)
        .join(', ')}`,
    );
  } finally {
    await legacy.end();
  }
}

async function watchLoad({ context, projections, config, kafka, legacy, target, processes }: Demo): Promise<void> {
  const total = await countLegacyRows(legacy, config, projections);
  const progress = createProgress({
    label: 'applied',
    total,
    isTerminal: context.isTerminal,
    write: (text) => process.stdout.write(text),
  });
  for (;;) {
    assertRunning(processes, DIR);
    context.signal.throwIfAborted();
    const state = await readLoadProgress(config, kafka, target, projections, total).catch((error: unknown) => {
      // The connector has not created its topics yet.
      if (toCrosswalkError(error, 'Kafka').code === 'server_down') return { applied: 0, isDone: false };
      throw error;
    });
    progress.update(state.applied);
    if (state.isDone) break;
    await pause(250, context.signal);
  }
  progress.close();
}

async function runTraffic(
  { context, sample, projections, rows, local, legacy, target, config, kafka, processes }: Demo,
  seconds: number,
): Promise<SampleReport> {
  const traffic = sample.startTraffic({
    address: () => addressConfig(local.ownerUrl, 'legacy traffic'),
    ...{ seed: SEED, rows, changesPerSecond: CHANGES_PER_SECOND },
  });
  const endAtMs = performance.now() + seconds * 1000;
  // Traffic ends on time, even if a progress check takes longer.
  const ending = pause(seconds * 1000, context.signal).then(() => traffic.stop());
  ending.catch(() => undefined);
  while (performance.now() < endAtMs && !context.signal.aborted) {
    await pause(Math.min(2000, Math.max(0, endAtMs - performance.now())), context.signal);
    assertRunning(processes, DIR);
    const startedAtMs = performance.now();
    await waitForLsn(config, kafka, target, projections, {
      lsn: await mark(legacy),
      timeoutMs: WAIT_MS,
      signal: context.signal,
    });
    print(
      `  ${String(traffic.progress().rowChanges).padStart(6)} changes; commits so far are applied after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`,
    );
  }
  return await ending;
}

/** Compares the rejects found with those planted by generator and traffic: by table, key, path and reason. */
async function compareRejects(
  target: pg.Client,
  { targetSchema, rejectsTables }: Config,
  planted: readonly { table: string; key: string; path: string; reason: string }[],
): Promise<boolean> {
  if (rejectsTables.length === 0) return planted.length === 0;
  const { rows } = await target.query<{ legacy_table: string; legacy_key: string; path: string; reason: string }>(
    `SELECT legacy_table, legacy_key, path, reason FROM ${rejectsSql(rejectsTables, ['legacy_table', 'legacy_key', 'path', 'reason', 'origin'], targetSchema)} WHERE origin = 'cdc'`,
  );
  const expected = new Set(planted.map(({ table, key, path, reason }) => [table, key, path, reason].join(' ')));
  const found = new Set(rows.map((row) => [row.legacy_table, row.legacy_key, row.path, row.reason].join(' ')));
  const missing = [...expected].filter((reject) => !found.has(reject));
  const surplus = [...found].filter((reject) => !expected.has(reject));
  print(
    `\nrejects: ${expected.size} planted, ${found.size} found, ${missing.length} missing, ${surplus.length} not planted`,
  );
  const kinds = Map.groupBy(rows, (row) => `${row.legacy_table}.${row.path.replace(/\[\d+\]/, '[n]')}: ${row.reason}`);
  for (const [kind, list] of [...kinds].sort((a, b) => b[1].length - a[1].length))
    print(`  ${String(list.length).padStart(5)}  ${kind}`);
  for (const reject of [
    ...missing.map((line) => `missing ${line}`),
    ...surplus.map((line) => `not planted ${line}`),
  ].slice(0, 10))
    print(`  ${reject}`);
  return missing.length === 0 && surplus.length === 0;
}
