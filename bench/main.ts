// Measures crosswalk on servers of its own: see README.md beside this file.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { openLocalStack } from '../cli/local-stack.ts';
import crm from '../pipelines/crm/pipeline.ts';
import { parseConfig } from '../runtime/config.ts';
import { toCrosswalkError, toErrorLine } from '../runtime/errors.ts';
import { createKafka } from '../runtime/kafka.ts';
import { createLog } from '../runtime/log.ts';
import { readMachine } from './machine.ts';
import type { Results } from './results.ts';
import { defaultSteps, runSteps, type StepName, stepNames } from './run-steps.ts';
import { sizePostgres } from './size-postgres.ts';
import { toReportLines, toWarnings } from './table.ts';

const DIR = '.crosswalk/bench';
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Addresses that would lead away from servers of the benchmark's own: other servers, other settings, other figures. */
const ADDRESSES = [
  'LEGACY_DATABASE_URL',
  'LEGACY_OWNER_URL',
  'TARGET_DATABASE_URL',
  'TARGET_OWNER_URL',
  'TARGET_OPERATOR_URL',
  'KAFKA_BROKERS',
  'SCHEMA_REGISTRY_URL',
];

const positive = (text: string): number => {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('a whole number above 0');
  return Number(text);
};
const steps = (text: string): StepName[] =>
  text.split(',').map((name) => {
    const step = stepNames.find((known) => known === name);
    if (step === undefined) throw new InvalidArgumentError(`of ${stepNames.join(', ')}`);
    return step;
  });
const counts = (text: string): number[] => text.split(',').map(positive);
const fromEnv = (name: string): number | undefined => {
  const text = process.env[name];
  try {
    return text ? positive(text) : undefined;
  } catch {
    throw new InvalidArgumentError(`${name} must be a whole number above 0`);
  }
};
const isOn = (name: string) => !['', '0', undefined].includes(process.env[name]);

/** What a run is without a word, and a quick one, which takes about two minutes. */
const USUAL = { rows: 100_000, seconds: 30, repeat: { fast: 3, slow: 1 }, warmUpRows: 2000 };
const QUICK = { rows: 30_000, seconds: 10, repeat: { fast: 1, slow: 1 }, warmUpRows: 1000 };
const GROWTH = [10_000, 100_000, 1_000_000];
const SCALE = { partitions: [1, 3, 12], processes: [1, 2, 4] };
const HUGE = 5_000_000;
const ONE_CUSTOMER = 100_000;
/** What a run that failed half way has measured until then. */
const UNFINISHED = 'unfinished.json';

interface Options {
  readonly rows?: number;
  readonly changes?: number;
  readonly seconds?: number;
  readonly repeat?: number;
  readonly only?: StepName[];
  readonly peer?: boolean;
  readonly quick?: boolean;
  readonly growth?: number[];
  readonly huge?: boolean;
  readonly oneCustomer?: number;
  readonly json?: boolean;
  readonly profile?: boolean;
}

/** The settings that make another run of it, as they are typed. */
function toCommand(): string {
  const names = ['ROWS', 'CHANGES', 'SECONDS', 'REPEAT', 'PEER', 'QUICK'];
  const set = names.flatMap((name) => (process.env[name] ? [`${name}=${process.env[name]}`] : []));
  return [...set, 'bench/main.ts', ...process.argv.slice(2)].join(' ');
}

