import type { Command } from 'commander';
import { json } from './options.ts';
import type { Run } from './run.ts';

/** Declares backups. */
export function declareBackup(program: Command, run: Run): void {
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
      run('backup create', async (context) => (await import('../commands/backup.ts')).create(context, dir, options)),
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
      run('backup verify', async (context) => (await import('../commands/backup.ts')).verify(context, dir, options)),
    );
}
