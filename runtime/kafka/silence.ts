import { CrosswalkError } from '../errors.ts';

/** Longer than the pauses of a broker that does its work. */
export const SILENCE_MS = 40_000;

/** A range of which nothing comes. `at`: partitions and where they are. */
export function toSilent(brokers: string, at: string): CrosswalkError {
  return new CrosswalkError(
    'server_down.silence',
    `Kafka ${brokers} has delivered nothing for ${SILENCE_MS / 1000} s, of ${at}`,
  );
}
