import {
  type Config,
  deadLetterTopicOf,
  positionTopicOf,
  signalTopicOf,
  topicOf,
  transactionTopicOf,
} from '../runtime/config.ts';
import type { TopicSpec } from '../runtime/kafka.ts';
import { RECORD_TIMES } from '../runtime/record-times.ts';
import { stopTopicOf } from '../runtime/stop-records.ts';

/** What a cluster's own defaults must not decide. Batches stay as they are sent; rows of several megabytes pass. */
const EVERY_TOPIC = { ...RECORD_TIMES, 'compression.type': 'producer', 'max.message.bytes': '16777216' };

/** The log is the truth: nothing is ever deleted or compacted away. */
const KEEP_FOREVER = {
  ...EVERY_TOPIC,
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
};

/** Of positions only the last one counts; small segments, because the one being written is never compacted. */
const KEEP_LAST = {
  ...EVERY_TOPIC,
  'cleanup.policy': 'compact',
  'segment.bytes': '16777216',
  'min.cleanable.dirty.ratio': '0.1',
};

/** Every topic that the connector writes, that of signals, which it reads, and that of the last lines of processes. */
export function topicSpecs(config: Config): TopicSpec[] {
  const { partitions, replicationFactor } = config;
  return [
    ...config.tables.map((table) => ({
      topic: topicOf(config, table),
      partitions,
      replicationFactor,
      config: KEEP_FOREVER,
    })),
    { topic: transactionTopicOf(config), partitions: 1, replicationFactor, config: KEEP_FOREVER },
    { topic: positionTopicOf(config), partitions: 1, replicationFactor, config: KEEP_LAST },
    { topic: deadLetterTopicOf(config), partitions: 1, replicationFactor, config: KEEP_LAST },
    { topic: signalTopicOf(config), partitions: 1, replicationFactor, config: KEEP_FOREVER },
    { topic: stopTopicOf(config), partitions: 1, replicationFactor, config: KEEP_LAST },
  ];
}
