import type pg from 'pg';
import { toCrosswalkError } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/log.ts';

export type Readers = ReturnType<typeof createReaders>;

/**
 * The additional reading connections: opened if a table has more than one chunk, and closed when there is nothing to
 * read, since a firewall cuts connections that idle for days.
 */
export function createReaders(openReader: (name: string) => Promise<pg.Client>, log: Log) {
  const others = new Map<number, Promise<pg.Client | null>>();
  return {
    /** The connection at this index; null if it cannot be opened: then the others read. */
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
