import { stops } from './policy.ts';

/** Codes of the new schema, its migrations, and of backups. */
export const targetCodes = {
  schema_missing: stops(
    'The new schema, or a table or column of it, is missing.',
    'Run `crosswalk migrate up` with TARGET_OWNER_URL.',
    {
      projector:
        'Run `crosswalk migrate up` with TARGET_OWNER_URL; where that was done, make the login of TARGET_DATABASE_URL a member of crosswalk_projector.',
      unseen:
        'Run `crosswalk migrate up` with an owner\'s address (TARGET_OWNER_URL); where that was done, this user has no right to see it: docs/operations.md, "Rights", lists what each role needs.',
    },
  ),
  migration_failed: stops(
    'A migration failed, or is not the one that was applied.',
    'Do what it says, and run this again: what was done before it stays.',
    {
      concurrent_step: 'Write it so, in lower-case names, and close it with a semicolon.',
      later_version: 'Run the version of crosswalk that applied it, or a later one.',
      changed: 'Never change an applied migration: put the change into a new one.',
      invalid_index: 'Run this again: it is dropped and built anew.',
      depended_on: 'Drop what depends on it, or move it elsewhere, and run this again.',
    },
  ),
  locked: stops(
    'A lock was held by another session for too long.',
    'Let that session finish or end it (SELECT pg_terminate_backend(pid)), and run this again: what was done stays, and it goes on there.',
    {
      merge: 'Look who holds it (`SELECT * FROM pg_stat_activity`), then go on with --resume: nothing was changed.',
      workers: 'Stop the projectors and whatever else of crosswalk is at work there, then run this again.',
      backup: 'Take the backup while nobody does: nothing is left of this one.',
    },
  ),
  backup_invalid: stops('A backup is damaged, or cannot be written or read.', 'Take a new one.', {
    folder_not_empty:
      'Name a folder that does not exist yet, or an empty one: a backup is never written over something.',
    folder_of_backup: 'Name another folder, such as the one above.',
    folder_unwritable: 'Name a folder that can be written, with room for it.',
    no_backup: 'Name the folder that `crosswalk backup create` made.',
    damaged: 'This backup is no longer what was written: take another one.',
    no_schema: 'Name schemas that it has; `legacy` stands for that of the legacy tables.',
    migrating: 'Take the backup while no migration runs.',
    miscounted: 'Take the backup again; if it stays so, report it.',
    circle: "Put a pg_dump of the server's version on the PATH: it can break circles.",
    pg_dump_missing: "Put a pg_dump of the server's version on the PATH.",
    pg_dump_failed: 'Look at what it says, or take it off the PATH: then the definitions are read from the catalog.',
    other_schemas: 'Name the other schema too: --schema … --schema …',
    same_database: 'Name another one, which is empty, in RESTORE_DATABASE_URL.',
    database_not_empty: 'Name an empty database: CREATE DATABASE restored TEMPLATE template0;',
    older_server: 'Restore it into the same version, or a later one.',
    encoding: ({ encoding }: { encoding: string }) =>
      `CREATE DATABASE restored TEMPLATE template0 ENCODING '${encoding}';`,
    unmarked_database: 'Drop it, or name an empty database to restore into.',
    not_whole:
      'Rows and positions of projectors belong together: name a backup of the whole new schema, made without --schema.',
    would_be_lost: 'Nothing was changed. Drop it first, and make it again afterwards.',
    not_restored: 'Nothing was changed.',
    half_restored: 'The database it was restored into is left as it is; drop it.',
  }),
  backup_missing: stops(
    'Something would be lost that no verified backup holds.',
    'Run `crosswalk backup create <dir>` and `crosswalk backup verify <dir>`, and this again; or say --without-backup --reason "why".',
    {
      moved:
        'Bring the folder back to where it was; or run `crosswalk backup create <dir>` and `crosswalk backup verify <dir>`, and this again; or say --without-backup --reason "why".',
    },
  ),
};
