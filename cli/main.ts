import { existsSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { Command as CommandType } from 'commander';
import type { CrosswalkError } from '../runtime/errors.ts';
import type { AssessCommandOptions } from './commands/assess.ts';
import type { IntrospectOptions } from './commands/introspect.ts';
import type { RunOptions } from './commands/migrate.ts';
import type { RebuildCommandOptions } from './commands/rebuild.ts';
import type { ResnapshotOptions } from './commands/resnapshot.ts';
import type { SnapshotOptions } from './commands/snapshot.ts';
import type { SetOptions } from './commands/stage.ts';
import type { VerifyCommandOptions } from './commands/verify.ts';
import type { CommandContext } from './context.ts';

// Older ones lack more than this, too: what is imported from here on would end with a line that nobody understands.
if (!process.features.typescript) {
  process.stderr.write(
    `crosswalk: Node.js ${process.version} does not run TypeScript as it is: install version 22.18, 24.3 or a newer one.\n`,
  );
  process.exit(2);
}

// What is compiled is kept for the next start, which takes a third of the time and of the memory for it. Only what is imported from here on: hence no import of the project's own above.
// Where nothing can be written, or this Node.js has no such cache, it is compiled each time.
nodeModule.enableCompileCache?.(join(import.meta.dirname, '../node_modules/.cache/crosswalk'));
const [
  { Command, InvalidArgumentError, Option },
  { parseConfig },
  { toCrosswalkError, toErrorLine },
  { switchOnFaults },
  { createLog },
  { parseDuration },
  { loadPipeline },
  { NOT_DONE },
  { readVersion },
] = await Promise.all([
  import('commander'),
  import('../runtime/config.ts'),
  import('../runtime/errors.ts'),
  import('../runtime/faults.ts'),
  import('../runtime/log.ts'),
  import('./duration.ts'),
  import('./load-pipeline.ts'),
  import('./exit-codes.ts'),
  import('./program.ts'),
]);

// The only reader of process.env, and the only setter of the exit code.

/** Addresses of a stack that `make up` keeps running stand in for what the environment does not name. */
function readEnvironment(): Record<string, string | undefined> {
  const file = process.env.CROSSWALK_ENV_FILE ?? '.crosswalk/env';
  return existsSync(file) ? { ...parseEnv(readFileSync(file, 'utf8')), ...process.env } : process.env;
}

/** What a container runs: it ends soon when told to. */
const ALWAYS_ON = new Set(['connect', 'project', 'verify --watch']);
/** They run until they are told to end. */
const ENDLESS = new Set([...ALWAYS_ON, 'up']);
const STOP_MS = 6000;

/** Runs a command with its context. Exit code 0, 1 where the command found something wrong or was stopped before it was done, 2 where it could not run. */
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
    const { config: given } = program.opts<{ config?: string }>();
    // Processes that a command starts work on the same pipeline.
    if (given !== undefined) process.env.CROSSWALK_CONFIG = resolve(given);
    const env = readEnvironment();
    // The pipeline at hand is no matter of `init`, which would write one.
    const pipeline = await (name === 'init'
      ? loadPipeline(undefined, import.meta.dirname)
      : loadPipeline(env.CROSSWALK_CONFIG));
    const config = parseConfig(env, pipeline);
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

const positiveInteger = (text: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a whole number above 0');
  return Number(text);
};
const json = new Option('--json', 'machine-readable output');

const program = new Command('crosswalk')
  .description('Streams legacy tables through Kafka into the new schema, and verifies every row.')
  .version(readVersion())
  .option(
    '--config <file>',
    'the pipeline, as its default export; crosswalk.config.ts or the one that comes with crosswalk',
  );

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

const lockTimeout = () =>
  new Option(
    '--lock-timeout <ms>',
    'how long a statement may wait for a lock, and make others wait, before it is tried again',
  )
    .argParser(positiveInteger)
    .default(2000);
const withoutBackup = () => new Option('--without-backup', 'drop what no verified backup holds; needs --reason');
const whyWithout = () => new Option('--reason <text>', 'why no backup is needed; kept in the log of phases');
const toPhase = () =>
  new Option('--to <phase>', 'the last phase: prepare, backup, schema, capture, load, verify or opt-in');

const migrate = program
  .command('migrate')
  .description("move to the new schema, phase by phase, under the owners' addresses");
migrate
  .command('run')
  .addOption(toPhase())
  .option('--yes', 'go on without asking')
  .option('--dry-run', 'print the SQL only, as `migrate plan` does')
  .option(
    '--backup-dir <dir>',
    'where backups are written, each into a new folder in it; .crosswalk/backups by default',
  )
  .option(
    '--restore-into <url>',
    'an empty database to restore the backup into, without a password: with one, RESTORE_DATABASE_URL; one is made and dropped by default',
  )
  .option('--timeout <seconds>', 'how long to wait for the initial load; until it is done by default', positiveInteger)
  .addOption(lockTimeout())
  .addOption(withoutBackup())
  .addOption(whyWithout())
  .addOption(json)
  .description(
    'check, back up, make the schema, capture, load, verify: each phase with its checks, and a question before it changes something',
  )
  .action((options: RunOptions) =>
    run('migrate run', async (context) => (await import('./commands/migrate.ts')).run(context, options)),
  );
migrate
  .command('plan')
  .addOption(toPhase())
  .addOption(new Option('--database <which>', 'the SQL for one of the databases').choices(['target', 'legacy']))
  .addOption(lockTimeout())
  .addOption(json)
  .description('the SQL that `migrate run` would run, as a script for psql')
  .action((options: RunOptions & { database?: 'target' | 'legacy' }) =>
    run('migrate plan', async (context) => (await import('./commands/migrate.ts')).plan(context, options)),
  );
migrate
  .command('rollback')
  .argument('<phase>', 'load, capture, schema or opt-in')
  .option('--yes', 'do it without asking')
  .option('--dry-run', 'print the SQL only')
  .addOption(lockTimeout())
  .addOption(withoutBackup())
  .addOption(whyWithout())
  .addOption(json)
  .description('take a phase back, with checks before and after')
  .action((phase: string, options: RunOptions) =>
    run('migrate rollback', async (context) =>
      (await import('./commands/migrate.ts')).rollback(context, phase, options),
    ),
  );
migrate
  .command('status')
  .addOption(json)
  .description('how each phase stands, and which migrations are applied')
  .action((options: { json?: boolean }) =>
    run('migrate status', async (context) => (await import('./commands/migrate.ts')).status(context, options)),
  );
migrate
  .command('up')
  .option('--dry-run', 'print the SQL only')
  .addOption(lockTimeout())
  .description(
    'without phases: create what is missing of the new schema, and publication and replica identity of the legacy tables',
  )
  .action((options: { dryRun?: boolean; lockTimeout: number }) =>
    run('migrate up', async (context) => (await import('./commands/migrate.ts')).up(context, options)),
  );
migrate
  .command('down')
  .argument('<steps>', 'how many migrations of the new schema to undo', positiveInteger)
  .option('--yes', 'do it: tables and their rows are dropped')
  .addOption(lockTimeout())
  .addOption(withoutBackup())
  .addOption(whyWithout())
  .description('without phases: undo migrations of the new schema, newest first')
  .action((steps: number, options: { yes?: boolean; lockTimeout: number; withoutBackup?: boolean; reason?: string }) =>
    run('migrate down', async (context) => (await import('./commands/migrate.ts')).down(context, steps, options)),
  );

const backup = program
  .command('backup')
  .description('definitions and rows on disk, in one snapshot, checked by restoring them');
backup
  .command('create')
  .argument('<dir>', 'a folder that does not exist yet')
  .option(
    '--schema <names...>',
    'schemas of the new database, or `legacy`: the legacy tables; the new schema and crosswalk by default',
  )
  .addOption(json)
  .description('write a backup')
  .action((dir: string, options: { schema?: string[]; json?: boolean }) =>
    run('backup create', async (context) => (await import('./commands/backup.ts')).create(context, dir, options)),
  );
backup
  .command('verify')
  .argument('<dir>', 'a folder that `backup create` made')
  .option(
    '--into <url>',
    'an empty database, which keeps what is restored, without a password: with one, RESTORE_DATABASE_URL; one is made and dropped by default',
  )
  .addOption(json)
  .description(
    'restore it elsewhere and compare every table; exit code 1 on any difference. Also the way to restore it in earnest',
  )
  .action((dir: string, options: { into?: string; json?: boolean }) =>
    run('backup verify', async (context) => (await import('./commands/backup.ts')).verify(context, dir, options)),
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
  .option('--workspace, --tenant <id>', 'only the rows of this tenant')
  .option('--max-rate <rows>', 'rows a second at most', positiveInteger)
  .option('--resume', 'go on with the last verification that was stopped')
  .option('--repair', 'have the legacy rows of what differs read again, and projected')
  .option('--yes', 'repair without asking')
  .addOption(
    new Option('--watch', 'verify again and again until SIGTERM, with /healthz and /metrics').conflicts([
      ...['repair', 'resume', 'oracle', 'json', 'limit', 'unmask'],
    ]),
  )
  .option('--rest <seconds>', 'between two passes of --watch', positiveInteger, 60)
  .addOption(
    new Option('--oracle <which>', 'compare with rows computed by SQL of its own, instead of the mapping: at rest only')
      .choices(['sql'])
      .conflicts(['repair', 'resume', 'tenant', 'maxRate']),
  )
  .addOption(json)
  .description('compare every row with what the legacy rows imply, under traffic too; exit code 1 on any difference')
  .action((options: VerifyCommandOptions) =>
    run(options.watch ? 'verify --watch' : 'verify', async (context) => {
      const commands = await import('./commands/verify.ts');
      if (options.watch) return commands.watch(context, options);
      return options.oracle === undefined ? commands.verify(context, options) : commands.askOracle(context, options);
    }),
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
  .command('tenants')
  .description('the pinned configuration of tenants')
  .command('pin')
  .option('--dry-run', 'print what would be pinned, and write nothing')
  .addOption(json)
  .description('pin what the legacy database itself says of tenants, such as their country: it counts after a rebuild')
  .action((options: { dryRun?: boolean; json?: boolean }) =>
    run('tenants pin', async (context) => (await import('./commands/tenants.ts')).pinTenants(context, options)),
  );
program
  .command('explain')
  .argument('<table>', 'a table of the new schema; with --legacy a legacy one')
  .argument('<key...>', "the row's id; with --legacy its key: one argument for each column, or a JSON array of them")
  .option('--legacy', 'a legacy row: everything that it became')
  .option('--unmask', 'print cell values')
  .option('--full', "every contributor's events, and whatever else takes long to find")
  .option('--since <time>', 'only changes committed since then, such as 2026-07-01T10:30:00Z: reads less of the log')
  .option('--limit <events>', 'events and rows to print', positiveInteger, 200)
  .addOption(json)
  .description('which legacy row and change made a row, its events in the log, and what each column came from')
  .action(
    (
      table: string,
      key: string[],
      options: {
        legacy?: boolean;
        unmask?: boolean;
        full?: boolean;
        since?: string;
        limit: number;
        json?: boolean;
      },
    ) =>
      run('explain', async (context) => (await import('./commands/explain.ts')).explain(context, table, key, options)),
  );
program
  .command('resnapshot')
  .argument('[tables...]', 'tables to read again; those that changed without an event by default')
  .option('--accept', 'read nothing: accept the source as it is, after a VACUUM FULL or CLUSTER')
  .addOption(
    new Option(
      '--skip',
      'the last resort: pass over every change that is committed and not in the log yet, and read all tables again',
    ).conflicts('accept'),
  )
  .option('--yes', 'skip without asking')
  .description(
    'after a change without events: accept the source as it is now, and have the connector read tables again',
  )
  .action((tables: string[], options: ResnapshotOptions) =>
    run('resnapshot', async (context) =>
      (await import('./commands/resnapshot.ts')).resnapshot(context, tables, options),
    ),
  );
const snapshot = program
  .command('snapshot')
  .argument('<table>', 'captured table')
  .option('--where <condition>', 'rows that fulfil a condition in SQL')
  .option('--key <key...>', 'rows by primary key: its text, or a JSON array of the texts of several columns')
  .option('--workspace, --tenant <id>', 'rows of a tenant')
  .option('--repair', 'write the rows again even where nothing seems changed; keys without a row are deleted')
  .option('--max-rate <rows>', 'rows per second at most; as the connector is set by default', positiveInteger)
  .option('--dry-run', 'count the rows only')
  .option('--detach', 'do not wait for the end')
  .option('--yes', 'do it without asking')
  .addOption(json)
  .description('have the connector read rows again, beside the stream; exit code 1 where it could not')
  .action((table: string, options: SnapshotOptions) =>
    run('snapshot', async (context) => (await import('./commands/snapshot.ts')).snapshot(context, table, options)),
  );
snapshot
  .command('list')
  .addOption(json)
  .description('snapshots that wait, run or are paused, and the last ones that are over')
  .action((_: object, command: CommandType) =>
    run('snapshot list', async (context) =>
      (await import('./commands/snapshot.ts')).list(context, command.optsWithGlobals()),
    ),
  );
snapshot
  .command('watch')
  .argument('<id>', 'as `snapshot list` prints it')
  .addOption(json)
  .description('wait until it is over; exit code 1 unless it is done')
  .action((id: string, _: object, command: CommandType) =>
    run('snapshot watch', async (context) =>
      (await import('./commands/snapshot.ts')).watch(context, id, command.optsWithGlobals()),
    ),
  );
for (const kind of ['pause', 'resume', 'cancel'] as const)
  snapshot
    .command(kind)
    .argument(
      '<id>',
      kind === 'cancel'
        ? 'as `snapshot list` prints it'
        : 'as `snapshot list` prints it, or `initial`: the initial load',
    )
    .addOption(json)
    .description(
      {
        pause: 'pause a snapshot',
        resume: 'resume a snapshot',
        cancel: 'cancel a snapshot; rows already read are kept',
      }[kind],
    )
    .action((id: string, _: object, command: CommandType) =>
      run(`snapshot ${kind}`, async (context) =>
        (await import('./commands/snapshot.ts')).control(context, kind, id, command.optsWithGlobals()),
      ),
    );
program
  .command('assess')
  .addOption(new Option('--full', 'run the mapping over every row').conflicts('sample'))
  .option('--sample <rows>', 'rows of each table to run the mapping over; 10,000 by default', positiveInteger)
  .option(
    '--rate <rows>',
    'legacy rows a second that a load was measured at; the documented rate by default',
    positiveInteger,
  )
  .option('--html <file>', 'write the report as a page, too')
  .addOption(json)
  .description('look at a legacy database before anything is set up, reading only; exit code 1 where it is blocked')
  .action((options: AssessCommandOptions) =>
    run('assess', async (context) => (await import('./commands/assess.ts')).assess(context, options)),
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
program
  .command('rebuild')
  .argument('<projections...>', 'names, or all')
  .option('--from <place>', 'beginning, offset:<n>, or a time: what came before is left alone', 'beginning')
  .option('--dry-run', 'tell what would change, and change nothing')
  .option('--yes', 'merge what differs without asking')
  .option('--resume', 'go on with one that was stopped')
  .option('--discard', 'drop one that was stopped')
  .option('--name <name>', 'of the shadow; that of the projections by default')
  .option('--max-rate <records>', 'at most so many a second', positiveInteger)
  .option('--limit <rows>', 'rows that differ to print, of each table', positiveInteger, 20)
  .option('--unmask', 'print the values that differ')
  .addOption(json)
  .description('replay the log into shadow tables, tell what differs from the live ones, and merge it; Ctrl-C pauses')
  .action((names: string[], options: RebuildCommandOptions) =>
    run('rebuild', async (context) => (await import('./commands/rebuild.ts')).rebuild(context, names, options)),
  );
const dlq = program.command('dlq').description('dead letters: changes that a projection could not apply');
const ofProjection = () => new Option('--projection <name>', 'of one projection');
const withReason = () => new Option('--reason <text>', 'whose reason contains this');
dlq
  .command('list')
  .addOption(ofProjection())
  .addOption(withReason())
  .option('--all', 'resolved ones too')
  .option('--limit <rows>', 'dead letters to print', positiveInteger, 50)
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
const duration = (text: string): number => {
  const seconds = parseDuration(text);
  if (seconds === null) throw new InvalidArgumentError('a number with s, m, h or d, such as 24h');
  return seconds;
};
const maxLag = () =>
  new Option('--max-lag-seconds <seconds>', 'lag that passes, now and in the last hour')
    .argParser(positiveInteger)
    .default(30);
const verifiedWithin = () =>
  new Option('--verified-within <duration>', 'how old a verification may be')
    .argParser(duration)
    .default(86_400, '24h');

const gate = program
  .command('gate')
  .enablePositionalOptions()
  .argument('<tenant>', 'id of a tenant, or all')
  .addOption(maxLag())
  .addOption(verifiedWithin())
  .addOption(json)
  .description('go or no-go for a tenant, from what is there now; stored with its evidence; exit code 1 on no-go')
  .action((tenant: string, options: { maxLagSeconds: number; verifiedWithin: number; json?: boolean }) =>
    run('gate', async (context) => (await import('./commands/gate.ts')).gate(context, tenant, options)),
  );
gate
  .command('confirm')
  .argument('<tenant>', 'id of a tenant, or all')
  .argument('<what>', 'backup: taken and restored once; rollback: the way back was tried')
  .requiredOption('--by <name>', 'who vouches for it')
  .requiredOption('--note <text>', 'where the backup is, what was tried')
  .addOption(new Option('--valid-for <duration>', 'how long it counts').argParser(duration).default(604_800, '7d'))
  .addOption(json)
  .description('vouch for a backup or the way back')
  .action((tenant: string, what: string, options: { by: string; note: string; validFor: number; json?: boolean }) =>
    run('gate confirm', async (context) =>
      (await import('./commands/gate.ts')).confirm(context, tenant, what, options),
    ),
  );
const stage = program.command('stage').description('how much of the new schema a tenant sees');
stage
  .command('get')
  .argument('[tenant]', 'id of a tenant; all of them by default')
  .option('--history', 'every entry of the log')
  .addOption(json)
  .description('the stage, since when, by whom and why')
  .action((tenant: string | undefined, options: { history?: boolean; json?: boolean }) =>
    run('stage get', async (context) => (await import('./commands/stage.ts')).get(context, tenant, options)),
  );
stage
  .command('set')
  .argument('<tenant>', 'id of a tenant, or all')
  .argument('<stage>', '0 to 4')
  .requiredOption('--by <name>', 'who does it')
  .option('--reason <text>', 'why; kept with it')
  .option('--force', 'raise it although the gate does not pass; needs --reason')
  .option('--dry-run', 'tell what would happen')
  .addOption(maxLag())
  .addOption(verifiedWithin())
  .addOption(json)
  .description('raise a stage behind a passed gate, or lower it at once; exit code 1 where it is refused')
  .action((tenant: string, level: string, options: SetOptions) =>
    run('stage set', async (context) => (await import('./commands/stage.ts')).set(context, tenant, level, options)),
  );
program
  .command('init')
  .argument('[folder]', 'where to', '.')
  .addOption(json)
  .description('write the first files of a repository with a pipeline of your own; never over a file that is there')
  .action((folder: string, options: { json?: boolean }) =>
    run('init', async () => (await import('./commands/init.ts')).init(folder, options)),
  );
program
  .command('introspect')
  .argument('[tables...]', 'legacy tables; all of the schema by default')
  .requiredOption('--out <folder>', 'the folder of your pipeline')
  .option('--schema <name>', 'schema of the legacy tables', 'public')
  .option('--target-schema <name>', 'schema of the new tables; that of the pipeline, or app where there is none yet')
  .option('--tenant <column>', 'legacy column that names whose a row is', 'tenant_id')
  .option('--dry-run', 'write nothing')
  .addOption(json)
  .description(
    'write types, projections and migrations for tables of the legacy database; never over a file that is there',
  )
  .action((tables: string[], options: IntrospectOptions) =>
    run('introspect', async (context) =>
      (await import('./commands/introspect.ts')).introspectTables(context, tables, options),
    ),
  );
program
  .command('up')
  .option('--rows <count>', 'size of the sample, where SAMPLE=1 asks for it', positiveInteger, 20_000)
  .description('start a stack with connector and projectors and keep it running until Ctrl-C')
  .action((options: { rows: number }) =>
    run('up', async (context) => (await import('./commands/up.ts')).up(context, options)),
  );
program
  .command('demo')
  .option('--rows <count>', 'size of the sample', positiveInteger, 5000)
  .option('--seconds <count>', 'how long live traffic runs', positiveInteger, 10)
  .description('load a sample legacy database, watch it arrive, run live traffic, verify every row')
  .action((options: { rows: number; seconds: number }) =>
    run('demo', async (context) => (await import('./commands/demo.ts')).demo(context, options)),
  );

await program.parseAsync();
