import { toTimeLimit } from '../runtime/record-times.ts';

/** The result of one check. A `note` is worth knowing, but is not a problem. `remedy`: null if there is none. */
export interface Check {
  readonly area: 'source' | 'Kafka' | 'registry' | 'target' | 'pipeline';
  readonly name: string;
  readonly state: 'ok' | 'note' | 'warning' | 'failing';
  readonly what: string;
  readonly remedy: string | null;
}

/** Makes the checks of one area. */
export function checksOf(area: Check['area']) {
  return {
    ok: (name: string, what: string): Check => ({ area, name, state: 'ok', what, remedy: null }),
    note: (name: string, what: string, remedy: string): Check => ({ area, name, state: 'note', what, remedy }),
    warning: (name: string, what: string, remedy: string): Check => ({ area, name, state: 'warning', what, remedy }),
    failing: (name: string, what: string, remedy: string): Check => ({ area, name, state: 'failing', what, remedy }),
  };
}

/** Settings of a topic that must have certain values. */
export interface TopicSettings {
  readonly partitions: number;
  /** Of the partition with the fewest replicas. */
  readonly replicas: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Required and actual settings of the topics. The connector creates topics that do not exist yet. */
export function toTopicChecks(
  wanted: readonly { topic: string; partitions: number; config: Readonly<Record<string, string>> }[],
  found: ReadonlyMap<string, TopicSettings>,
): Check[] {
  const { ok, warning, failing } = checksOf('Kafka');
  const checks = wanted.flatMap((spec): Check[] => {
    const topic = found.get(spec.topic);
    if (topic === undefined)
      return [
        warning(
          'topics',
          `Topic ${spec.topic} does not exist`,
          'The connector creates it when it starts; if it is there, this user may not describe it.',
        ),
      ];
    const wrong: Check[] = [];
    if (topic.partitions !== spec.partitions)
      wrong.push(
        failing(
          'topics',
          `Topic ${spec.topic} has ${topic.partitions} partitions, ${spec.partitions} are configured`,
          'Set CROSSWALK_PARTITIONS to the existing number: another number would break the order of changes of one row.',
        ),
      );
    for (const [name, value] of Object.entries(spec.config)) {
      const is = topic.config[name];
      if (is === undefined || is === value) continue;
      const alter = `Run kafka-configs --alter --topic ${spec.topic} --add-config ${name}=${value}`;
      if (name.startsWith('retention.') || name === 'cleanup.policy')
        wrong.push(failing('retention', `Topic ${spec.topic} has ${name}=${is}: Kafka removes events`, `${alter}.`));
      else if (name === 'max.message.bytes' && Number(is) < Number(value)) {
        const effect =
          spec.config['cleanup.policy'] === 'compact'
            ? 'larger records are refused'
            : 'larger rows become dead letters';
        wrong.push(warning('topics', `Topic ${spec.topic} has ${name}=${is}: ${effect}`, `${alter}.`));
      } else if (name === 'compression.type' && is !== 'zstd')
        wrong.push(
          warning(
            'topics',
            `Topic ${spec.topic} has ${name}=${is}: Kafka compresses anew what the connector sends`,
            `${alter}.`,
          ),
        );
      else if (name === 'message.timestamp.type')
        wrong.push(
          warning(
            'topics',
            `Topic ${spec.topic} has ${name}=${is}: records have the time of Kafka's clock, and \`rebuild --from\` and \`explain --since\` look in the wrong places`,
            `${alter}.`,
          ),
        );
    }
    const limit = toTimeLimit(spec.topic, topic.config);
    if (limit !== null) wrong.push(failing('topics', limit.what, limit.remedy));
    wrong.push(...toReplicaChecks(spec.topic, topic));
    return wrong;
  });
  return checks.length > 0
    ? checks
    : [ok('topics', `${wanted.length} topics, with partitions and retention as they must be`)];
}

/** The consequences of a topic's settings for its replicas. */
function toReplicaChecks(name: string, { replicas, config }: TopicSettings): Check[] {
  const { warning } = checksOf('Kafka');
  const checks: Check[] = [];
  const least = Number(config['min.insync.replicas'] ?? 1);
  if (least > replicas)
    checks.push(
      warning(
        'replicas',
        `Topic ${name} has min.insync.replicas=${least}, and replicas: ${replicas}. Some versions of Kafka then refuse every record, others keep fewer copies than asked for`,
        `Give the topic more replicas, or run kafka-configs --alter --topic ${name} --add-config min.insync.replicas=${replicas}.`,
      ),
    );
  if (config['unclean.leader.election.enable'] === 'true')
    checks.push(
      warning(
        'replicas',
        `Topic ${name} has unclean.leader.election.enable=true: Kafka may lose records that it has acknowledged`,
        `Run kafka-configs --alter --topic ${name} --add-config unclean.leader.election.enable=false.`,
      ),
    );
  return checks;
}

/** Whether the log still holds the records that each projection has to apply, and is complete for a rebuild. */
export function toLogChecks(
  offsets: ReadonlyMap<string, readonly { low: bigint; high: bigint }[]>,
  stored: readonly { projection: string; topic: string; partition: number; nextOffset: bigint }[],
): Check[] {
  const { ok, warning, failing } = checksOf('Kafka');
  const gaps = stored.flatMap(({ projection, topic, partition, nextOffset }): Check[] => {
    const found = offsets.get(topic)?.[partition];
    if (found === undefined || (found.low <= nextOffset && nextOffset <= found.high)) return [];
    return [
      failing(
        'log',
        `${topic}/${partition} holds offsets ${found.low} to ${found.high}, projection ${projection} goes on at ${nextOffset}`,
        found.low > nextOffset
          ? 'The log was cut: restore the topic, or start the log anew: docs/operations.md, "A lost slot".'
          : 'The topic was re-created, or the target database is newer than Kafka: docs/operations.md, "Restoring".',
      ),
    ];
  });
  const cut = [...offsets].filter(([, partitions]) => partitions.some(({ low }) => low > 0n)).map(([topic]) => topic);
  if (gaps.length > 0) return gaps;
  if (cut.length > 0)
    return [
      warning(
        'log',
        `The beginning of ${cut.join(', ')} is gone: what is projected anew would miss rows`,
        'Have the tables read again: `crosswalk resnapshot`, with their names.',
      ),
    ];
  return [ok('log', 'whole, from its beginning')];
}

/** Time until the server invalidates the slot, at the rate measured between two checks. */
export function toWalChecks(facts: {
  readonly limitMb: number;
  readonly before: { readonly safeBytes: bigint | null; readonly atMs: number };
  readonly now: { readonly safeBytes: bigint | null; readonly atMs: number };
  readonly retainedBytes: bigint | null;
}): Check[] {
  const { ok, warning, failing } = checksOf('source');
  const { limitMb, before, now } = facts;
  const held = `the slot holds ${toMegabytes(facts.retainedBytes ?? 0n)} of log back`;
  if (limitMb < 0)
    return [
      warning(
        'wal',
        `max_slot_wal_keep_size is unlimited: a connector that stays down fills the legacy server's disk; ${held}`,
        "Run as a superuser, with what the disk allows: ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();",
      ),
    ];
  if (now.safeBytes === null) return [];
  const raise = 'Start the connector or let it catch up, or raise max_slot_wal_keep_size.';
  const seconds = Math.max((now.atMs - before.atMs) / 1000, 0.001);
  const rate = before.safeBytes === null ? 0 : Number(before.safeBytes - now.safeBytes) / seconds;
  const left = `${toMegabytes(now.safeBytes)} are left until the server invalidates the slot`;
  if (now.safeBytes <= 0n) return [failing('wal', `${held}; nothing is left until the server invalidates it`, raise)];
  if (rate <= 0) return [ok('wal', `${held}; ${left}, at no rate now`)];
  const secondsLeft = Number(now.safeBytes) / rate;
  const text = `${held}; ${left}, which is ${toTimeText(secondsLeft)} at the rate of now (${toMegabytes(BigInt(Math.round(rate)))}/s)`;
  if (secondsLeft < 600) return [failing('wal', text, raise)];
  return secondsLeft < 7200 ? [warning('wal', text, raise)] : [ok('wal', text)];
}

function toMegabytes(bytes: bigint): string {
  return `${(Number(bytes) / 1e6).toFixed(1)} MB`;
}

function toTimeText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
}
