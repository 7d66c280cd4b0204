// Measures crosswalk on servers of its own: see README.md beside this file.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { openLocalStack } from '../cli/local-stack.ts';
import { parseConfig } from '../runtime/config.ts';
import { toCrosswalkError, toErrorLine } from '../runtime/errors.ts';
import { createLog } from '../runtime/log.ts';
import { readMachine } from './machine.ts';
import { runSteps, type StepName, stepNames } from './run-steps.ts';
import { toReportLines, toWarnings } from './table.ts';

const DIR = '.crosswalk/bench';
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
const fromEnv = (name: string, fallback: number) => {
  try {
    return positive(process.env[name] || String(fallback));
  } catch {
    throw new InvalidArgumentError(`${name} must be a whole number above 0`);
  }
};

interface Options {
  readonly rows: number;
  readonly changes?: number;
  readonly seconds: number;
  readonly only: StepName[];
  readonly json?: boolean;
  readonly profile?: boolean;
}

async function bench(options: Options): Promise<void> {
  const machine = readMachine();
  const sizes = {
    rows: options.rows,
    changes: options.changes ?? fromEnv('CHANGES', options.rows),
    seconds: options.seconds,
  };
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
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
    { config: parseConfig(env), env, ownEnv: env, log, signal: stopping.signal, isTerminal, giveUp: () => undefined },
    { dir: `${DIR}/stack`, keepData: false, isEmpty: () => undefined },
  );
  try {
    const results = await runSteps({
      ...{ local, env, log, machine, sizes, isTerminal, write },
      steps: new Set(options.only),
      signal: stopping.signal,
      stackDir: join(process.cwd(), DIR, 'stack'),
      profileDir: options.profile ? join(process.cwd(), DIR, 'profiles') : null,
    });
    const folder = join(DIR, 'results');
    mkdirSync(folder, { recursive: true });
    const document = `${JSON.stringify(results, null, 2)}\n`;
    for (const name of ['latest', results.at.replace(/[:.]/g, '-')])
      writeFileSync(join(folder, `${name}.json`), document);
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
  .option('--only <steps>', `of ${stepNames.join(',')}; the load comes first in any case`, steps, [...stepNames])
  .option('--json', 'the results as JSON on standard output, all else on standard error')
  .option(
    '--profile',
    'CPU profiles of connector and projector, and times of SQL statements: the figures are then too low',
  )
  .action(async (options: Partial<Options>) => {
    try {
      await bench({
        ...options,
        only: options.only!,
        rows: options.rows ?? fromEnv('ROWS', 100_000),
        seconds: options.seconds ?? fromEnv('SECONDS', 30),
      });
    } catch (thrown) {
      const error = toCrosswalkError(thrown, 'bench');
      process.stderr.write(`bench: ${toErrorLine(error)}\n`);
      if (error.code === 'unexpected' && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
      process.exitCode = 2;
    }
  });

await program.parseAsync();
