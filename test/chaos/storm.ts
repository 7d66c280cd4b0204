// Faults at random moments, at most three at a time and never two on the same thing.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import type { FaultKind } from './fault-kinds.ts';

const AT_ONCE = 3;

export interface Storm {
  /** Faults that struck, by kind, in the order of the list of kinds. */
  readonly struck: ReadonlyMap<string, number>;
  /** No further fault; resolves once those under way are over. */
  stop(): Promise<void>;
}

/** Strikes about `perMinute` times a minute until stopped. `onFailure` is told of faults that could not be made, which is the harness's own failure. */
export function startStorm(
  kinds: readonly FaultKind[],
  random: Random,
  perMinute: number,
  onFailure: (error: unknown) => void,
): Storm {
  const struck = new Map(kinds.map(({ name }) => [name, 0]));
  const busy = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  const total = kinds.reduce((sum, { weight }) => sum + weight, 0);

  function choose(): FaultKind {
    let ticket = random.fraction() * total;
    for (const kind of kinds) {
      ticket -= kind.weight;
      if (ticket < 0) return kind;
    }
    return kinds.at(-1)!;
  }

  async function blow(): Promise<void> {
    while (!stopping.signal.aborted) {
      await sleep((60_000 / perMinute) * (0.5 + random.fraction()), undefined, { signal: stopping.signal }).catch(
        () => undefined,
      );
      if (stopping.signal.aborted) return;
      if (busy.size >= AT_ONCE) await Promise.race(busy.values());
      const kind = choose();
      const target = kind.target(random);
      if (busy.has(target)) continue;
      const strike = kind
        .strike(target, random)
        .then((hit) => {
          if (hit) struck.set(kind.name, (struck.get(kind.name) ?? 0) + 1);
        })
        .catch(onFailure)
        .finally(() => busy.delete(target));
      busy.set(target, strike);
    }
  }

  const blowing = blow();
  return {
    struck,
    async stop() {
      stopping.abort();
      await blowing;
      await Promise.all(busy.values());
    },
  };
}
