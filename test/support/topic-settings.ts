import kafkajs from 'kafkajs';
import { topicSpecs } from '../../connectors/topics.ts';
import type { Config } from '../../runtime/config.ts';

/** Gives a topic of the connector the settings that it must have, with these in their place. `brokers`: comma-separated. */
export async function alterTopic(
  config: Config,
  brokers: string,
  topic: string,
  changed: Readonly<Record<string, string>>,
): Promise<void> {
  const spec = topicSpecs(config).find((candidate) => candidate.topic === topic)!;
  const configEntries = Object.entries({ ...spec.config, ...changed }).map(([name, value]) => ({ name, value }));
  const admin = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin
    .alterConfigs({
      validateOnly: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
    })
    .finally(() => admin.disconnect());
}
