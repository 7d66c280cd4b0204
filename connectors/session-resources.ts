import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import { pause } from '../runtime/retry.ts';
import type { ConnectorStatus } from './status.ts';

/** What every step of a session works with. */
export interface Session {
  readonly config: Config;
  readonly status: ConnectorStatus;
  readonly log: Log;
  /** Its signal is raised where the session ends, for whatever reason: whoever finds one raises it. */
  readonly ending: AbortController;
  readonly resources: Resources;
}

const RELEASE_TIMEOUT_MS = 2000;

export type Resources = ReturnType<typeof createResources>;

/** What a session has opened: all of it is released at its end, last in, first out. */
export function createResources() {
  const releases: (() => Promise<unknown>)[] = [];
  let isOver = false;
  return {
    add(release: () => Promise<unknown>): void {
      releases.push(release);
    },

    /** Has the end of the session release what is being opened, also where it is open only after that. */
    async hold<T>(opening: Promise<T>, release: (opened: T) => Promise<unknown>): Promise<T> {
      const opened = await opening;
      if (isOver) await release(opened).catch(() => undefined);
      else releases.push(() => release(opened));
      return opened;
    },

    /** Bounded: a server that is gone must not keep this process from ending or starting over. */
    async release(): Promise<void> {
      isOver = true;
      for (const release of releases.reverse()) {
        const waited = new AbortController();
        await Promise.race([release().catch(() => undefined), pause(RELEASE_TIMEOUT_MS, waited.signal)]);
        waited.abort();
      }
    },
  };
}
