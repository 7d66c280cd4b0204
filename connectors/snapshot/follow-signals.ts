import { type Config, signalTopicOf } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import type { Snapshot } from './snapshot.ts';

/** How long the signals are left alone after they could not be read. */
const AGAIN_MS = 5000;

/**
 * Hands the signals for this slot to the snapshot, until the signal is raised. Never throws, and holds nothing up: where they cannot be read, nothing is heard, and they
 * are tried again.
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
      // An answer without the topic says nothing of where it ends: taken for 0, it would end every request that waits.
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
      // Leaving the group takes a round trip nobody waits for.
      void reader?.close().catch(() => undefined);
    }
    await pause(AGAIN_MS, signal);
  }
}
