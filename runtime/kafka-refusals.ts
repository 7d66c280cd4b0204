import { Failure } from './error-codes.ts';

const rights = Failure.of('permission_denied.kafka');
/** What brokers refuse until somebody acts, by the name of their answer. */
const refusals: Readonly<Record<string, Failure>> = {
  TOPIC_AUTHORIZATION_FAILED: rights,
  GROUP_AUTHORIZATION_FAILED: rights,
  CLUSTER_AUTHORIZATION_FAILED: rights,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: rights,
  INVALID_REPLICATION_FACTOR: Failure.of('config_invalid.replication_factor'),
  POLICY_VIOLATION: Failure.of('config_invalid.topic_policy'),
  INVALID_CONFIG: Failure.of('config_invalid.topic_settings'),
  INVALID_TOPIC_EXCEPTION: Failure.of('config_invalid.topic_prefix'),
  INVALID_TIMESTAMP: Failure.of('topic_misconfigured.time_limits'),
  UNSUPPORTED_COMPRESSION_TYPE: Failure.of('topic_misconfigured.compression'),
};

interface KafkaError {
  readonly name?: unknown;
  readonly type?: unknown;
  readonly topic?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/** The error that a broker answered with, within what the library wraps it in; null where it is none. */
export function findBrokerError(error: unknown): { readonly type: string; readonly topic?: string } | null {
  for (let at = error as KafkaError | null | undefined, depth = 0; at != null && depth < 8; depth += 1) {
    if (typeof at !== 'object') return null;
    if (typeof at.type === 'string')
      return { type: at.type, ...(typeof at.topic === 'string' ? { topic: at.topic } : {}) };
    at = (Array.isArray(at.errors) ? at.errors[0] : at.cause) as KafkaError | null | undefined;
  }
  return null;
}

/** What to do about an answer of Kafka that stays the same until somebody acts; null for any other error. */
export function toKafkaRefusal(error: unknown): { failure: Failure; topic: string | null } | null {
  const found = findBrokerError(error);
  const failure = found === null ? undefined : refusals[found.type];
  return failure === undefined ? null : { failure, topic: found?.topic ?? null };
}
