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

/** Follows the connector's position: `latest` is the last one stored, null before the first. Waits for the topic, which the connector creates. */
export async function followPosition(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix' | 'slot'>,
): Promise<{ latest(): Position | null; close(): Promise<void> }> {
  const topic = positionTopicOf(config);
  /** Records come more often than anybody asks: only what is asked for is decoded. */
  let record: Buffer | null = null;
  let latest: Position | null = null;
  const end = (await kafka.fetchOffsets([topic])).get(topic)?.[0];
  if (end === undefined) throw new CrosswalkError('server_down.connector', `topic ${topic} does not exist yet`);
  // A heartbeat writes the next one soon, should the last records be of aborted transactions.
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

/** Reads the columns of the last event of a table, for a decoder. */
export function toldColumnsOf(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix' | 'slot'>,
  table: string,
): () => Promise<readonly string[]> {
  return async () => (await readPosition(kafka, config))?.told?.[table]?.now ?? [];
}
