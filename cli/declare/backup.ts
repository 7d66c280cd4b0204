import type { Command } from 'commander';
import type { RestoreOptions } from '../commands/backup-restore.ts';
import { json } from './options.ts';
import type { Run } from './run.ts';

/** Declares the backup commands. */
export function declareBackup(program: Command, run: Run): void {
  const backup = program
    .command('backup')
    .description('write definitions and rows to disk in one snapshot, and verify backups by restoring them');
  backup
    .command('create')
    .argument('<dir>', 'a folder that does not exist yet')
    .option(
      '--schema <names...>',
      'schemas of the new database, or `legacy` for the legacy tables (default: the new schema and crosswalk)',
    )
    .addOption(json)
    .description('write a backup')
    .action((dir: string, options: { schema?: string[]; json?: boolean }) =>
      run('backup create', async (context) => (await import('../commands/backup.ts')).create(context, dir, options)),
    );
  backup
    .command('verify')
    .argument('<dir>', 'a folder that `backup create` made')
    .option(
      '--into <url>',
      'address, without a password, of an empty database that keeps the restored data; use RESTORE_DATABASE_URL for an address with a password (default: a database that is created and dropped)',
    )
    .addOption(json)
    .description('restore it elsewhere and compare every table; exit code 1 on any difference')
    .action((dir: string, options: { into?: string; json?: boolean }) =>
      run('backup verify', async (context) => (await import('../commands/backup.ts')).verify(context, dir, options)),
    );
  backup
    .command('restore')
    .argument('<dir>', 'a folder that `backup create` made')
    .option('--replace', 'replace existing rows')
    .option('--yes-really <database>', 'name of the database whose rows are replaced; the second confirmation')
    .option('--dry-run', 'list what would be removed and restored; change nothing')
    .addOption(json)
    .description(
      'restore a backup into the target database, as TARGET_OWNER_URL, in one transaction; compares every table before the commit',
    )
    .action((dir: string, options: RestoreOptions) =>
      run('backup restore', async (context) =>
        (await import('../commands/backup-restore.ts')).restore(context, dir, options),
      ),
    );
}
