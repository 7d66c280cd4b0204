import { type Command, Option } from 'commander';
import type { RunOptions } from '../commands/migrate.ts';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

const lockTimeout = () =>
  new Option('--lock-timeout <ms>', 'how long a statement may wait for a lock, and block others, before it is retried')
    .argParser(positiveInteger)
    .default(2000);
const withoutBackup = () => new Option('--without-backup', 'drop data that no verified backup holds; needs --reason');
const whyWithout = () => new Option('--reason <text>', 'why no backup is needed; stored in the phase log');
const toPhase = () =>
  new Option(
    '--to <phase>',
    'the last phase: prepare, backup, schema, capture, load, verify or opt-in; or a name that the plan of the pipeline has for one',
  );

/** Declares the commands of the migration in phases. */
export function declareMigrate(program: Command, run: Run): void {
  const migrate = program
    .command('migrate')
    .description("migrate to the new schema, phase by phase, under the owners' addresses");
  migrate
    .command('run')
    .addOption(toPhase())
    .option('--yes', 'proceed without confirmation')
    .option('--dry-run', 'only print the SQL, like `migrate plan`')
    .option('--backup-dir <dir>', 'parent folder of backups, each in a new folder (default: .crosswalk/backups)')
    .option(
      '--restore-into <url>',
      'address, without a password, of an empty database to restore the backup into; use RESTORE_DATABASE_URL for an address with a password (default: a database that is created and dropped)',
    )
    .option('--timeout <seconds>', 'how long to wait for the initial load (default: until it is done)', positiveInteger)
    .addOption(lockTimeout())
    .addOption(withoutBackup())
    .addOption(whyWithout())
    .addOption(json)
    .description(
      'check, back up, create the schema, capture, load, verify: each phase with its checks, and a confirmation before it changes anything',
    )
    .action((options: RunOptions) =>
      run('migrate run', async (context) => (await import('../commands/migrate.ts')).run(context, options)),
    );
  migrate
    .command('plan')
    .addOption(toPhase())
    .addOption(new Option('--database <which>', 'only the SQL for one of the databases').choices(['target', 'legacy']))
    .addOption(lockTimeout())
    .addOption(json)
    .description('print the SQL that `migrate run` would run, as a script for psql')
    .action((options: RunOptions & { database?: 'target' | 'legacy' }) =>
      run('migrate plan', async (context) => (await import('../commands/migrate.ts')).plan(context, options)),
    );
  migrate
    .command('rollback')
    .argument('<phase>', 'load, capture, schema or opt-in')
    .option('--yes', 'roll back without confirmation')
    .option('--dry-run', 'only print the SQL')
    .addOption(lockTimeout())
    .addOption(withoutBackup())
    .addOption(whyWithout())
    .addOption(json)
    .description('roll back a phase, with checks before and after')
    .action((phase: string, options: RunOptions) =>
      run('migrate rollback', async (context) =>
        (await import('../commands/migrate.ts')).rollback(context, phase, options),
      ),
    );
  migrate
    .command('status')
    .addOption(json)
    .description('show the state of each phase, and which migrations are applied')
    .action((options: { json?: boolean }) =>
      run('migrate status', async (context) => (await import('../commands/migrate.ts')).status(context, options)),
    );
  migrate
    .command('up')
    .option('--dry-run', 'only print the SQL')
    .addOption(lockTimeout())
    .description(
      'without phases: create missing parts of the new schema, and publication and replica identity of the legacy tables',
    )
    .action((options: { dryRun?: boolean; lockTimeout: number }) =>
      run('migrate up', async (context) => (await import('../commands/migrate.ts')).up(context, options)),
    );
  migrate
    .command('down')
    .argument('<steps>', 'how many migrations of the new schema to undo', positiveInteger)
    .option('--yes', 'confirm: tables and their rows are dropped')
    .addOption(lockTimeout())
    .addOption(withoutBackup())
    .addOption(whyWithout())
    .description('without phases: undo migrations of the new schema, newest first')
    .action(
      (steps: number, options: { yes?: boolean; lockTimeout: number; withoutBackup?: boolean; reason?: string }) =>
        run('migrate down', async (context) => (await import('../commands/migrate.ts')).down(context, steps, options)),
    );
}
