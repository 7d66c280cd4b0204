import { Failure } from './error-codes.ts';

/** What Kafka takes for no limit. */
const NO_LIMIT = '9223372036854775807';
const BEFORE = 'message.timestamp.before.max.ms';
const AFTER = 'message.timestamp.after.max.ms';
/** The only one of brokers before 3.6; up to 3.9 it counts where the others are at their defaults. */
const EITHER = 'message.timestamp.difference.max.ms';
const TYPE = 'message.timestamp.type';

type TopicConfig = Readonly<Record<string, string>>;

/** Records have the time of their source's commit, whatever Kafka's own clock says. */
export const RECORD_TIMES: TopicConfig = { [TYPE]: 'CreateTime', [BEFORE]: NO_LIMIT, [AFTER]: NO_LIMIT };

/** The same settings with the names that brokers know: of 3.6 to 3.9, since 4.0, before 3.6. A broker refuses those that it does not know. */
export function spellRecordTimes(config: TopicConfig): readonly TopicConfig[] {
  if (config[AFTER] !== NO_LIMIT) return [config];
  const { [BEFORE]: _, [AFTER]: __, ...rest } = config;
  return [{ ...config, [EITHER]: NO_LIMIT }, config, { ...rest, [EITHER]: NO_LIMIT }];
}

/** What is wrong, and what to do, as `doctor` and the process that meets it say it. */
export interface Refusal {
  readonly what: string;
  readonly failure: Failure;
  readonly remedy: string;
}

/** Limits on the times of a topic's records; null where it has none. `config`: all settings of the topic that its broker knows. */
export function toTimeLimit(topic: string, config: TopicConfig): Refusal | null {
  if (config[TYPE] === 'LogAppendTime') return null;
  const limited = [BEFORE, AFTER, EITHER].filter((name) => (config[name] ?? NO_LIMIT) !== NO_LIMIT);
  if (limited.length === 0) return null;
  const settings = limited.map((name) => `${name}=${NO_LIMIT}`).join(',');
  const failure = Failure.of('topic_misconfigured.time_limit', { topic, settings });
  return {
    failure,
    remedy: failure.remedy,
    what: `Topic ${topic} has ${limited.map((name) => `${name}=${config[name]}`).join(' and ')}: Kafka refuses records whose time, that of the legacy server's clock, is further from its own`,
  };
}

/** The first of the topics that refuses a record of some time: that with the narrowest limit. */
export function toTimeRefusal(topics: ReadonlyMap<string, TopicConfig>): Refusal | null {
  const narrowest = (config: TopicConfig) =>
    [BEFORE, AFTER, EITHER].map((name) => BigInt(config[name] ?? NO_LIMIT)).reduce((a, b) => (a < b ? a : b));
  const limited = [...topics].flatMap(([topic, config]) => {
    const limit = toTimeLimit(topic, config);
    return limit === null ? [] : [{ limit, narrowest: narrowest(config) }];
  });
  limited.sort((a, b) => (a.narrowest < b.narrowest ? -1 : a.narrowest > b.narrowest ? 1 : 0));
  return limited[0]?.limit ?? null;
}
