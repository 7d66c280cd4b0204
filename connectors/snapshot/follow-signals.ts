import { type Config, signalTopicOf } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import type { Snapshot } from './snapshot.ts';

/** Delay before retrying after signals could not be read. */
const AGAIN_MS = 5000;

/**
 * Passes the signals for this slot to the snapshot, until `signal` aborts. Never throws and never blocks other work: if
 * signals cannot be read, none are received, and reading is retried.
 */
export async function followSignals(
  kafka: Pick<Kafka, 'fetchSettledOffsets' | 'follow'>,
  config: Pick<Config, 'topicPrefix' | 'slot'>,
  snapshot: Pick<Snapshot, 'state' | 'signal' | 'signalsFrom' | 'signalsCaughtUp'>,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  const topic = signalTopicOf(config);
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  while (!signal.aborted) {
    let reader: { close(): Promise<void> } | null = null;
    try {
      const broken = Promise.withResolvers<never>();
      broken.promise.catch(() => undefined);
      const next = BigInt(snapshot.state().signals.next);
      const ends = await kafka.fetchSettledOffsets(new Map([[topic, [next]]]));
      const end = ends.get(topic)?.[0]?.high;
      // A response without the topic does not give its end: an end of 0 would fail every waiting request.
      if (end === undefined) throw new CrosswalkError('server_down.again', `Kafka does not name topic ${topic}`);
      const from = snapshot.signalsFrom(end);
      reader = await kafka.follow(topic, from, {
        onRecord: ({ key, offset, value }) => {
          if (!signal.aborted && key?.toString() === config.slot) snapshot.signal(offset, value);
        },
        onCaughtUp: (error) => (error === undefined ? snapshot.signalsCaughtUp() : broken.reject(error)),
        onEnd: broken.reject,
      });
      await Promise.race([aborted, broken.promise]);
    } catch (error) {
      if (!signal.aborted) log.warn(toCrosswalkError(error, 'signals').message);
    } finally {
      // Leaving the group takes a round trip that needs no waiting.
      void reader?.close().catch(() => undefined);
    }
    await pause(AGAIN_MS, signal);
  }
}
