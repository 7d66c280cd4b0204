import { stops } from './policy.ts';

/** Codes of the log in Kafka and of its schemas. */
export const logCodes = {
  schema_incompatible: stops(
    'Readers of the log could not follow the new form of a table.',
    'See docs/operations.md, "Schema changes".',
    {
      retyped: ({ table }: { table: string }) =>
        `Readers of the log could not follow. Give the column its old type back, run \`crosswalk resnapshot ${table}\`, then start the connector; or start the log anew: docs/operations.md, "Schema changes".`,
      refused: 'Correct what the registry names, or see its log.',
      unknown: 'Correct SCHEMA_REGISTRY_URL, or restore the registry.',
    },
  ),
  topic_misconfigured: stops('A topic has settings under which events would be lost.', 'Correct its settings.', {
    missing: 'Start the connector first: it creates the topics.',
    not_in_log: 'Check KAFKA_BROKERS, CROSSWALK_TOPIC_PREFIX and CROSSWALK_TABLES: are they those of the connector?',
    partitions:
      'Set CROSSWALK_PARTITIONS to the existing number: another number would break the order of changes of one row.',
    unreadable:
      'Run crosswalk where it can read them, and set compression.type=producer on the topics for records to come.',
    old_format: 'Copy them into a new topic with a client of today.',
    compression: 'Set compression.type=producer on the topics.',
    time_limits: 'Lift the limits on times of records: `crosswalk doctor` names the topics and the commands.',
    time_limit: ({ topic, settings }: { topic: string; settings: string }) =>
      `Run kafka-configs --alter --topic ${topic} --add-config ${settings}.`,
  }),
  log_gap: stops(
    'The log lacks records that a reader has not read yet.',
    'Restore the topic, or rebuild from a new snapshot: docs/operations.md, "Restoring".',
    {
      cut: 'The log was cut: restore the topic, or rebuild from a new snapshot.',
      topic_anew:
        'The topic was re-created, or the target database is newer than Kafka: docs/operations.md, "Restoring".',
      rebuild: ({ offset }: { offset: string }) =>
        `The log was cut: what came before cannot be rebuilt. Begin with --from offset:${offset} or a time, which leaves alone what is not replayed.`,
    },
  ),
  rows_too_large: stops(
    'More rows than are kept aside are too large for their topics.',
    'Raise max.message.bytes of that topic (and then change the rows named by `crosswalk dlq list` once, or load anew), or leave the table out of CROSSWALK_TABLES.',
  ),
  // A process that was frozen in the middle of a transaction has outlived it too: only the second time it is the transaction's fault.
  transaction_too_long: stops(
    'A source transaction takes longer to send than Kafka keeps one open.',
    'Raise transaction.max.timeout.ms of the brokers, and CROSSWALK_TRANSACTION_TIMEOUT_MS up to it.',
    {},
    { tries: 2 },
  ),
};
