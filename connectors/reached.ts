import type { Position } from './position.ts';
import { createResentCheck } from './resent.ts';
import type { SourceTransaction } from './source-transaction.ts';

export type Reached = ReturnType<typeof createReached>;

/**
 * Position up to which the stream was handled, and the one stored in Kafka. Only moves forward, and only between source
 * transactions: after a restart, a position inside of one would skip its first half as known. Does not move until the
 * resent transactions are verified against the stored position.
 */
export function createReached(stored: Position) {
  const resent = createResentCheck(stored);
  const { reread: _, ...start } = stored;
  let position: Omit<Position, 'offsets'> = start;
  let writtenLsn = stored.lsn;
  return {
    /** The stored position, moved forward. The caller adds the rest: initial load, tables, source. */
    position: () => position,

    /** Whether the position is ahead of the stored one. */
    isAhead: () => position.lsn > writtenLsn,

    /** A position with this LSN is in Kafka. */
    written(lsn: bigint): void {
      writtenLsn = lsn;
    },

    /** Everything before this LSN was sent. */
    pass(lsn: bigint): void {
      if (lsn <= position.lsn) return;
      resent.settle();
      position = { ...position, lsn };
    },

    /** A transaction was handled that ends before this LSN. */
    passTransaction({ isKnown, id, commitMicros }: SourceTransaction, endLsn: bigint): void {
      if (isKnown) resent.pass(id);
      if (endLsn <= position.lsn) return;
      resent.settle();
      position = { ...position, lsn: endLsn, sourceMicros: commitMicros, last: id };
    },
  };
}
