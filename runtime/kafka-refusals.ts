import type { ErrorCode } from './error-codes.ts';

const rights = 'Allow it to the user that crosswalk logs in as: docs/operations.md lists the rights.';
/** What brokers refuse until somebody acts, by the name of their answer. */
const refusals: Readonly<Record<string, { code: ErrorCode; remedy: string }>> = {
  TOPIC_AUTHORIZATION_FAILED: { code: 'permission_denied', remedy: rights },
  GROUP_AUTHORIZATION_FAILED: { code: 'permission_denied', remedy: rights },
  CLUSTER_AUTHORIZATION_FAILED: { code: 'permission_denied', remedy: rights },
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: { code: 'permission_denied', remedy: rights },
  INVALID_REPLICATION_FACTOR: {
    code: 'config_invalid',
    remedy: 'Lower CROSSWALK_REPLICATION_FACTOR to the number of brokers, or start more of them.',
  },
  POLICY_VIOLATION: {
    code: 'config_invalid',
    remedy:
      "The brokers' policy (create.topic.policy.class.name) must allow the topics, or create them with the settings of docs/operations.md.",
  },
  INVALID_CONFIG: {
    code: 'config_invalid',
    remedy: 'The brokers refuse a setting of the topics: create them with the settings of docs/operations.md.',
  },
  INVALID_TOPIC_EXCEPTION: {
    code: 'config_invalid',
    remedy: 'Choose a CROSSWALK_TOPIC_PREFIX that makes names of topics.',
  },
  INVALID_TIMESTAMP: {
    code: 'topic_misconfigured',
    remedy: 'Lift the limits on times of records: `crosswalk doctor` names the topics and the commands.',
  },
  UNSUPPORTED_COMPRESSION_TYPE: {
    code: 'topic_misconfigured',
    remedy: 'Set compression.type=producer on the topics.',
  },
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
export function toKafkaRefusal(error: unknown): { code: ErrorCode; remedy: string; topic: string | null } | null {
  const found = findBrokerError(error);
  const refusal = found === null ? undefined : refusals[found.type];
  return refusal === undefined ? null : { ...refusal, topic: found?.topic ?? null };
}
