import { CrosswalkError, toCrosswalkError } from './errors.ts';

/** What a server answered; down: it does not answer, and may come back; refused: it answers, and somebody must act. */
export type Reading<T> =
  | ({ readonly state: 'up' } & T)
  | { readonly state: 'down' | 'refused'; readonly problem: string; readonly remedy: string };

/** Runs `read` for at most `limitMs`, then raises its signal and goes on without it. Never throws. */
export async function readWithin<T extends object>(
  limitMs: number,
  what: string,
  read: (signal: AbortSignal) => Promise<T>,
): Promise<Reading<T>> {
  const limit = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    limit.abort();
    late.reject(new CrosswalkError('server_down', `${what}: no answer within ${limitMs / 1000} s`));
  }, limitMs);
  try {
    return { state: 'up', ...(await Promise.race([read(limit.signal), late.promise])) };
  } catch (thrown) {
    const error = toCrosswalkError(thrown, what);
    return { state: error.tries > 1 ? 'down' : 'refused', problem: error.message, remedy: error.remedy };
  } finally {
    clearTimeout(timer);
  }
}
