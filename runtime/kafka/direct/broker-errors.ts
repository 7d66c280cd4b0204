// Error responses of brokers: number, name, whether a retry may succeed soon, and meaning.
type Answer = readonly [code: number, type: string, retriable: boolean, message: string];

const answers: readonly Answer[] = [
  [-1, 'UNKNOWN', false, 'The server experienced an unexpected error when processing the request'],
  [1, 'OFFSET_OUT_OF_RANGE', false, 'The requested offset is not within the range of offsets maintained by the server'],
  [2, 'CORRUPT_MESSAGE', true, 'A message has failed its checksum, exceeds the valid size, or is otherwise corrupt'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', true, 'This server does not host this topic-partition'],
  [5, 'LEADER_NOT_AVAILABLE', true, 'There is no leader for this topic-partition: an election is under way'],
  [6, 'NOT_LEADER_FOR_PARTITION', true, 'This server is not the leader for that topic-partition'],
  [7, 'REQUEST_TIMED_OUT', true, 'The request timed out'],
  [8, 'BROKER_NOT_AVAILABLE', true, 'The broker is not available'],
  [9, 'REPLICA_NOT_AVAILABLE', true, 'The replica is not available for the requested topic-partition'],
  [
    10,
    'MESSAGE_TOO_LARGE',
    false,
    'The request included a message larger than the max message size the server will accept',
  ],
  [13, 'NETWORK_EXCEPTION', true, 'The server disconnected before a response was received'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS', true, 'The coordinator is loading'],
  [15, 'COORDINATOR_NOT_AVAILABLE', true, 'The coordinator is not available'],
  [16, 'NOT_COORDINATOR', true, 'This is not the correct coordinator'],
  [17, 'INVALID_TOPIC_EXCEPTION', false, 'The request attempted to perform an operation on an invalid topic'],
  [
    18,
    'RECORD_LIST_TOO_LARGE',
    false,
    'The request included a batch larger than the configured segment size on the server',
  ],
  [19, 'NOT_ENOUGH_REPLICAS', true, 'Messages are rejected since there are fewer in-sync replicas than required'],
  [
    20,
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    true,
    'Messages are written to the log, but to fewer in-sync replicas than required',
  ],
  [22, 'ILLEGAL_GENERATION', false, 'Specified group generation id is not valid'],
  [
    23,
    'INCONSISTENT_GROUP_PROTOCOL',
    false,
    "The group member's supported protocols are incompatible with those of existing members",
  ],
  [24, 'INVALID_GROUP_ID', false, 'The configured group id is invalid'],
  [25, 'UNKNOWN_MEMBER_ID', false, 'The coordinator is not aware of this member'],
  [26, 'INVALID_SESSION_TIMEOUT', false, 'The session timeout is not within the range that the broker allows'],
  [27, 'REBALANCE_IN_PROGRESS', false, 'The group is rebalancing, so a rejoin is needed'],
  [29, 'TOPIC_AUTHORIZATION_FAILED', false, 'Not authorized to access topics: [Topic authorization failed]'],
  [30, 'GROUP_AUTHORIZATION_FAILED', false, 'Not authorized to access group: Group authorization failed'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED', false, 'Cluster authorization failed'],
  [32, 'INVALID_TIMESTAMP', false, 'The timestamp of the message is out of acceptable range'],
  [33, 'UNSUPPORTED_SASL_MECHANISM', false, 'The broker does not support the requested SASL mechanism'],
  [34, 'ILLEGAL_SASL_STATE', false, 'Request is not valid given the current SASL state'],
  [35, 'UNSUPPORTED_VERSION', false, 'The version of API is not supported'],
  [36, 'TOPIC_ALREADY_EXISTS', false, 'Topic with this name already exists'],
  [37, 'INVALID_PARTITIONS', false, 'Number of partitions is invalid'],
  [38, 'INVALID_REPLICATION_FACTOR', false, 'Replication-factor is invalid'],
  [40, 'INVALID_CONFIG', false, 'Configuration is invalid'],
  [41, 'NOT_CONTROLLER', true, 'This is not the correct controller for this cluster'],
  [42, 'INVALID_REQUEST', false, 'The request is malformed, or the broker is incompatible'],
  [44, 'POLICY_VIOLATION', false, 'Request parameters do not satisfy the configured policy'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', false, 'The broker received an out of order sequence number'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER', false, 'The broker received a duplicate sequence number'],
  [
    47,
    'INVALID_PRODUCER_EPOCH',
    false,
    "There is a newer producer with the same transactional id, or the producer's transaction has been expired by the broker",
  ],
  [48, 'INVALID_TXN_STATE', false, 'The producer attempted a transactional operation in an invalid state'],
  [
    49,
    'INVALID_PRODUCER_ID_MAPPING',
    false,
    'The producer attempted to use a producer id which is not currently assigned to its transactional id',
  ],
  [
    50,
    'INVALID_TRANSACTION_TIMEOUT',
    false,
    'The transaction timeout is larger than the maximum value allowed by the broker',
  ],
  [51, 'CONCURRENT_TRANSACTIONS', true, 'The transaction before this one is still being completed'],
  [
    52,
    'TRANSACTION_COORDINATOR_FENCED',
    false,
    'The transaction coordinator is no longer the current one of the producer',
  ],
  [53, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', false, 'Transactional Id authorization failed'],
  [56, 'KAFKA_STORAGE_ERROR', true, 'Disk error when trying to access log file on the disk'],
  [58, 'SASL_AUTHENTICATION_FAILED', false, 'SASL authentication failed'],
  [
    59,
    'UNKNOWN_PRODUCER_ID',
    false,
    'The broker could not locate the producer metadata associated with the producer id',
  ],
  [74, 'FENCED_LEADER_EPOCH', true, 'The leader epoch in the request is older than the epoch on the broker'],
  [75, 'UNKNOWN_LEADER_EPOCH', true, 'The leader epoch in the request is newer than the epoch on the broker'],
  [
    76,
    'UNSUPPORTED_COMPRESSION_TYPE',
    false,
    'The requesting client does not support the compression type of given partition',
  ],
  [
    78,
    'OFFSET_NOT_AVAILABLE',
    true,
    'The leader has not caught up from a recent election: its offsets cannot be guaranteed yet',
  ],
  [
    79,
    'MEMBER_ID_REQUIRED',
    false,
    'The group member needs to have a valid member id before actually entering a consumer group',
  ],
  [81, 'GROUP_MAX_SIZE_REACHED', false, 'The consumer group has reached its max size'],
  [87, 'INVALID_RECORD', false, 'A record has failed the validation on the broker'],
  [90, 'PRODUCER_FENCED', false, 'There is a newer producer with the same transactional id'],
  [120, 'TRANSACTION_ABORTABLE', false, 'The transaction can only be aborted'],
];
const byCode = new Map(answers.map((answer) => [answer[0], answer]));

/** An error response of a broker. */
export class KafkaProtocolError extends Error {
  readonly type: string;
  /** Whether a retry may succeed soon. */
  readonly retriable: boolean;
  readonly topic?: string;

  constructor(code: number, { topic, message }: { topic?: string; message?: string | null } = {}) {
    const [, type, retriable, meaning] = byCode.get(code) ?? [
      code,
      `ERROR_${code}`,
      false,
      `Error ${code} of the broker`,
    ];
    super(message ?? meaning);
    this.name = 'KafkaProtocolError';
    this.type = type;
    this.retriable = retriable;
    if (topic !== undefined) this.topic = topic;
  }
}

/** Throws unless the code means success. */
export function assertDone(code: number, topic?: string): void {
  if (code !== 0) throw new KafkaProtocolError(code, topic === undefined ? {} : { topic });
}

/** A connection that cannot be opened, has broken, or is silent. A request sent over it may have been executed. */
export class KafkaConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KafkaConnectionError';
  }
}

/** Connections closed by their owner: nothing is retried. */
export class KafkaConnectionClosed extends Error {
  constructor() {
    super('Closed connection');
    this.name = 'KafkaConnectionClosed';
  }
}

/** Whether the same request may succeed on a retry. */
export function isRetriable(error: unknown): boolean {
  return error instanceof KafkaConnectionError || (error instanceof KafkaProtocolError && error.retriable);
}

export function typeOf(error: unknown): string | null {
  return error instanceof KafkaProtocolError ? error.type : null;
}
