// Requests to brokers, each in a version that is supported from Kafka 2.2 to 4.x; none of these has tagged fields.
import type { ByteReader, ByteWriter } from './bytes.ts';

/** A request and its response. */
export interface Api<A, R> {
  readonly key: number;
  readonly version: number;
  readonly encode: (writer: ByteWriter, asked: A) => void;
  readonly decode: (reader: ByteReader) => R;
}
const api = <A, R>(key: number, version: number, encode: Api<A, R>['encode'], decode: Api<A, R>['decode']) => ({
  ...{ key, version, encode, decode },
});

export interface PartitionsOf<P> {
  readonly topic: string;
  readonly partitions: readonly P[];
}
const writeTopics = <P>(writer: ByteWriter, topics: readonly PartitionsOf<P>[], write: (partition: P) => void) =>
  writer.list(topics, ({ topic, partitions }) => writer.text(topic).list(partitions, write));
const readTopics = <P>(reader: ByteReader, read: (topic: string) => P) =>
  reader
    .list(() => {
      const topic = reader.text();
      return reader.list(() => read(topic));
    })
    .flat();
const skipThrottle = (reader: ByteReader) => void reader.int32();

export const metadata = api(
  3,
  4,
  // Without names, all topics are requested.
  (writer, topics: readonly string[] | null) => {
    if (topics === null) writer.int32(-1);
    else writer.list(topics, (topic) => writer.text(topic));
    writer.int8(0);
  },
  (reader) => {
    skipThrottle(reader);
    const brokers = reader.list(() => {
      const broker = { id: reader.int32(), host: reader.text(), port: reader.int32() };
      reader.nullableText();
      return broker;
    });
    return {
      brokers,
      clusterId: reader.text(),
      controllerId: reader.int32(),
      topics: reader.list(() => {
        const code = reader.int16();
        const topic = reader.text();
        reader.boolean();
        const partitions = reader.list(() => {
          const found = { code: reader.int16(), partition: reader.int32(), leader: reader.int32() };
          const replicas = reader.list(() => reader.int32()).length;
          reader.list(() => reader.int32());
          return { ...found, replicas };
        });
        return { code, topic, partitions };
      }),
    };
  },
);

export const findCoordinator = api(
  10,
  1,
  (writer, { key, of }: { key: string; of: 'group' | 'transaction' }) => {
    writer.text(key).int8(of === 'group' ? 0 : 1);
  },
  (reader) => {
    skipThrottle(reader);
    const code = reader.int16();
    reader.nullableText();
    return { code, broker: { id: reader.int32(), host: reader.text(), port: reader.int32() } };
  },
);

/** `timestamp`: -1 the end of the committed records, -2 the first offset. */
export const listOffsets = api(
  2,
  2,
  (writer, topics: readonly PartitionsOf<{ partition: number; timestamp: bigint }>[]) => {
    writer.int32(-1).int8(1);
    writeTopics(writer, topics, ({ partition, timestamp }) => writer.int32(partition).int64(timestamp));
  },
  (reader) => {
    skipThrottle(reader);
    return readTopics(reader, (topic) => {
      const found = { topic, partition: reader.int32(), code: reader.int16() };
      reader.int64();
      return { ...found, offset: reader.int64() };
    });
  },
);

export const createTopics = api(
  19,
  3,
  (
    writer,
    topics: readonly {
      topic: string;
      partitions: number;
      replicationFactor: number;
      config: Readonly<Record<string, string>>;
    }[],
  ) => {
    writer.list(topics, ({ topic, partitions, replicationFactor, config }) => {
      writer.text(topic).int32(partitions).int16(replicationFactor).int32(0);
      writer.list(Object.entries(config), ([name, value]) => writer.text(name).text(value));
    });
    writer.int32(30_000).int8(0);
  },
  (reader) => {
    skipThrottle(reader);
    return reader.list(() => ({ topic: reader.text(), code: reader.int16(), message: reader.nullableText() }));
  },
);

const TOPIC_RESOURCE = 2;
export const describeConfigs = api(
  32,
  1,
  (writer, { topics, name }: { topics: readonly string[]; name?: string | undefined }) => {
    writer.list(topics, (topic) => {
      writer.int8(TOPIC_RESOURCE).text(topic);
      if (name === undefined) writer.int32(-1);
      else writer.int32(1).text(name);
    });
    writer.int8(0);
  },
  (reader) => {
    skipThrottle(reader);
    return reader.list(() => {
      const code = reader.int16();
      const message = reader.nullableText();
      reader.int8();
      const topic = reader.text();
      const entries = reader.list(() => {
        const entry = [reader.text(), reader.nullableText()] as const;
        reader.boolean();
        reader.int8();
        reader.boolean();
        reader.list(() => [reader.text(), reader.nullableText(), reader.int8()]);
        return entry;
      });
      return { code, message, topic, entries };
    });
  },
);

/** Identity of a writer: the producer id from the coordinator, and an epoch that distinguishes it from earlier writers. */
export interface ProducerIdentity {
  readonly id: bigint;
  readonly epoch: number;
}

export const initProducerId = api(
  22,
  1,
  (writer, { transactionalId, timeoutMs }: { transactionalId: string | null; timeoutMs: number }) => {
    writer.text(transactionalId).int32(timeoutMs);
  },
  (reader) => {
    skipThrottle(reader);
    return { code: reader.int16(), identity: { id: reader.int64(), epoch: reader.int16() } };
  },
);

interface Transaction {
  readonly transactionalId: string;
  readonly identity: ProducerIdentity;
}
const writeTransaction = (writer: ByteWriter, { transactionalId, identity }: Transaction) =>
  writer.text(transactionalId).int64(identity.id).int16(identity.epoch);

