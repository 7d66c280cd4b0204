import type { Config } from './config.ts';
import type { ErrorCode } from './error-codes.ts';
import { type CrosswalkError, toErrorLine } from './errors.ts';
import type { Kafka } from './kafka.ts';
import type { Log } from './log.ts';
import { readWithin } from './reading.ts';

/** Why a process ended that a person must start again: its last line, kept where `status` finds it. */
export interface StopRecord {
  readonly code: ErrorCode;
  /** Cause and next step, as the process said them. */
  readonly line: string;
  /** How far it had got. What has got further since has left the stop behind. */
  readonly progress: string;
  /** ISO 8601, by the clock of the process. */
  readonly at: string;
}

/** A process that ends does not wait for longer. */
const LIMIT_MS = 5000;

/** Names of processes in the topic. */
export const CONNECTOR = 'connector';
export const projectionProcess = (projection: string) => `projection ${projection}`;

/** Topic of the last lines of processes; its key is the process: `connector`, or `projection <name>`. */
export function stopTopicOf(config: Pick<Config, 'topicPrefix'>): string {
  return `${config.topicPrefix}.crosswalk.stop`;
}

/** Writes down why a process ends. Never throws: where Kafka is what is wrong, nothing is written. */
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

/** The stop of a process that nothing has left behind: null where there is none, or it got further since. */
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
