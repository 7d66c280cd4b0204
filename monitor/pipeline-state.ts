import { toLsnText } from '../changes/lsn.ts';
import { readOpenKeys } from '../connectors/dead-letters.ts';
import type { Position } from '../connectors/position.ts';
import { toSecondsLeft } from '../connectors/snapshot/request.ts';
import { readPosition } from '../projectors/read-position.ts';
import { type Config, topicOf } from '../runtime/config.ts';
import { createKafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf } from '../runtime/postgres.ts';
import { type Reading, readWithin } from '../runtime/reading.ts';
import { pause } from '../runtime/retry.ts';
import { CONNECTOR, projectionProcess, readStops, type StopRecord, toCurrentStop } from '../runtime/stop-records.ts';
import { type PartitionLag, type SourceLag, sharpenLags, toPartitionLags, toSourceLag } from './lag.ts';
import { type LegacyState, readLegacy, readTarget, type TargetState } from './pipeline-queries.ts';

/**
 * How much of one captured table the initial load has written; `rows` null where the position is not known. `estimatedRows`: the server's statistics, null without any.
 * `rowsPerSecond`, `secondsLeft`: of the table that is being read, as of the last chunk.
 */
export interface TableState {
  readonly table: string;
  readonly rows: number | null;
  readonly done: boolean;
  readonly estimatedRows: number | null;
  readonly rowsPerSecond?: number;
  readonly secondsLeft?: number | null;
}

/** The state of a projection. */
export interface ProjectionState {
  readonly projection: string;
  readonly topic: string;
  readonly partitions: readonly PartitionLag[];
  readonly parked: number;
  readonly parkedSeconds: number;
  readonly deadLetters: number;
  /** Why its last process ended, where it got no further since. */
  readonly stop?: StopRecord | null;
}

/** The pipeline, observed from outside. Values that are unknown because a server is down are null or empty. */
export interface PipelineState {
  readonly legacy: Reading<LegacyState>;
  /** `deadLetters`: rows whose last version is too large for its topic. */
  readonly kafka: Reading<{
    readonly position: Position | null;
    readonly deadLetters: number;
    /** Why the last connector ended, where it got no further since. */
    readonly stop?: StopRecord | null;
  }>;
  readonly target: Reading<TargetState>;
  /** Null without a stored position. */
  readonly source: SourceLag | null;
  readonly tables: readonly TableState[];
  readonly projections: readonly ProjectionState[];
}

/** The projections to observe, by name and legacy table. */
export type Watched = readonly { readonly name: string; readonly source: string }[];

const LIMIT_MS = 5000;
/** Time between two checks if the first one found lag. */
const SECOND_LOOK_MS = 1000;

/**
 * Reads the state of the pipeline without taking part in it. Never waits for a server for longer than 5 s: one that does not respond, or refuses, is
 * reported as such. Throws `config_invalid` where an address is missing.
 */
export async function readPipelineState(
  config: Config,
  watched: Watched,
  options: { log: Log; signal: AbortSignal },
): Promise<PipelineState> {
  const first = await readOnce(config, watched, options.log);
  const isLate = (lag: PartitionLag) => lag.lagOffsets > 0n && (lag.lagSeconds ?? Infinity) > config.lagWarningSeconds;
  if (!first.projections.some((projection) => projection.partitions.some(isLate))) return first;
  await pause(SECOND_LOOK_MS, options.signal);
  const second = await readOnce(config, watched, options.log);
  const before = positionOf(first.kafka);
  const after = positionOf(second.kafka);
  if (before === null || after === null) return second;
  return {
    ...second,
    projections: second.projections.map((projection) => ({
      ...projection,
      partitions: sharpenLags(
        first.projections.find((earlier) => earlier.projection === projection.projection)?.partitions ?? [],
        projection.partitions,
        after.sourceMicros - before.sourceMicros,
      ),
    })),
  };
}

async function readOnce(config: Config, watched: Watched, log: Log): Promise<PipelineState> {
  const legacyUrl = config.legacyUrl();
  const targetUrl = config.targetUrl();
  const settings = config.kafka();
  const readKafka = () =>
    readWithin(LIMIT_MS, `Kafka ${settings.brokers.join(',')}`, async () => {
      const kafka = createKafka(settings, log);
      const [position, open, stops] = await Promise.all([
        readPosition(kafka, config),
        readOpenKeys(kafka, config),
        readStops(kafka, config),
      ]);
      return {
        position,
        deadLetters: open.length,
        stop: toCurrentStop(stops, CONNECTOR, toLsnText(position?.lsn ?? 0n)),
        stops,
      };
    });
  const [legacy, firstKafka, target] = await Promise.all([
    readWithin(LIMIT_MS, `legacy database ${addressOf(legacyUrl)}`, (signal) => readLegacy(legacyUrl, config, signal)),
    readKafka(),
    readWithin(LIMIT_MS, `target database ${addressOf(targetUrl)}`, (signal) => readTarget(config, signal)),
  ]);
  let kafka = firstKafka;
  let position = positionOf(kafka);
  const confirmed = legacy.state === 'up' ? legacy.slot?.confirmedLsn : null;
  // Read at the same time as the slot: a position read earlier may already be outdated.
  if (position !== null && confirmed != null && confirmed > position.lsn) {
    kafka = await readKafka();
    position = positionOf(kafka);
  }
  return {
    legacy,
    kafka,
    target,
    source: position !== null && legacy.state === 'up' ? toSourceLag(position, legacy) : null,
    tables: config.tables.map((table) => {
      const progress = position?.snapshot[table];
      const estimatedRows = (legacy.state === 'up' ? legacy.estimatedRows[table] : null) ?? null;
      // An old rate does not count if nothing is being read now.
      const isRead = legacy.state === 'up' && legacy.slot?.active === true && position?.signals?.isLoadPaused !== true;
      const rate = isRead && progress?.done === false ? progress.rowsPerSecond : undefined;
      return {
        table,
        rows: kafka.state === 'up' ? (progress?.rows ?? 0) : null,
        done: progress?.done ?? false,
        estimatedRows,
        ...(rate === undefined
          ? {}
          : {
              rowsPerSecond: rate,
              secondsLeft: toSecondsLeft(progress!.rows, estimatedRows, { rowsPerSecond: rate }),
            }),
      };
    }),
    projections: watched.map(({ name, source }) => {
      const topic = topicOf(config, source);
      const counts = target.state === 'up' ? target.projections[name] : undefined;
      return {
        projection: name,
        topic,
        partitions:
          position !== null && target.state === 'up' ? toPartitionLags(name, topic, position, target.offsets) : [],
        parked: counts?.parked ?? 0,
        parkedSeconds: counts?.parkedSeconds ?? 0,
        deadLetters: counts?.deadLetters ?? 0,
        stop:
          kafka.state === 'up'
            ? toCurrentStop(kafka.stops, projectionProcess(name), appliedOf(target, name, topic))
            : null,
      };
    }),
  };
}

/** In the form that the process records: the sum of its offsets. */
function appliedOf(target: PipelineState['target'], projection: string, topic: string): string {
  const own =
    target.state === 'up' ? target.offsets.filter((row) => row.projection === projection && row.topic === topic) : [];
  return String(own.reduce((sum, { nextOffset }) => sum + nextOffset, 0n));
}

function positionOf(kafka: PipelineState['kafka']): Position | null {
  return kafka.state === 'up' ? kafka.position : null;
}
