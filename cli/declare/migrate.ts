import { type Command, Option } from 'commander';
import type { RunOptions } from '../commands/migrate.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

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
  new Option(
    '--to <phase>',
    'the last phase: prepare, backup, schema, capture, load, verify or opt-in; or a name that the plan of the pipeline has for one',
  );

/** Declares the migration in phases. */
export function declareMigrate(program: Command, run: Run): void {
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
    .option(
      '--timeout <seconds>',
      'how long to wait for the initial load; until it is done by default',
      positiveInteger,
    )
    .addOption(lockTimeout())
    .addOption(withoutBackup())
    .addOption(whyWithout())
    .addOption(json)
    .description(
      'check, back up, make the schema, capture, load, verify: each phase with its checks, and a question before it changes something',
    )
    .action((options: RunOptions) =>
      run('migrate run', async (context) => (await import('../commands/migrate.ts')).run(context, options)),
    );
  migrate
    .command('plan')
    .addOption(toPhase())
    .addOption(new Option('--database <which>', 'the SQL for one of the databases').choices(['target', 'legacy']))
    .addOption(lockTimeout())
    .addOption(json)
    .description('the SQL that `migrate run` would run, as a script for psql')
    .action((options: RunOptions & { database?: 'target' | 'legacy' }) =>
      run('migrate plan', async (context) => (await import('../commands/migrate.ts')).plan(context, options)),
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
        (await import('../commands/migrate.ts')).rollback(context, phase, options),
      ),
    );
  migrate
    .command('status')
    .addOption(json)
    .description('how each phase stands, and which migrations are applied')
    .action((options: { json?: boolean }) =>
      run('migrate status', async (context) => (await import('../commands/migrate.ts')).status(context, options)),
    );
  migrate
    .command('up')
    .option('--dry-run', 'print the SQL only')
    .addOption(lockTimeout())
    .description(
      'without phases: create what is missing of the new schema, and publication and replica identity of the legacy tables',
    )
    .action((options: { dryRun?: boolean; lockTimeout: number }) =>
      run('migrate up', async (context) => (await import('../commands/migrate.ts')).up(context, options)),
    );
  migrate
    .command('down')
    .argument('<steps>', 'how many migrations of the new schema to undo', positiveInteger)
    .option('--yes', 'do it: tables and their rows are dropped')
    .addOption(lockTimeout())
    .addOption(withoutBackup())
    .addOption(whyWithout())
    .description('without phases: undo migrations of the new schema, newest first')
    .action(
      (steps: number, options: { yes?: boolean; lockTimeout: number; withoutBackup?: boolean; reason?: string }) =>
        run('migrate down', async (context) => (await import('../commands/migrate.ts')).down(context, steps, options)),
    );
}
