import { type Config, positionTopicOf, topicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import { assertBound, type Binding, decodePosition, type Position, type ServerState } from './position.ts';

/**
 * The stored position, read while the server's state is still pending. It is checked against its binding and rebound to
 * the current one, which after a failover has another timeline. Null if none was ever stored.
 */
export async function readStoredPosition(
  kafka: Kafka,
  config: Config,
  bound: Binding,
  reading: ServerState | Promise<ServerState>,
): Promise<Position | null> {
  const record = await kafka.readLast(positionTopicOf(config), config.slot);
  // Awaiting also ensures that the server is still the same: a position is not checked against another server.
  const server = await reading;
  if (record?.value == null) {
    const ends = await kafka.fetchOffsets(config.tables.map((table) => topicOf(config, table)));
    const filled = [...ends].find(([, partitions]) => partitions.some((partition) => partition.high > 0n));
    if (filled === undefined) return null;
    throw new CrosswalkError(
      'position_mismatch.not_stored',
      `Topic ${filled[0]} holds events, but no position is stored for slot ${config.slot}`,
    );
  }
  const stored = decodePosition(record.value);
  assertBound(stored, bound, server);
  const ends = await kafka.fetchSettledOffsets(
    new Map(Object.entries(stored.offsets).map(([topic, offsets]) => [topic, offsets.map(BigInt)])),
  );
  for (const [topic, offsets] of Object.entries(stored.offsets)) {
    const end = ends.get(topic);
    if (end !== undefined && offsets.some((offset, partition) => (end[partition]?.high ?? 0n) < BigInt(offset))) {
      throw new CrosswalkError('position_mismatch.topic_cut', `Topic ${topic} ends before the stored position`);
    }
  }
  return { ...stored, bound };
}
