import type { OutRecord, SendAnswer, TopicPartition } from '../runtime/kafka.ts';

/** Records by topic, as they are sent. */
export type Sends = ReadonlyMap<string, readonly OutRecord[]>;
/** Next offsets by topic, in order of partition: decimal texts, as a position holds them. */
export type NextOffsets = Readonly<Record<string, readonly string[]>>;

/** How far the log's partitions are written, and where their next records will be. */
export interface LogOffsets {
  /** The offsets after everything that Kafka has acknowledged. */
  reached(): NextOffsets;
  /** The offsets after these records as well, before they are sent; null if the place of one of them cannot be known. */
  foretell(records: Sends): NextOffsets | null;
  /** Kafka acknowledged these records. */
  sent(records: Sends, answers: readonly SendAnswer[]): void;
  /** Kafka committed a transaction, which ends with a marker in each of these partitions; null: the partitions are not known. */
  committed(markers: readonly TopicPartition[] | null): void;
}

/**
 * Nothing but the connector writes to its topics, so the next record follows the last one and the markers behind it. Until a session has written to a partition, an
 * earlier session may have left more there: that place cannot be known. `stored`: the offsets of the stored position.
 */
export function createLogOffsets(stored: NextOffsets): LogOffsets {
  const reached = new Map(Object.entries(stored).map(([topic, list]) => [topic, [...list]]));
  /** Offsets of the next records, where known, by topic and partition. */
  const next = new Map<string, (bigint | undefined)[]>();

  return {
    reached: () => Object.fromEntries([...reached].map(([topic, list]) => [topic, [...list]])),

    foretell(records) {
      const found = new Map<string, string[]>();
      for (const [topic, list] of records) {
        if (!reached.has(topic)) continue;
        const after = [...reached.get(topic)!];
        for (const [partition, count] of countByPartition(list)) {
          const base = next.get(topic)?.[partition];
          if (base === undefined) return null;
          after[partition] = String(base + BigInt(count));
        }
        found.set(topic, after);
      }
      return Object.fromEntries([...reached].map(([topic, list]) => [topic, found.get(topic) ?? [...list]]));
    },

    sent(records, answers) {
      const counts = new Map([...records].map(([topic, list]) => [topic, countByPartition(list)]));
      for (const { topic, partition, baseOffset } of answers) {
        const list = reached.get(topic);
        if (list === undefined) continue;
        const end = baseOffset + BigInt(counts.get(topic)?.get(partition) ?? 0);
        list[partition] = String(end);
        let places = next.get(topic);
        if (places === undefined) {
          places = [];
          next.set(topic, places);
        }
        places[partition] = end;
      }
    },

    committed(markers) {
      if (markers === null) next.clear();
      for (const { topic, partition } of markers ?? []) {
        const places = next.get(topic);
        const place = places?.[partition];
        if (place !== undefined) places![partition] = place + 1n;
      }
    },
  };
}

function countByPartition(records: readonly OutRecord[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { partition } of records) counts.set(partition, (counts.get(partition) ?? 0) + 1);
  return counts;
}
