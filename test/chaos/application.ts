// The legacy application at work through crashes of its database: it reconnects and goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { startTraffic, type Traffic } from '../../pipelines/crm/sample/traffic.ts';

export interface Application {
  /** Row changes that were confirmed to it. */
  changes(): number;
  stop(): Promise<void>;
}

/** Works on the legacy database until stopped, about `changesPerSecond` row changes a second. */
export function startApplication(url: string, seed: string, changesPerSecond: number): Application {
  let isStopping = false;
  let before = 0;
  let current: Traffic | null = null;
  const work = (async () => {
    for (let run = 0; !isStopping; run++) {
      current = startTraffic({ url, seed, run: `run ${run}`, changesPerSecond, largestTransaction: 200 });
      await current.done.catch(() => undefined);
      before += current.progress().rowChanges;
      current = null;
      if (!isStopping) await sleep(500);
    }
  })();
  return {
    changes: () => before + (current?.progress().rowChanges ?? 0),
    async stop() {
      isStopping = true;
      await current?.stop().catch(() => undefined);
      await work;
    },
  };
}
