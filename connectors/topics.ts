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

/** Settings that must not depend on cluster defaults. Batches stay as sent; rows of several megabytes fit. */
const EVERY_TOPIC = { ...RECORD_TIMES, 'compression.type': 'producer', 'max.message.bytes': '16777216' };

/** The log is the source of truth: nothing is ever deleted or compacted. */
const KEEP_FOREVER = {
  ...EVERY_TOPIC,
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
};

/** Only the last position counts. Small segments, because the active one is never compacted. */
const KEEP_LAST = {
  ...EVERY_TOPIC,
  'cleanup.policy': 'compact',
  'segment.bytes': '16777216',
  'min.cleanable.dirty.ratio': '0.1',
};

/**
 * Every topic that the connector writes, the signal topic, which it reads, and the stop topic, for why processes
 * stopped.
 */
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
