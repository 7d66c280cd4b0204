import { existsSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { CrosswalkError } from '../runtime/errors.ts';
import type { CommandContext } from './context.ts';

// Older versions lack more than this: the imports below would fail with an incomprehensible message.
if (!process.features.typescript) {
  process.stderr.write(
    `crosswalk: Node.js ${process.version} does not run TypeScript as it is: install version 22.18, 24.3 or a newer one.\n`,
  );
  process.exit(2);
}

// Caches compiled code for the next start, which then takes a third of the time and memory. It covers only imports from here on, so the project's own imports come below.
// Without a writable folder, or if this Node.js has no such cache, the code is compiled each time.
nodeModule.enableCompileCache?.(join(import.meta.dirname, '../node_modules/.cache/crosswalk'));
const [
  { Command },
  { parseConfig },
  { toCrosswalkError, toErrorLine },
  { switchOnFaults },
  { createLog },
  { loadPipeline },
  { NOT_DONE },
  { readVersion },
  { declareFlow },
  { declareState },
  { declareMigrate },
  { declareBackup },
  { declareRows },
  { declareSnapshots },
  { declareDeadLetters },
  { declareStages },
  { declareBegin },
  { declareLocal },
  { declareSeed },
  { declareSmoke },
] = await Promise.all([
  import('commander'),
  import('../runtime/config.ts'),
  import('../runtime/errors.ts'),
  import('../runtime/faults.ts'),
  import('../runtime/log.ts'),
  import('./load-pipeline.ts'),
  import('./exit-codes.ts'),
  import('./program.ts'),
  import('./declare/flow.ts'),
  import('./declare/state.ts'),
  import('./declare/migrate.ts'),
  import('./declare/backup.ts'),
  import('./declare/rows.ts'),
  import('./declare/snapshots.ts'),
  import('./declare/dead-letters.ts'),
  import('./declare/stages.ts'),
  import('./declare/begin.ts'),
  import('./declare/local.ts'),
  import('./declare/seed.ts'),
  import('./declare/smoke.ts'),
]);

// Only this file reads process.env and sets the exit code.

/** Addresses of a stack that `make up` keeps running apply where the environment sets none. */
function readEnvironment(): Record<string, string | undefined> {
  const file = process.env.CROSSWALK_ENV_FILE ?? '.crosswalk/env';
  return existsSync(file) ? { ...parseEnv(readFileSync(file, 'utf8')), ...process.env } : process.env;
}

/** Commands that containers run. On a signal they must end soon. */
const ALWAYS_ON = new Set(['connect', 'project', 'verify --watch']);
/** Commands that run until they are stopped. */
const ENDLESS = new Set([...ALWAYS_ON, 'up']);
const STOP_MS = 6000;

/** Runs a command with its context. Exit code 0; 1 if the command found a problem or was stopped before it was done; 2 if it could not run. */
async function run(name: string, work: (context: CommandContext) => Promise<boolean>): Promise<void> {
  const stopping = new AbortController();
  // The first signal finishes the current work, the second one ends the process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(130);
      stopping.abort(new Error(signal));
      // The current work may hang on a silent server. It is uncommitted, so leaving loses nothing.
      if (ALWAYS_ON.has(name)) setTimeout(() => process.exit(0), STOP_MS).unref();
    });
  }
  try {
    const { config: given } = program.opts<{ config?: string }>();
    // Child processes of a command use the same pipeline.
    if (given !== undefined) process.env.CROSSWALK_CONFIG = resolve(given);
    const env = readEnvironment();
    // `init` writes a pipeline and does not use the current one.
    const pipeline = await (name === 'init'
      ? loadPipeline(undefined, import.meta.dirname)
      : loadPipeline(env.CROSSWALK_CONFIG));
    const config = parseConfig(env, pipeline);
    const log = createLog(config.logLevel, { command: name });
    process.on('unhandledRejection', (reason) => {
      // The Kafka client keeps requests that their caller has abandoned, and rejects them when their connection closes.
      if (!(reason instanceof Error) || !reason.name.startsWith('KafkaJS')) throw reason;
      log.debug({ err: reason }, 'a request that nobody waits for any more');
    });
    switchOnFaults(config.faults, (fault) => log.warn({ fault }, 'fault injected'));
    const isTerminal = process.stdout.isTTY === true && env.CI === undefined;
    const giveUp = (error: CrosswalkError) => {
      process.stderr.write(`crosswalk ${name}: ${toErrorLine(error)}\n`);
      process.exit(error.exitCode);
    };
    const context = { pipeline, config, env, ownEnv: process.env, log, giveUp, signal: stopping.signal, isTerminal };
    process.exitCode = (await work(context)) ? 0 : NOT_DONE;
  } catch (thrown) {
    if (stopping.signal.aborted) {
      if (ENDLESS.has(name)) return;
      process.stderr.write(`crosswalk ${name}: stopped before it was done.\n`);
      process.exitCode = NOT_DONE;
      return;
    }
    const error = toCrosswalkError(thrown, `crosswalk ${name}`);
    process.stderr.write(`crosswalk ${name}: ${toErrorLine(error)}\n`);
    if (error.code === 'unexpected' && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
    process.exitCode = error.exitCode;
  }
}

const program = new Command('crosswalk')
  .description('Streams legacy tables through Kafka into the new schema, and verifies every row.')
  .version(readVersion())
  .option(
    '--config <file>',
    'file whose default export is the pipeline (default: crosswalk.config.ts, or the pipeline shipped with crosswalk)',
  );

for (const declare of [
  declareFlow,
  declareState,
  declareMigrate,
  declareBackup,
  declareRows,
  declareSnapshots,
  declareDeadLetters,
  declareStages,
  declareBegin,
  declareLocal,
  declareSeed,
  declareSmoke,
])
  declare(program, run);

await program.parseAsync();
