import { setTimeout as sleep } from 'node:timers/promises';
import type { Failure } from './error-codes.ts';
import { CrosswalkError, toCrosswalkError } from './errors.ts';
import type { Log } from './log.ts';

/** Waits `ms`, or until the signal is raised; never throws. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * Runs `attempt` until it succeeds, an error is thrown that waiting does not heal, or the signal is raised (then throws its reason).
 * Says once a cause what it is waiting for, and when it has come back. Back-off 100 ms to 3 s.
 */
export async function untilUp<T>(
  what: string,
  attempt: () => Promise<T>,
  options: { log: Log; signal: AbortSignal },
): Promise<T> {
  let said = '';
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 3000)) {
    options.signal.throwIfAborted();
    try {
      const result = await attempt();
      if (said !== '') options.log.info(`${what} is up`);
      return result;
    } catch (thrown) {
      const error = toCrosswalkError(thrown, what);
      if (!error.waits) throw error;
      if (error.message !== said) options.log.warn({ code: error.code }, `waiting for ${error.message}`);
      said = error.message;
      await pause(waitMs, options.signal);
    }
  }
}

/** Throws `late` after `timeoutMs` (0: never) unless `reached` answered true before; asks every `everyMs`. */
export async function untilTrue(
  what: string,
  reached: () => Promise<boolean>,
  options: { everyMs: number; timeoutMs: number; signal: AbortSignal; late: Failure },
): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await reached())) {
    options.signal.throwIfAborted();
    if (options.timeoutMs > 0 && performance.now() - startedAtMs > options.timeoutMs) {
      throw new CrosswalkError(options.late, `${what}: not reached within ${Math.round(options.timeoutMs / 1000)} s`);
    }
    await pause(options.everyMs, options.signal);
  }
}

/**
 * Counts the failures of a process that starts over after each one. `failed` returns the error to end with once one has come back as often as its code allows without progress in
 * between (`tries` in errors.ts), and null while it is worth another try. `progress` changes whenever something got done, `place` names the point reached. What waiting heals is never counted.
 */
export function createPatience(): {
  failed(error: CrosswalkError, progress: string, place: string): CrosswalkError | null;
} {
  let failures = 0;
  let last: string | null = null;
  return {
    failed(error, progress, place) {
      if (progress !== last) failures = 0;
      last = progress;
      if (error.waits) return null;
      failures += 1;
      if (failures < error.tries) return null;
      if (error.code !== 'unexpected' && error.code !== 'columns_changed') return error;
      return new CrosswalkError(
        'stuck',
        `${error.message.replace(/\.$/, '')}: ${failures} times without getting any further, at ${place}`,
        { cause: error },
      );
    },
  };
}
