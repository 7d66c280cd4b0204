import type { Position } from './position.ts';
import { createResentCheck } from './resent.ts';
import type { SourceTransaction } from './source-transaction.ts';

export type Reached = ReturnType<typeof createReached>;

/**
 * Up to where the stream has been handled, and up to where it is in Kafka. It moves forward alone, and only between two source transactions: a position in the middle of one would have its
 * first half skipped as known after a restart. Nothing moves it before what the server sends again has been found to be what was stored.
 */
export function createReached(stored: Position) {
  const resent = createResentCheck(stored);
  const { reread: _, ...start } = stored;
  let position: Omit<Position, 'offsets'> = start;
  let writtenLsn = stored.lsn;
  return {
    /** The stored position, moved on. What is kept by others they add to it: the initial load, the tables, the source. */
    position: () => position,

    /** Whether there is a place to write down, if nothing else. */
    isAhead: () => position.lsn > writtenLsn,

    /** A position with this LSN is in Kafka. */
    written(lsn: bigint): void {
      writtenLsn = lsn;
    },

    /** Everything before this LSN has been sent. */
    pass(lsn: bigint): void {
      if (lsn <= position.lsn) return;
      resent.settle();
      position = { ...position, lsn };
    },

    /** A transaction has been handled, which ends before this LSN. */
    passTransaction({ isKnown, id, commitMicros }: SourceTransaction, endLsn: bigint): void {
      if (isKnown) resent.pass(id);
      if (endLsn <= position.lsn) return;
      resent.settle();
      position = { ...position, lsn: endLsn, sourceMicros: commitMicros, last: id };
    },
  };
}
