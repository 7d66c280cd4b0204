import { CrosswalkError } from '../runtime/errors.ts';
import type { Health } from './health.ts';

const EVERY_MS = 5000;

/**
 * Gives a process up once it is stalled: it has work and does not get on with it, for a reason that it cannot see itself, such as a connection that is silent for ever. Whoever keeps
 * it running starts it again, and it goes on from its stored position.
 */
export function watchStall(health: () => Health, giveUp: (error: CrosswalkError) => void): { close(): void } {
  const timer = setInterval(() => {
    const { sign, reason } = health();
    if (sign !== 'stalled') return;
    giveUp(new CrosswalkError('stalled.ends', `Stalled: ${reason}`));
  }, EVERY_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}