async function bench(options: Options): Promise<void> {
  const machine = readMachine();
  const usual = options.quick || isOn('QUICK') ? QUICK : USUAL;
  const rows = options.rows ?? fromEnv('ROWS') ?? usual.rows;
  const sizes = {
    rows,
    changes: options.changes ?? fromEnv('CHANGES') ?? rows,
    seconds: options.seconds ?? fromEnv('SECONDS') ?? usual.seconds,
  };
  const repeat = options.repeat ?? fromEnv('REPEAT');
  const folder = join(DIR, 'results');
  mkdirSync(folder, { recursive: true });
  const plan = {
    ...{ machine, command: toCommand(), steps: new Set(options.only ?? defaultSteps) },
    repeat: repeat === undefined ? usual.repeat : { fast: repeat, slow: repeat },
    hasPeer: options.peer === true || isOn('PEER'),
    growth: {
      rows: [...(options.growth ?? GROWTH), ...(options.huge ? [HUGE] : [])],
      oneCustomer: options.oneCustomer ?? ONE_CUSTOMER,
    },
    scale: SCALE,
    warmUpRows: Math.min(rows, usual.warmUpRows),
    onResults: (results: Results) => writeFileSync(join(folder, UNFINISHED), `${JSON.stringify(results, null, 2)}\n`),
  };
  const stopping = new AbortController();
  for (const signal of SIGNALS)
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(130);
      stopping.abort(new Error(signal));
    });
  const printResult = process.stdout.write.bind(process.stdout);
  // With --json standard output holds the document alone; everything that tells of progress goes to standard error.
  if (options.json) process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  const write = (text: string) => void process.stdout.write(text);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ADDRESSES.includes(name)));
  const log = createLog('warn', { command: 'bench' });
  const isTerminal = !options.json && process.stdout.isTTY === true && env.CI === undefined;

  if (machine.loadAtStart > 0.5)
    write(`The machine is busy (load ${machine.loadAtStart.toFixed(2)}): the figures will not be quotable.\n`);
  write('servers: PostgreSQL, Kafka, schema registry\n');
  const local = await openLocalStack(
    {
      pipeline: crm,
      config: parseConfig(env, crm),
      env,
      ownEnv: env,
      log,
      signal: stopping.signal,
      isTerminal,
      giveUp: () => undefined,
    },
    { dir: `${DIR}/stack`, keepData: false, isEmpty: () => undefined },
  );
  try {
    await sizePostgres(local.stack);
    const config = parseConfig({ ...env, ...local.env }, crm);
    const run = {
      ...{ local, env, log, sizes, isTerminal, write },
      kafka: createKafka(config.kafka(), log),
      signal: stopping.signal,
      stackDir: join(process.cwd(), DIR, 'stack'),
      profileDir: options.profile ? join(process.cwd(), DIR, 'profiles') : null,
    };
    const results = await runSteps(run, plan);
    const document = `${JSON.stringify(results, null, 2)}\n`;
    for (const name of ['latest', results.at.replace(/[:.]/g, '-')])
      writeFileSync(join(folder, `${name}.json`), document);
    rmSync(join(folder, UNFINISHED), { force: true });
    write(`\n${toReportLines(results).join('\n')}\n`);
    for (const warning of toWarnings(results)) write(`Warning: ${warning}\n`);
    write(`${join(folder, 'latest.json')}\n`);
    if (options.json) printResult(document);
  } finally {
    await local.close();
  }
}

const program = new Command('bench')
  .description('Measures backfill, catch-up, latency, memory and CPU on servers of its own.')
  .option('--rows <count>', 'legacy quotes (or ROWS)', positive)
  .option('--changes <count>', 'changes to catch up with; as many as rows by default (or CHANGES)', positive)
  .option('--seconds <count>', 'how long single commits are measured (or SECONDS)', positive)
  .option(
    '--repeat <count>',
    'repetitions; by default 3, and 1 of latency, verification and peer (or REPEAT)',
    positive,
  )
  .option(
    '--only <steps>',
    `of ${stepNames.join(',')}; the load comes first in any case. growth, scale and queries are only run when named`,
    steps,
  )
  .option('--peer', 'Debezium, too, on the same servers (or PEER=1)')
  .option('--quick', 'a small run of about two minutes (or QUICK=1)')
  .option('--growth <counts>', 'sizes of the growth step, rows,rows,…', counts)
  .option('--huge', `adds ${HUGE} rows to the growth step`)
  .option('--one-customer <count>', 'quotes of one customer in the growth step', positive)
  .option('--json', 'the results as JSON on standard output, all else on standard error')
  .option(
    '--profile',
    'CPU profiles of connector and projector, and times of SQL statements: the figures are then too low',
  )
  .action(async (options: Options) => {
    try {
      await bench(options);
    } catch (thrown) {
      if (thrown instanceof Error && SIGNALS.some((signal) => signal === thrown.message)) {
        process.stderr.write('bench: stopped before it was done.\n');
        process.exitCode = 1;
        return;
      }
      const error = toCrosswalkError(thrown, 'bench');
      process.stderr.write(`bench: ${toErrorLine(error)}\n`);
      if (error.code === 'unexpected' && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
      process.exitCode = 2;
    }
  });

await program.parseAsync();
