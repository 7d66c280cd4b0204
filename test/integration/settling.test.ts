// Topics that were made a moment ago have no leader yet: whoever asks for them waits, and is told of nothing.
import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import { expect, test } from 'vitest';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { kafkaSettings } from '../support/kafka-client.ts';
import { stackAddresses } from '../support/stack.ts';

test('the ends of topics are told as soon as there are any', async () => {
  const brokers = stackAddresses().kafkaBrokers.split(',');
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  const kafka = createKafka(kafkaSettings(brokers.join(',')), createLog('silent'));
  await admin.connect();
  const made: string[] = [];
  try {
    for (let round = 0; round < 3; round += 1) {
      const topics = Array.from({ length: 10 }, (_, n) => `settling-${randomBytes(6).toString('hex')}-${n}`);
      made.push(...topics);
      await admin.createTopics({
        waitForLeaders: false,
        topics: topics.map((topic) => ({ topic, numPartitions: 12 })),
      });
      const ends = await kafka.fetchOffsets(topics);
      for (const partitions of ends.values()) expect(partitions).toHaveLength(12);
    }
  } finally {
    await admin.deleteTopics({ topics: made });
    await admin.disconnect();
  }
}, 120_000);
