import { stops, waits } from './policy.ts';

const asOwner = ({ sql }: { sql: string }) =>
  `Run as the owner (or \`crosswalk migrate up\` with LEGACY_OWNER_URL): ${sql}`;
const rewriting = ({ sql, table }: { sql: string; table: string }) =>
  `Run as the owner (each rewrites the table under a lock): ${sql} Where the connector has run before, run \`crosswalk resnapshot ${table}\` afterwards.`;

/** Codes of the legacy database, of the stream of its changes, and of the position in it. */
export const sourceCodes = {
  wal_level: stops(
    'The legacy server writes no logical WAL.',
    'Run ALTER SYSTEM SET wal_level = logical; there, and restart it.',
  ),
  table_missing: stops(
    'A captured table is not there, or a named one is not captured.',
    'Correct CROSSWALK_TABLES or CROSSWALK_LEGACY_SCHEMA, or create the tables.',
    {
      not_captured: ({ tables }: { tables: string }) => `Name one of CROSSWALK_TABLES: ${tables}.`,
      empty_schema: 'Name the schema that has them with --schema, or correct LEGACY_DATABASE_URL.',
      name: 'Write its name as it is in the catalog, upper and lower case included, without quotes and without its schema (--schema).',
      no_table: 'Name the tables that its rows come from.',
      partition: ({ table }: { table: string }) => `Name ${table} in its place.`,
    },
  ),
  replica_identity: stops(
    'A captured table has no primary key, or does not log whole old rows.',
    'Give it a primary key and REPLICA IDENTITY FULL: `crosswalk migrate up` does the latter.',
    {
      key: 'Give each table a primary key, or take it out of CROSSWALK_TABLES.',
      computed: ({ publication }: { publication: string }) =>
        `Make them STORED or drop them, or take the table out of CROSSWALK_TABLES and out of publication ${publication}.`,
      owner: asOwner,
    },
  ),
  table_unfit: stops(
    'A captured table cannot be streamed as it is.',
    'Change the table, or take it out of CROSSWALK_TABLES.',
    {
      heirs:
        'Add them to CROSSWALK_TABLES (each needs a primary key of its own), end the inheritance (ALTER TABLE … NO INHERIT …;), or take the table out of CROSSWALK_TABLES.',
      deferrable: ({ table, constraint, columns }: { table: string; constraint: string; columns: string }) =>
        `Run as the owner: ALTER TABLE ${table} DROP CONSTRAINT ${constraint}, ADD CONSTRAINT ${constraint} PRIMARY KEY (${columns}); or take the table out of CROSSWALK_TABLES.`,
      invalid_key: ({ index }: { index: string }) =>
        `Give each partition a primary key on the same columns, and attach its index: ALTER INDEX ${index} ATTACH PARTITION …;`,
      unlogged: rewriting,
      storage: rewriting,
      sent_as: ({ root, publication, table }: { root: string; publication: string; table: string }) =>
        `Capture ${root} in its place in CROSSWALK_TABLES, or run as the owner: ALTER PUBLICATION ${publication} SET (publish_via_partition_root = false); Where the connector has run before, run \`crosswalk resnapshot ${table}\` afterwards.`,
    },
  ),
  row_incomplete: stops(
    'The stream sent an update without all values of its row.',
    'Set REPLICA IDENTITY FULL, and have the table read again.',
    {
      table: ({ table }: { table: string }) =>
        `Run \`crosswalk migrate plan\` and what it prints, then \`crosswalk resnapshot ${table}\`, and start the connector: it passes over what cannot be completed, and reads the rows again.`,
    },
  ),
  publication_missing: stops(
    'The publication is missing, or leaves something out.',
    'Run `crosswalk migrate up` with LEGACY_OWNER_URL: it creates the publication.',
    { owner: asOwner },
  ),
  slot_busy: waits('Another connector reads the replication slot.', 'This one stands by until the slot is free.', {
    stop: 'Stop it first, and start it afterwards.',
  }),
  slot_invalid: stops(
    'The replication slot is lost, or is not the one of the stored position.',
    'docs/operations.md, "A lost slot".',
    {
      gone: 'Changes since then are lost: docs/operations.md, "A lost slot".',
      failed_over: 'Changes since then are lost: docs/operations.md, "Failover".',
      dropped: 'If it was dropped, changes may be lost: docs/operations.md, "A lost slot".',
      invalidated: 'The slot was invalidated and changes are lost: docs/operations.md, "A lost slot".',
      foreign: 'Choose another name in CROSSWALK_SLOT.',
      of_another_database: 'Choose another name in CROSSWALK_SLOT, or correct LEGACY_DATABASE_URL.',
    },
  ),
  position_mismatch: stops(
    'The stored position belongs to another server, database, slot or Kafka.',
    'Use the servers that belong together, or start the log anew: docs/operations.md, "Restoring".',
    {
      later_version: 'Run the version of crosswalk that wrote it, or a later one.',
      elsewhere: 'Changes between the two may be missing: docs/operations.md, "Another source or another Kafka".',
      ahead:
        'It was restored to an earlier point, and what was written in its place would be skipped: docs/operations.md, "Restoring".',
      confirmed:
        'The slot was re-created or read by something else, and changes between the two may be missing: docs/operations.md, "A lost slot".',
      failover: 'Changes may be missing on either side: docs/operations.md, "Failover".',
      not_stored:
        'The position topic was deleted, or the slot renamed: docs/operations.md, "Another source or another Kafka".',
      topic_cut: 'The topic was deleted or cut: docs/operations.md, "Another source or another Kafka".',
      other_history:
        'The server was restored to an earlier point and has changes of its own: docs/operations.md, "Restoring".',
      none: 'Start the connector: it reads every table.',
      rebuild: 'Drop the rebuild (--discard) and begin anew.',
    },
  ),
  source_changed: stops(
    'A captured table changed without an event, or lost a required column.',
    'docs/operations.md, "Schema changes".',
    {
      anew: 'Undo it, or start the log anew: docs/operations.md, "Changes without events".',
      read_again: ({ tables }: { tables: string }) =>
        `Run \`crosswalk resnapshot ${tables}\`, then start the connector: it reads the rows again. docs/operations.md, "Changes without events".`,
      vanished: ({ tables }: { tables: string }) =>
        `Run \`crosswalk resnapshot ${tables}\`, then start the connector: it reads the rows again; rows that are gone without an event stay until then in the new schema, and \`crosswalk verify\` names them. docs/operations.md, "Changes without events".`,
      left_out: 'Name them too, or name none.',
      mapping:
        'Adapt the mapping to the renamed or dropped column, raise its version and deploy it; or give the legacy column its name back, and run `crosswalk resnapshot` when the connector asks for it. Nothing has been written from the new schema.',
      replayed:
        'What was written before the column was added or renamed cannot be mapped. Drop the rebuild (--discard), and begin after that change: --from with its time or offset.',
    },
  ),
  columns_changed: stops(
    'Columns of a table changed while it was read.',
    'It goes on with the new columns.',
    { start: 'It starts over with what is there now.' },
    { tries: 10 },
  ),
  text_unreadable: stops(
    'A text is not valid in its encoding.',
    'Correct the text in the legacy database; one in the encoding SQL_ASCII must hold UTF-8 only.',
  ),
  truncated: stops(
    'A captured table was truncated.',
    'Decide what the new rows shall become: docs/operations.md, "TRUNCATE". CROSSWALK_ON_TRUNCATE=ignore goes on and leaves them.',
  ),
  change_too_large: stops(
    'The legacy server cannot send a change, because it is too large.',
    '`crosswalk resnapshot --skip` moves the slot past it, and reads every table again: docs/operations.md, "Rows and transactions that are too large".',
  ),
};
