import { type Config, positionTopicOf, topicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { createHopTrace } from '../runtime/hop-trace.ts';
import { createKafka, type Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf } from '../runtime/postgres.ts';
import { untilUp } from '../runtime/retry.ts';
import { projectionProcess, recordStop } from '../runtime/stop-records.ts';
import { createRegistry } from '../schemas/avro/registry.ts';
import { consume, type Feed } from './consume.ts';
import { createChangeDecoder } from './decode.ts';
import { CONCURRENCY } from './feed-member.ts';
import { recordPositions } from './log-position.ts';
import type { Projection, Tenants } from './projection.ts';
import { toldColumnsOf } from './read-position.ts';
import { createProjectorPool, liveNamespace } from './session.ts';
import type { ProjectionStatus } from './status.ts';
import { stoppedBy } from './stopped-by.ts';
import { keepUp } from './upkeep.ts';
import { readTargetShapes } from './write/catalog.ts';
import { readAppliedOffsets } from './write/offsets.ts';

/** Runs one projector process until the signal is aborted. It joins one consumer group for its projections of each source. Throws a CrosswalkError that needs an operator. */
export async function runProjectors(
  config: Config,
  projections: readonly Projection[],
  tenants: Tenants,
  statuses: ReadonlyMap<string, ProjectionStatus>,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  const url = config.targetUrl();
  const pool = createProjectorPool(
    url,
    'projector',
    projections.length * CONCURRENCY + 2,
    liveNamespace(config.targetSchema),
    {
      isReplayable: true,
    },
  );
  const kafka = createKafka(config.kafka(), log);
  const { url: baseUrl, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  const ended = new AbortController();
  const trace = createHopTrace(log, config.traceSeconds);
  let recording: Promise<void> | null = null;
  let upkeep: Promise<void> | null = null;
  try {
    const shapes = await untilUp(
      `target database ${addressOf(url)}`,
      () => readTargetShapes(pool, projections),
      options,
    );
    upkeep = keepUp(url, { everySeconds: config.dashboardSeconds, log, signal: ended.signal });
    await untilUp(`Kafka ${kafka.brokers}`, () => kafka.fetchClusterId(), options);
    await untilUp('the connector, which creates the topics', () => assertTopics(kafka, config, projections), options);
    recording = recordPositions(config, kafka, { log, signal: ended.signal });
    // An error that needs an operator ends the process; the other feeds finish their current batches.
    const stopping = new AbortController();
    const running = [...Map.groupBy(projections, ({ source }) => source)].map(async ([source, together]) => {
      const readToldColumns = toldColumnsOf(kafka, config, source);
      const feed: Feed = {
        // The group is named after these projections: processes that run other projections of the source get their own partitions.
        groupId: [config.topicPrefix, 'crosswalk', ...together.map(({ name }) => name)].join('.'),
        ...{ source, pool, batchRows: config.batchRows },
        decoder: createChangeDecoder(together, registry, { readToldColumns }),
        members: together.map((projection) => ({
          applier: {
            ...{ projection, tenants, shapes },
            decoder: createChangeDecoder(projection, registry, { readToldColumns }),
          },
          status: statuses.get(projection.name)!,
        })),
      };
      await consume(config, kafka, feed, {
        log: log.child({ projections: together.map(({ name }) => name).join(' ') }),
        signal: AbortSignal.any([signal, stopping.signal]),
        trace,
      }).catch(async (error: CrosswalkError) => {
        const stopped = stoppedBy(error);
        for (const { name } of together) {
          if (stopped !== null && name !== stopped) continue;
          const readProgress = () => readAppliedOffsets(pool, name, topicOf(config, source));
          await recordStop(kafka, config, { process: projectionProcess(name), error, readProgress, log });
        }
        throw error;
      });
    });
    for (const each of running) each.catch((error: unknown) => stopping.abort(error));
    await Promise.allSettled(running);
    await Promise.all(running);
  } finally {
    ended.abort();
    trace?.close();
    await recording;
    await upkeep;
    registry.close();
    await pool.end();
  }
}

async function assertTopics(kafka: Kafka, config: Config, projections: readonly Projection[]): Promise<void> {
  const topics = [positionTopicOf(config), ...projections.map((projection) => topicOf(config, projection.source))];
  const found = await kafka.fetchOffsets(topics);
  const missing = topics.filter((topic) => !found.has(topic));
  if (missing.length > 0) throw new CrosswalkError('server_down.connector', `topic ${missing[0]} does not exist yet`);
}
