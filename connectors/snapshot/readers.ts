import type pg from 'pg';
import { toCrosswalkError } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/log.ts';

export type Readers = ReturnType<typeof createReaders>;

/** The connections that read beside the first one: opened where a table has more than a chunk, and ended when there is nothing to read: one that idles for days is one that a firewall cuts. */
export function createReaders(openReader: (name: string) => Promise<pg.Client>, log: Log) {
  const others = new Map<number, Promise<pg.Client | null>>();
  return {
    /** The connection of this place; null where it is not to be had: then the others read. */
    open(at: number, signal: AbortSignal): Promise<pg.Client | null> {
      const known = others.get(at);
      if (known !== undefined) return known;
      const opening = openReader(`snapshot-${at + 1}`).catch((error: unknown) => {
        signal.throwIfAborted();
        log.warn(`one connection less reads tables: ${toCrosswalkError(error, 'legacy database').message}`);
        return null;
      });
      others.set(at, opening);
      return opening;
    },

    end(): void {
      for (const opening of others.values()) void opening.then((reader) => reader?.end()).catch(() => undefined);
      others.clear();
    },
  };
}
