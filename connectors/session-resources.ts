import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import { pause } from '../runtime/retry.ts';
import type { ConnectorStatus } from './status.ts';

/** Common state of a session. */
export interface Session {
  readonly config: Config;
  readonly status: ConnectorStatus;
  readonly log: Log;
  /** Aborted when the session ends, by any part that finds a reason. */
  readonly ending: AbortController;
  readonly resources: Resources;
}

const RELEASE_TIMEOUT_MS = 2000;

export type Resources = ReturnType<typeof createResources>;

/** Resources of a session: released at its end, last in, first out. */
export function createResources() {
  const releases: (() => Promise<unknown>)[] = [];
  let isOver = false;
  return {
    add(release: () => Promise<unknown>): void {
      releases.push(release);
    },

    /** Releases a resource at the end of the session, even if it finishes opening only after that. */
    async hold<T>(opening: Promise<T>, release: (opened: T) => Promise<unknown>): Promise<T> {
      const opened = await opening;
      if (isOver) await release(opened).catch(() => undefined);
      else releases.push(() => release(opened));
      return opened;
    },

    /** Bounded: an unreachable server must not keep this process from ending or restarting. */
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
