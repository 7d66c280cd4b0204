import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseConfig } from '../runtime/config.ts';
import { type CrosswalkError, toCrosswalkError, toErrorLine } from '../runtime/errors.ts';
import { switchOnFaults } from '../runtime/faults.ts';
import { createLog } from '../runtime/log.ts';
import type { CommandContext } from './context.ts';
import { COULD_NOT_RUN, STALLED } from './exit-codes.ts';

// The only reader of process.env, and the only setter of the exit code.

/** Addresses of a stack that `make up` keeps running stand in for what the environment does not name. */
function readEnvironment(): Record<string, string | undefined> {
  const file = process.env.CROSSWALK_ENV_FILE ?? '.crosswalk/env';
  return existsSync(file) ? { ...parseEnv(readFileSync(file, 'utf8')), ...process.env } : process.env;
}

/** What a container runs: it ends soon when told to. */
const ALWAYS_ON = new Set(['connect', 'project']);
const STOP_MS = 8000;

/** Runs a command with its context. Exit code 0, 1 where the command found something wrong, 2 where it could not run. */
async function run(name: string, work: (context: CommandContext) => Promise<boolean>): Promise<void> {
  const stopping = new AbortController();
  // The first signal finishes the work at hand, the second one ends the process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(130);
      stopping.abort(new Error(signal));
      // What is at hand may hang on a server that is silent. Nothing is lost by leaving it: it was not committed.
      if (ALWAYS_ON.has(name)) setTimeout(() => process.exit(0), STOP_MS).unref();
    });
  }
  try {
    const env = readEnvironment();
    const config = parseConfig(env);
    const log = createLog(config.logLevel, { command: name });
    process.on('unhandledRejection', (reason) => {
      // The Kafka client leaves requests behind whose caller has given up, and rejects them when their connection closes.
      if (!(reason instanceof Error) || !reason.name.startsWith('KafkaJS')) throw reason;
      log.debug({ err: reason }, 'a request that nobody waits for any more');
    });
    switchOnFaults(config.faults, (fault) => log.warn({ fault }, 'fault injected'));
    const isTerminal = process.stdout.isTTY === true && env.CI === undefined;
    const giveUp = (error: CrosswalkError) => {
      process.stderr.write(`crosswalk ${name}: ${toErrorLine(error)}\n`);
      process.exit(STALLED);
    };
    const context = { config, env, ownEnv: process.env, log, giveUp, signal: stopping.signal, isTerminal };
    process.exitCode = (await work(context)) ? 0 : 1;
  } catch (thrown) {
    if (stopping.signal.aborted) return;
    const error = toCrosswalkError(thrown, `crosswalk ${name}`);
    process.stderr.write(`crosswalk ${name}: ${toErrorLine(error)}\n`);
    if (error.code === 'unexpected' && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
    process.exitCode = COULD_NOT_RUN;
  }
}

const positiveInteger = (text: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a whole number above 0');
  return Number(text);
};
const json = new Option('--json', 'machine-readable output');

const program = new Command('crosswalk')
  .description('Streams legacy tables through Kafka into the new schema, and verifies every row.')
  .version('0.1.0');

program
  .command('connect')
  .description('run one connector: legacy PostgreSQL to Kafka')
  .action(() => run('connect', async (context) => (await import('./commands/connect.ts')).connect(context)));
program
  .command('project')
  .argument('[projections...]', 'names; all of them by default')
  .description('run one projector process: Kafka to the new schema')
  .action((names: string[]) =>
    run('project', async (context) => (await import('./commands/project.ts')).project(context, names)),
  );

const migrate = program.command('migrate').description("prepare both databases, under an owner's addresses");
migrate
  .command('up')
  .option('--dry-run', 'print the SQL only')
  .description('create what is missing: the new schema, and publication and replica identity of the legacy tables')
  .action((options: { dryRun?: boolean }) =>
    run('migrate up', async (context) => (await import('./commands/migrate.ts')).up(context, options)),
  );
migrate
  .command('down')
  .argument('<steps>', 'how many migrations of the new schema to undo', positiveInteger)
  .option('--yes', 'do it: tables and their rows are dropped')
  .description('undo migrations of the new schema, newest first')
  .action((steps: number, options: { yes?: boolean }) =>
    run('migrate down', async (context) => (await import('./commands/migrate.ts')).down(context, steps, options)),
  );
migrate
  .command('status')
  .addOption(json)
  .description('which migrations are applied')
  .action((options: { json?: boolean }) =>
    run('migrate status', async (context) => (await import('./commands/migrate.ts')).status(context, options)),
  );
migrate
  .command('plan')
  .description('the SQL that `migrate up` would run')
  .action(() =>
    run('migrate plan', async (context) => (await import('./commands/migrate.ts')).up(context, { dryRun: true })),
  );

program
  .command('wait')
  .option('--lsn <lsn>', 'position of the legacy database; what it has committed by now, if left out')
  .option('--timeout <seconds>', 'give up after', positiveInteger, 600)
  .addOption(json)
  .description('wait until everything up to a position is applied')
  .action((options: { lsn?: string; timeout: number; json?: boolean }) =>
    run('wait', async (context) => (await import('./commands/wait.ts')).wait(context, options)),
  );
