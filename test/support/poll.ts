import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again until the answer is as expected, and returns it. Throws with the last answer when it never is. */
export async function pollUntil<T>(
  ask: () => Promise<T>,
  isIt: (answer: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after ${timeoutMs} ms`);
    await sleep(25);
  }
}
