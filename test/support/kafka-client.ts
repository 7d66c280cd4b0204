import type { KafkaSettings } from '../../runtime/config.ts';
import { parseConfig } from './crm.ts';

const chosen = process.env.CROSSWALK_KAFKA_CLIENT;

/** The Kafka client that whoever runs the tests has chosen with CROSSWALK_KAFKA_CLIENT, for the environment of what is tested. */
export const kafkaClientEnv: Readonly<Record<string, string>> =
  chosen === undefined || chosen === '' ? {} : { CROSSWALK_KAFKA_CLIENT: chosen };

/** Settings of a client of these brokers (comma separated), of the chosen kind. */
export function kafkaSettings(brokers: string): KafkaSettings {
  return parseConfig({ KAFKA_BROKERS: brokers, ...kafkaClientEnv }).kafka();
}