program
  .command('verify')
  .option('--limit <rows>', 'differences to print', positiveInteger, 20)
  .option('--unmask', 'print the values that differ')
  .addOption(json)
  .description('recompute every row from the legacy tables and compare; exit code 1 on any difference')
  .action((options: { limit: number; unmask?: boolean; json?: boolean }) =>
    run('verify', async (context) => (await import('./commands/verify.ts')).verify(context, options)),
  );
program
  .command('rejects')
  .option('--limit <rows>', 'rows to print', positiveInteger, 50)
  .option('--unmask', 'print the legacy values')
  .addOption(json)
  .description('legacy values that have no valid form in the new schema')
  .action((options: { limit: number; unmask?: boolean; json?: boolean }) =>
    run('rejects', async (context) => (await import('./commands/rejects.ts')).rejects(context, options)),
  );
program
  .command('resnapshot')
  .argument('[tables...]', 'tables to read again; those that changed without an event by default')
  .option('--accept', 'read nothing: accept the source as it is, after a VACUUM FULL or CLUSTER')
  .description(
    'after a change without events: accept the source as it is now, and have the connector read tables again',
  )
  .action((tables: string[], options: { accept?: boolean }) =>
    run('resnapshot', async (context) =>
      (await import('./commands/resnapshot.ts')).resnapshot(context, tables, options),
    ),
  );
program
  .command('doctor')
  .addOption(json)
  .description(
    'check everything that the pipeline needs, each finding with its remedy; exit code 1 where something fails',
  )
  .action((options: { json?: boolean }) =>
    run('doctor', async (context) => (await import('./commands/doctor.ts')).doctor(context, options)),
  );
const dlq = program.command('dlq').description('dead letters: changes that a projection could not apply');
const ofProjection = () => new Option('--projection <name>', 'of one projection');
const withReason = () => new Option('--reason <text>', 'whose reason contains this');
dlq
  .command('list')
  .addOption(ofProjection())
  .addOption(withReason())
  .option('--all', 'resolved ones too')
  .option('--limit <rows>', 'letters to print', positiveInteger, 50)
  .addOption(json)
  .description('what failed, why and where; also rows that are too large for the log')
  .action((options: { projection?: string; reason?: string; all?: boolean; limit: number; json?: boolean }) =>
    run('dlq list', async (context) => (await import('./commands/dlq.ts')).list(context, options)),
  );
dlq
  .command('show')
  .argument('<id...>', 'an id as `dlq list` prints it, or a projection and topic/partition@offset')
  .option('--values', 'print the cell values')
  .addOption(json)
  .description('one dead letter')
  .action((ids: string[], options: { values?: boolean; json?: boolean }) =>
    run('dlq show', async (context) => (await import('./commands/dlq.ts')).show(context, ids, options)),
  );
dlq
  .command('redrive')
  .argument('[ids...]', 'as `dlq list` prints them')
  .addOption(ofProjection())
  .addOption(withReason())
  .option('--all', 'every open one')
  .option('--dry-run', 'do it, tell, and undo it')
  .addOption(json)
  .description('apply again what failed, once its cause is gone; exit code 1 where some stay')
  .action((ids: string[], options: { projection?: string; reason?: string; all?: boolean; dryRun?: boolean }) =>
    run('dlq redrive', async (context) => (await import('./commands/dlq.ts')).redrive(context, ids, options)),
  );
dlq
  .command('discard')
  .argument('[ids...]', 'as `dlq list` prints them')
  .addOption(ofProjection())
  .option('--matching <text>', 'whose reason contains this')
  .option('--all', 'every open one')
  .requiredOption('--reason <why>', 'why these changes may be left out for good; kept with them')
  .option('--dry-run', 'tell what would be discarded')
  .option('--yes', 'do it without asking')
  .addOption(json)
  .description('settle dead letters without applying them')
  .action(
    (
      ids: string[],
      options: {
        projection?: string;
        matching?: string;
        all?: boolean;
        reason: string;
        dryRun?: boolean;
        yes?: boolean;
        json?: boolean;
      },
    ) => run('dlq discard', async (context) => (await import('./commands/dlq.ts')).discard(context, ids, options)),
  );
program
  .command('status')
  .addOption(json)
  .description('the pipeline at a glance; exit code 1 unless healthy')
  .action((options: { json?: boolean }) =>
    run('status', async (context) => (await import('./commands/status.ts')).status(context, options)),
  );
program
  .command('lag')
  .addOption(json)
  .description('how far behind, by topic and partition; exit code 1 when failing')
  .action((options: { json?: boolean }) =>
    run('lag', async (context) => (await import('./commands/lag.ts')).lag(context, options)),
  );
program
  .command('up')
  .description('start a stack with connector and projectors and keep it running until Ctrl-C')
  .action(() => run('up', async (context) => (await import('./commands/up.ts')).up(context)));
program
  .command('demo')
  .option('--rows <count>', 'legacy contacts and quotes each', positiveInteger, 20_000)
  .option('--seconds <count>', 'how long live traffic runs', positiveInteger, 20)
  .description('load a sample legacy database, watch it arrive, run live traffic, verify every row')
  .action((options: { rows: number; seconds: number }) =>
    run('demo', async (context) => (await import('./commands/demo.ts')).demo(context, options)),
  );

await program.parseAsync();
