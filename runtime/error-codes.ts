/** How a process deals with a failure, and what people are told of it in general. */
export interface ErrorPolicy {
  /**
   * How often a process meets the failure without getting anything done in between, until it ends; from then on a person must act. Infinity: it waits as long as it takes, because
   * waiting can heal it.
   */
  readonly tries: number;
  /** What the process ends with. */
  readonly exitCode: number;
  readonly meaning: string;
  /** The next step, where the error itself knows none that is more exact. */
  readonly remedy: string;
}

/** A command or process that could not run: starting it again would not help. */
export const COULD_NOT_RUN = 2;
/** A process that gave itself up as stalled: starting it again heals it. */
export const STALLED = 3;

const waits = (meaning: string, remedy: string): ErrorPolicy => ({
  ...{ tries: Number.POSITIVE_INFINITY, exitCode: COULD_NOT_RUN },
  ...{ meaning, remedy },
});
const stops = (meaning: string, remedy: string, { tries = 1, exitCode = COULD_NOT_RUN } = {}): ErrorPolicy => ({
  ...{ tries, exitCode, meaning, remedy },
});

/** Every way crosswalk can fail, as a closed list. docs/errors.md is made of it: `npm run errors`. */
export const errorCodes = {
  config_invalid: stops('A setting, an argument or a file is wrong.', 'Correct what the message names.'),
  server_down: waits('A server does not answer, or not yet.', 'Start the server, or correct its address.'),
  auth_failed: stops('A server refused the login.', 'Correct the user name or the password of the address.'),
  tls_refused: stops(
    'A connection could not be encrypted as the address asks.',
    'Correct sslmode, the certificates, or the settings of the server.',
  ),
  database_missing: stops('The server has no such database.', 'Create it, or correct the address.'),
  permission_denied: stops(
    'A role lacks a right.',
    'Grant the right: docs/operations.md, "Rights", lists what each role needs.',
  ),
  wal_level: stops('The legacy server writes no logical WAL.', 'Set wal_level = logical, and restart the server.'),
  table_missing: stops(
    'A captured table is not there, or a named one is not captured.',
    'Create it, or correct the list.',
  ),
  replica_identity: stops(
    'A captured table has no primary key, or does not log whole old rows.',
    'Give it a primary key and REPLICA IDENTITY FULL: `crosswalk migrate up` does the latter.',
  ),
  table_unfit: stops(
    'A captured table cannot be streamed as it is.',
    'Change the table, or take it out of CROSSWALK_TABLES.',
  ),
  row_incomplete: stops(
    'The stream sent an update without all values of its row.',
    'Set REPLICA IDENTITY FULL, and have the table read again.',
  ),
  publication_missing: stops(
    'The publication is missing, or leaves something out.',
    'Run `crosswalk migrate up` as the owner of the legacy tables.',
  ),
  slot_busy: waits('Another connector reads the replication slot.', 'This one stands by until the slot is free.'),
  slot_invalid: stops(
    'The replication slot is lost, or is not the one of the stored position.',
    'docs/operations.md, "A lost slot".',
  ),
  position_mismatch: stops(
    'The stored position belongs to another server, database, slot or Kafka.',
    'Use the servers that belong together, or start the log anew: docs/operations.md, "Restoring".',
  ),
  schema_missing: stops(
    'The new schema, or a table or column of it, is missing.',
    'Run `crosswalk migrate up` with TARGET_OWNER_URL.',
  ),
  schema_incompatible: stops(
    'Readers of the log could not follow the new form of a table.',
    'docs/operations.md, "Schema changes".',
  ),
  source_changed: stops(
    'A captured table changed without an event, or lost a required column.',
    'docs/operations.md, "Schema changes".',
  ),
  columns_changed: stops('Columns of a table changed while it was read.', 'The snapshot goes on with the new ones.', {
    tries: 10,
  }),
  text_unreadable: stops('A text is not valid in its encoding.', 'Correct the legacy row.'),
  migration_failed: stops(
    'A migration failed, or is not the one that was applied.',
    'Correct it, and run it again: what was done stays.',
  ),
  locked: stops('A lock was held by another session for too long.', 'End that session, then run the command again.'),
  backup_invalid: stops('A backup is damaged, or cannot be written or read.', 'Take a new one.'),
  backup_missing: stops(
    'Something would be lost that no verified backup holds.',
    'Run `crosswalk backup create` and `crosswalk backup verify`.',
  ),
  truncated: stops('A captured table was truncated.', 'docs/operations.md, "TRUNCATE".'),
  topic_misconfigured: stops('A topic has settings under which events would be lost.', 'Correct its settings.'),
  log_gap: stops(
    'The log lacks records that a reader has not read yet.',
    'Restore the topic, or rebuild from a new snapshot: docs/operations.md, "Restoring".',
  ),
  rows_too_large: stops(
    'More rows than are kept aside are too large for their topics.',
    'Raise max.message.bytes of the topic, or leave the table out.',
  ),
  change_too_large: stops(
    'The legacy server cannot send a change, because it is too large.',
    'docs/operations.md, "Rows and transactions that are too large".',
  ),
  // A process that was frozen in the middle of a transaction has outlived it too: only the second time it is the transaction's fault.
  transaction_too_long: stops(
    'A source transaction takes longer to send than Kafka keeps one open.',
    'Raise transaction.max.timeout.ms of the brokers, and CROSSWALK_TRANSACTION_TIMEOUT_MS up to it.',
    { tries: 2 },
  ),
  port_taken: stops('The port for HTTP is taken.', 'Choose another in CROSSWALK_HTTP_PORT.'),
  process_ended: stops('A process that a command has started ended.', 'See its log.'),
  stale_consumer: waits('Another projector has taken over a partition.', 'Nothing is to be done.'),
  stalled: stops('A process has work and gets nothing done.', 'Start it again; if it comes back, see its log.', {
    exitCode: STALLED,
  }),
  not_reached: stops('What was waited for did not come in time.', 'See `crosswalk status`, then wait again.'),
  stuck: stops('The same failure came back again and again without any progress.', 'docs/operations.md, "Stuck".'),
  unexpected: stops('A failure that nobody has foreseen.', 'See the log around this line, with LOG_LEVEL=debug.', {
    tries: 6,
  }),
} as const satisfies Record<string, ErrorPolicy>;

export type ErrorCode = keyof typeof errorCodes;
