import type { Config } from './config.ts';
import type { ErrorCode } from './error-codes.ts';
import { type CrosswalkError, toErrorLine } from './errors.ts';
import type { Kafka } from './kafka.ts';
import type { Log } from './log.ts';
import { readWithin } from './reading.ts';

/** Why a process ended that a person must restart: its last line, stored where `status` finds it. */
export interface StopRecord {
  readonly code: ErrorCode;
  /** Cause and next step, as reported by the process. */
  readonly line: string;
  /** Its progress at that time. A process that has progressed further has overcome the stop. */
  readonly progress: string;
  /** ISO 8601, by the clock of the process. */
  readonly at: string;
}

/** Time limit for a process that is ending. */
const LIMIT_MS = 5000;

/** Names of processes in the topic. */
export const CONNECTOR = 'connector';
export const projectionProcess = (projection: string) => `projection ${projection}`;

/** Topic of the last lines of processes; its key is the process: `connector`, or `projection <name>`. */
export function stopTopicOf(config: Pick<Config, 'topicPrefix'>): string {
  return `${config.topicPrefix}.crosswalk.stop`;
}

/** Records why a process ends. Never throws: if Kafka is the problem, nothing is written. */
export async function recordStop(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix'>,
  stopped: { process: string; error: CrosswalkError; readProgress: () => Promise<string>; log: Log },
): Promise<void> {
  const { process, error, readProgress, log } = stopped;
  const written = await readWithin(LIMIT_MS, 'Kafka', async () => {
    const record: StopRecord = {
      code: error.code,
      line: toErrorLine(error),
      progress: await readProgress(),
      at: new Date().toISOString(),
    };
    const value = Buffer.from(JSON.stringify(record));
    return { offset: await kafka.append(stopTopicOf(config), { key: Buffer.from(process), value }) };
  });
  if (written.state !== 'up')
    log.debug({ problem: written.problem }, 'why this process ends could not be written down');
}

/** The last stop of a process, unless it has progressed since; null if there is none. */
export function toCurrentStop(
  stops: ReadonlyMap<string, StopRecord>,
  process: string,
  progress: string,
): StopRecord | null {
  const stop = stops.get(process);
  return stop?.progress === progress ? stop : null;
}

/** The last stop of each process. */
export async function readStops(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix'>,
): Promise<ReadonlyMap<string, StopRecord>> {
  const stops = new Map<string, StopRecord>();
  await kafka.readAll(stopTopicOf(config), ({ key, value }) => {
    if (key !== null && value !== null) stops.set(key.toString(), JSON.parse(value.toString()) as StopRecord);
  });
  return stops;
}