export const addPartitions = api(
  24,
  1,
  (writer, asked: Transaction & { topics: readonly PartitionsOf<number>[] }) => {
    writeTransaction(writer, asked);
    writeTopics(writer, asked.topics, (partition) => writer.int32(partition));
  },
  (reader) => {
    skipThrottle(reader);
    return readTopics(reader, (topic) => ({ topic, partition: reader.int32(), code: reader.int16() }));
  },
);

export const endTransaction = api(
  26,
  1,
  (writer, asked: Transaction & { isCommit: boolean }) => {
    writeTransaction(writer, asked).int8(asked.isCommit ? 1 : 0);
  },
  (reader) => {
    skipThrottle(reader);
    return { code: reader.int16() };
  },
);

export const produce = api(
  0,
  7,
  (
    writer,
    asked: { transactionalId: string | null; topics: readonly PartitionsOf<{ partition: number; batch: Buffer }>[] },
  ) => {
    writer.text(asked.transactionalId).int16(-1).int32(30_000);
    writeTopics(writer, asked.topics, ({ partition, batch }) => writer.int32(partition).bytes(batch));
  },
  (reader) =>
    readTopics(reader, (topic) => {
      const found = { topic, partition: reader.int32(), code: reader.int16(), baseOffset: reader.int64() };
      reader.int64();
      reader.int64();
      return found;
    }),
);

export const fetch = api(
  1,
  10,
  (
    writer,
    asked: {
      maxWaitMs: number;
      maxBytes: number;
      topics: readonly PartitionsOf<{ partition: number; offset: bigint; maxBytes: number }>[];
    },
  ) => {
    // At least one byte, committed records only, no fetch session.
    writer.int32(-1).int32(asked.maxWaitMs).int32(1).int32(asked.maxBytes).int8(1).int32(0).int32(-1);
    writeTopics(writer, asked.topics, ({ partition, offset, maxBytes }) =>
      writer.int32(partition).int32(-1).int64(offset).int64(-1n).int32(maxBytes),
    );
    writer.int32(0);
  },
  (reader) => {
    skipThrottle(reader);
    const code = reader.int16();
    reader.int32();
    return {
      code,
      partitions: readTopics(reader, (topic) => {
        const found = { topic, partition: reader.int32(), code: reader.int16() };
        // Ends and beginning of the partition.
        for (let left = 3; left > 0; left--) reader.int64();
        const aborted = reader.list(() => ({ producerId: reader.int64(), first: reader.int64() }));
        return { ...found, aborted, batches: reader.bytes() };
      }),
    };
  },
);

export const joinGroup = api(
  11,
  4,
  (
    writer,
    asked: {
      groupId: string;
      sessionTimeoutMs: number;
      rebalanceTimeoutMs: number;
      memberId: string;
      protocol: string;
      metadata: Buffer;
    },
  ) => {
    writer.text(asked.groupId).int32(asked.sessionTimeoutMs).int32(asked.rebalanceTimeoutMs).text(asked.memberId);
    writer.text('consumer').int32(1).text(asked.protocol).bytes(asked.metadata);
  },
  (reader) => {
    skipThrottle(reader);
    const found = { code: reader.int16(), generation: reader.int32() };
    reader.text();
    const leader = reader.text();
    const memberId = reader.text();
    const members = reader.list(() => {
      const id = reader.text();
      reader.bytes();
      return id;
    });
    return { ...found, leader, memberId, members };
  },
);

/** A member of a group, in one generation of it. */
export interface Membership {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
}
const writeMembership = (writer: ByteWriter, { groupId, generation, memberId }: Membership) =>
  writer.text(groupId).int32(generation).text(memberId);
const readCode = (reader: ByteReader) => {
  skipThrottle(reader);
  return { code: reader.int16() };
};

export const syncGroup = api(
  14,
  2,
  (writer, asked: Membership & { assignments: readonly { memberId: string; assignment: Buffer }[] }) => {
    writeMembership(writer, asked);
    writer.list(asked.assignments, ({ memberId, assignment }) => writer.text(memberId).bytes(assignment));
  },
  (reader) => {
    skipThrottle(reader);
    return { code: reader.int16(), assignment: reader.bytes() };
  },
);

export const heartbeat = api(12, 2, (writer, asked: Membership) => void writeMembership(writer, asked), readCode);

export const leaveGroup = api(
  13,
  2,
  (writer, { groupId, memberId }: Pick<Membership, 'groupId' | 'memberId'>) => {
    writer.text(groupId).text(memberId);
  },
  readCode,
);

export const commitOffsets = api(
  8,
  5,
  (writer, asked: Membership & { topics: readonly PartitionsOf<{ partition: number; next: bigint }>[] }) => {
    writeMembership(writer, asked);
    writeTopics(writer, asked.topics, ({ partition, next }) => writer.int32(partition).int64(next).text(null));
  },
  (reader) => {
    skipThrottle(reader);
    return readTopics(reader, (topic) => ({ topic, partition: reader.int32(), code: reader.int16() }));
  },
);

export const saslHandshake = api(
  17,
  1,
  (writer, mechanism: string) => void writer.text(mechanism),
  (reader) => ({ code: reader.int16(), mechanisms: reader.list(() => reader.text()) }),
);

export const saslAuthenticate = api(
  36,
  0,
  (writer, bytes: Buffer) => void writer.bytes(bytes),
  (reader) => ({ code: reader.int16(), message: reader.nullableText(), bytes: reader.bytes() ?? Buffer.alloc(0) }),
);
