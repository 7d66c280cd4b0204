// biome-ignore lint/style/noRestrictedImports: the product deletes no topic, and its client cannot.
import kafkajs from 'kafkajs';
import type { KafkaSettings } from '../runtime/config.ts';

/** Deletes the topics whose names begin with `prefix`: what a leg leaves behind would take part in the next one. */
export async function deleteTopics({ brokers }: Pick<KafkaSettings, 'brokers'>, prefix: string): Promise<void> {
  const admin = new kafkajs.Kafka({
    ...{ clientId: 'bench', brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING },
  }).admin();
  await admin.connect();
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  } finally {
    await admin.disconnect();
  }
}
