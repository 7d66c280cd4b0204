/** A record to write. `value` null is a tombstone; `timestampMs` is the source's commit time. */
export interface OutRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: string;
  readonly headers?: RecordHeaders;
}

/** Headers of a record by name. */
export type RecordHeaders = Readonly<Record<string, Buffer>>;

/** A record read. Offsets are bigint. */
export interface InRecord {
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: string;
  /** Absent where the record has none. */
  readonly headers?: RecordHeaders;
}

/** One partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** The first offset of the records sent to a partition. */
export interface SendAnswer extends TopicPartition {
  readonly baseOffset: bigint;
}

/** One Kafka transaction at a time. Any failure leaves its outcome unknown: close, create a new writer, read the position again. */
export interface LogWriter {
  begin(): Promise<void>;
  /** Appends to the open transaction; returns the first offset of each topic and partition. */
  send(records: ReadonlyMap<string, readonly OutRecord[]>): Promise<readonly SendAnswer[]>;
  /** Returns the partitions in which Kafka ends the transaction with a marker, which takes one offset; null if the client does not know them. */
  commit(): Promise<readonly TopicPartition[] | null>;
  abort(): Promise<void>;
  close(): Promise<void>;
}

/** Settings of a topic that crosswalk creates. */
export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

/** First offset of a partition, and the offset after its last committed record. */
export interface PartitionEnds {
  readonly low: bigint;
  readonly high: bigint;
}

export interface FollowHandlers {
  onRecord: (record: InRecord) => void;
  onCaughtUp: (error?: Error) => void;
  onEnd?: (error: Error) => void;
}

export type Ranges = ReadonlyMap<number, { readonly from: bigint; readonly to: bigint }>;

export interface RangeOptions {
  signal: AbortSignal;
  onBatch: (batch: {
    partition: number;
    records: readonly InRecord[];
    next: bigint;
  }) => boolean | undefined | Promise<boolean | undefined>;
}

export interface GroupOptions {
  groupId: string;
  topics: readonly string[];
  concurrency: number;
  sessionTimeoutMs: number;
  /** How long the brokers may wait for new records: 500 ms by default. */
  maxWaitMs?: number;
  /** Partitions by topic that this member has from now on. */
  onAssigned: (partitions: Readonly<Record<string, readonly number[]>>) => void;
  startOffset: (topic: string, partition: number) => Promise<bigint>;
  onBatch: (batch: {
    topic: string;
    partition: number;
    records: readonly InRecord[];
    beat: () => Promise<void>;
    isStale: () => boolean;
    /** Stops fetching this partition until the returned function is called. */
    pause: () => () => void;
  }) => Promise<bigint | null>;
  onCrash: (error: Error) => void;
}

export interface GroupConsumer {
  close(): Promise<void>;
  commitForMonitors(topic: string, partition: number, next: bigint): Promise<void>;
}

/** Queries to the brokers, over connections that are open only meanwhile. */
export interface Admin {
  clusterId(): Promise<string>;
  /** Names of all topics. */
  topics(): Promise<Set<string>>;
  /** Numbers of replicas, by partition, of topics that exist. */
  replicas(topics: readonly string[]): Promise<Map<string, readonly number[]>>;
  /** Settings of topics: all, or the one of this name. */
  configs(topics: readonly string[], name?: string): Promise<Map<string, Record<string, string>>>;
  /** Creates topics, and returns when they have leaders. */
  create(topics: readonly TopicSpec[]): Promise<void>;
  /** In order of partition. */
  ends(topics: readonly string[]): Promise<Map<string, PartitionEnds[]>>;
  /** In order of partition; the end if there is no record of this time or later. */
  offsetsAt(topic: string, timestampMs: number): Promise<bigint[]>;
}

/** The interface that a client library or our own client must implement. Errors of brokers have `type` and `retriable` (kafka-refusals.ts, errors.ts). */
export interface KafkaDriver {
  withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T>;
  /** From `begin` on, throws an error that contains INVALID_TRANSACTION_TIMEOUT. */
  createLogWriter(transactionalId: string, transactionTimeoutMs: number): Promise<LogWriter>;
  /** Appends to partition 0, outside of transactions; returns the offset. */
  append(topic: string, record: { key: Buffer; value: Buffer }): Promise<bigint>;
  /** Follows partition 0 from an existing offset; `end`: the offset that must have been passed when `onCaughtUp` is called. */
  follow(
    topic: string,
    place: { from: bigint; end: bigint },
    handlers: FollowHandlers,
  ): Promise<{ close(): Promise<void> }>;
  /** As Kafka's `readRanges`, of ranges that are not empty. */
  readRanges(topic: string, ranges: Ranges, options: RangeOptions): Promise<void>;
  createGroupConsumer(options: GroupOptions): Promise<GroupConsumer>;
}
