import { type Config, positionTopicOf, topicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import { assertBound, type Binding, decodePosition, type Position, type ServerState } from './position.ts';

/** The stored position, read while the server is still asked how far it is; checked against what it is bound to, and bound to what is there now: after a failover that is another timeline. Null where none was ever stored. */
export async function readStoredPosition(
  kafka: Kafka,
  config: Config,
  bound: Binding,
  reading: ServerState | Promise<ServerState>,
): Promise<Position | null> {
  const record = await kafka.readLast(positionTopicOf(config), config.slot);
  // Also that the server is the one that it was is known only then: a position is not judged by another one.
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
