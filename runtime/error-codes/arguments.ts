/** Next steps where an argument of a command is wrong, or does not go with what there is. */
export const ofArguments = {
  argument: ({ argument, as }: { argument: string; as: string }) => `Give ${argument} as ${as}.`,
  argument_missing: ({ argument }: { argument: string }) => `Give ${argument}.`,
  argument_excess: ({ argument }: { argument: string }) => `Leave ${argument} out.`,
  unknown_name: ({ known }: { known: string }) => `Name one of ${known}.`,
  unconfirmed: ({ consequence }: { consequence: string }) => `Give --yes to ${consequence}, or --dry-run to look only.`,
  down_unconfirmed:
    'Say --yes to do it. The log stays, and projected rows can be projected again; those of the application cannot.',
  down_unexplained: 'Say --without-backup --reason "why nothing is lost"; it is kept in crosswalk.phase_log.',
  password_shown: 'Give the whole address in the environment instead: RESTORE_DATABASE_URL.',
  // Explaining rows
  not_legacy: ({ tables }: { tables: string }) =>
    `There are ${tables}; for a row of the new schema leave --legacy out.`,
  not_projected: ({ tables }: { tables: string }) =>
    `There are ${tables}; for a legacy row: crosswalk explain --legacy.`,
  id_type: ({ type }: { type: string }) => `Its ids are of type ${type}.`,
  id_of_several: 'For a legacy key of several columns give --legacy.',
  key: 'Give the key as PostgreSQL prints it, one argument for each column in key order, or a JSON array of them.',
  // Snapshots
  snapshot: 'See docs/operations.md, "Ad-hoc snapshots".',
  snapshot_rows: 'Correct it: docs/operations.md, "Ad-hoc snapshots".',
  snapshot_unread: 'Correct the condition or the keys.',
  snapshot_key: ({ columns }: { columns: string }) =>
    `Give the texts of ${columns} as a JSON array, such as '["1","2"]'.`,
  several_selections: 'Give one.',
  initial_load:
    'Pause it: `crosswalk snapshot pause initial`. Tables that are not wanted are left out of CROSSWALK_TABLES.',
  // Rebuilds
  rebuild_running: 'Wait until it has ended, or choose another --name.',
  rebuild_exists: 'Go on with it (--resume), drop it (--discard), or choose another --name.',
  rebuild_unknown: 'Begin one without --resume.',
  rebuild_gone: 'Nothing is left to be dropped.',
  rebuild_other:
    'Go on with the program and the projections that it was begun with, or drop it (--discard) and begin anew.',
  rebuild_together: ({ projections }: { projections: string }) =>
    `Rebuild them together: crosswalk rebuild ${projections}.`,
  rebuild_before_start: 'Start it once: a rebuild goes as far as the live projector is.',
  // Verification, dead letters and stages
  verify_new: 'Start a new one: without --resume.',
  letter_id: 'Copy one from `crosswalk dlq list`: projection:topic/partition@offset.',
  letter_unknown: 'Copy an id from `crosswalk dlq list --all`.',
  letters_unnamed: 'Give ids, --projection, --reason, or --all alone; `crosswalk dlq list` shows what there is.',
  letter_reason: 'Say why these changes may be left out for good.',
  stage: ({ stages }: { stages: string }) => `Stages are ${stages}.`,
  stage_reason: 'Say why it is raised although the gate does not pass; it is kept.',
  gate_limits:
    'Mend what makes it necessary; or raise the stage with `stage set --force --reason TEXT`, which is kept.',
  gate_entry: 'It is kept with the entry: fill it in.',
  // Phases, backups and the demo
  phase_unreturnable: 'Name another phase.',
  backup_scope: 'Take one of `--schema legacy`, and another one of the new schema.',
  restore_unconfirmed: ({ database }: { database: string }) =>
    `Say it twice: --replace --yes-really ${database}. Take a backup of what is there first: \`crosswalk backup create\`.`,
  restore_elsewhere: 'Name the database whose rows are to be replaced, or correct the address.',
  not_for_developers: 'Say --development where it is one.',
  no_development_data: 'Give its definition `developmentData`, or add rows through the application.',
  smoke_tenant: ({ mark }: { mark: string }) => `Give the id that the test printed: it begins with ${mark}.`,
  no_smoke_test: 'Give its definition one, in `smoke`: docs/cutover.md, "A smoke test".',
  no_sql_checks: 'Name a file in sqlChecks of its definition: docs/verification.md, "For psql".',
  demo_not_empty: 'Give it an empty one, or none: then it starts its own. For your own data use `make up`.',
  // Files that a command writes
  page_unwritable: 'Name a file in a folder that exists, and that may be written to, in --html.',
  file_exists: 'Move what is there away, or choose another folder.',
  folder_unwritable: 'Choose a folder in which files can be made.',
  file_unfit: 'Correct it, or choose another folder.',
  numbers_full: 'Name fewer tables, or choose another folder.',
  // The HTTP server
  port_privileged: 'Choose one above 1023 in CROSSWALK_HTTP_PORT.',
  host_foreign: 'Correct CROSSWALK_HTTP_HOST: 127.0.0.1 for this machine alone, 0.0.0.0 for all of its addresses.',
} as const;
