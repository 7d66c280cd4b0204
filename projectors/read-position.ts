import { decodePosition, type Position } from '../connectors/position.ts';
import { type Config, positionTopicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';

/** The connector's stored position, null before the first. */
export async function readPosition(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix' | 'slot'>,
): Promise<Position | null> {
  const record = await kafka.readLast(positionTopicOf(config), config.slot);
  return record?.value == null ? null : decodePosition(record.value);
}

/** Follows the connector's position: `latest` returns the last one stored, null before the first. Throws `server_down` while the topic, which the connector creates, does not exist. */
export async function followPosition(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix' | 'slot'>,
): Promise<{ latest(): Position | null; close(): Promise<void> }> {
  const topic = positionTopicOf(config);
  /** Not decoded yet: records arrive more often than `latest` is called. */
  let record: Buffer | null = null;
  let latest: Position | null = null;
  const end = (await kafka.fetchOffsets([topic])).get(topic)?.[0];
  if (end === undefined) throw new CrosswalkError('server_down.connector', `topic ${topic} does not exist yet`);
  // If the last records belong to aborted transactions, a heartbeat soon writes the next one.
  const from = end.high - 16n > end.low ? end.high - 16n : end.low;
  const reader = await kafka.follow(topic, from, {
    onRecord: ({ key, value }) => {
      if (value !== null && key?.toString() === config.slot) record = value;
    },
    onCaughtUp: () => undefined,
  });
  return {
    latest: () => {
      if (record !== null) latest = decodePosition(record);
      record = null;
      return latest;
    },
    close: () => reader.close(),
  };
}

/** Returns a function that reads the columns of the last event of a table, for a decoder. */
export function toldColumnsOf(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix' | 'slot'>,
  table: string,
): () => Promise<readonly string[]> {
  return async () => (await readPosition(kafka, config))?.told?.[table]?.now ?? [];
}
