import type { OutRecord, SendAnswer, TopicPartition } from '../runtime/kafka.ts';

/** Records by topic, as they are sent. */
export type Sends = ReadonlyMap<string, readonly OutRecord[]>;
/** Next offsets by topic, in order of partition: decimal texts, as a position holds them. */
export type NextOffsets = Readonly<Record<string, readonly string[]>>;

/** Offsets of the log's partitions: up to where they are written, and those that the next records will get. */
export interface LogOffsets {
  /** The offsets after everything that Kafka has acknowledged. */
  reached(): NextOffsets;
  /** Predicts the offsets after these records as well, before they are sent; null if they cannot be known. */
  predict(records: Sends): NextOffsets | null;
  /** Kafka acknowledged these records. */
  sent(records: Sends, answers: readonly SendAnswer[]): void;
  /** Kafka committed a transaction, which ends with a marker in each of these partitions; null: the partitions are not known. */
  committed(markers: readonly TopicPartition[] | null): void;
}

/** Number of transactions that must have begun right after the marker of the previous one before predictions are made. */
const PROOFS = 3;

/** Where the next record of a partition is expected. `isBehindMarker`: a transaction ended since the last record. */
interface Place {
  readonly offset: bigint;
  readonly isBehindMarker: boolean;
}

/**
 * Nothing but the connector writes to its topics, and Kafka ends a transaction with one marker in each of its
 * partitions, so the next record follows both. Other brokers with Kafka's protocol may use more offsets (Redpanda has
 * control batches of its own), so nothing is predicted before `PROOFS` transactions, or after an exception. Kafka may
 * write a marker twice after a failure (KAFKA-19999), so a prediction is compared with the answer. Until a session has written to a partition, an earlier
 * session may have left more there: that place cannot be known. `stored`: the offsets of the stored position.
 */
export function createLogOffsets(stored: NextOffsets): LogOffsets {
  const reached = new Map(Object.entries(stored).map(([topic, list]) => [topic, [...list]]));
  /** By topic and partition, where known. */
  const next = new Map<string, (Place | undefined)[]>();
  let proofs = 0;
  let isRefuted = false;

  function placesOf(topic: string): (Place | undefined)[] {
    let places = next.get(topic);
    if (places === undefined) {
      places = [];
      next.set(topic, places);
    }
    return places;
  }

  return {
    reached: () => Object.fromEntries([...reached].map(([topic, list]) => [topic, [...list]])),

    predict(records) {
      const after = new Map(reached);
      for (const [topic, list] of records) {
        if (!reached.has(topic)) continue;
        if (isRefuted || proofs < PROOFS) return null;
        const offsets = [...reached.get(topic)!];
        for (const [partition, count] of countByPartition(list)) {
          const place = placesOf(topic)[partition];
          if (place === undefined) return null;
          offsets[partition] = String(place.offset + BigInt(count));
        }
        after.set(topic, offsets);
      }
      return Object.fromEntries([...after].map(([topic, list]) => [topic, [...list]]));
    },

    sent(records, answers) {
      let isProof = false;
      const counts = new Map([...records].map(([topic, list]) => [topic, countByPartition(list)]));
      for (const { topic, partition, baseOffset } of answers) {
        const list = reached.get(topic);
        if (list === undefined) continue;
        const places = placesOf(topic);
        const expected = places[partition];
        if (expected !== undefined && expected.offset !== baseOffset) isRefuted = true;
        if (expected?.isBehindMarker) isProof = true;
        const offset = baseOffset + BigInt(counts.get(topic)?.get(partition) ?? 0);
        places[partition] = { offset, isBehindMarker: false };
        list[partition] = String(offset);
      }
      if (isProof) proofs += 1;
    },

    committed(markers) {
      if (markers === null) next.clear();
      for (const { topic, partition } of markers ?? []) {
        const place = next.get(topic)?.[partition];
        if (place !== undefined) placesOf(topic)[partition] = { offset: place.offset + 1n, isBehindMarker: true };
      }
    },
  };
}

function countByPartition(records: readonly OutRecord[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { partition } of records) counts.set(partition, (counts.get(partition) ?? 0) + 1);
  return counts;
}
