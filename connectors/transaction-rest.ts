/** Longest rest between two Kafka transactions, and its length as a multiple of the previous transaction's duration. */
const LONGEST_MS = 20;
const SHARE = 2;

/**
 * Rests between Kafka transactions. Each transaction costs the broker and every projection about the same, whatever its
 * size. Without rests, commits that arrive one by one as fast as they can be sent would saturate the machine with
 * transactions of one change, and each would wait for it. A commit after a quiet time does not wait.
 */
export interface TransactionRest {
  /** Milliseconds until the next transaction should end; 0: now. Times are monotonic milliseconds. */
  restMs(nowMs: number): number;
  /** A transaction was sent between these times. */
  sent(startMs: number, endMs: number): void;
}

export function createTransactionRest(): TransactionRest {
  let nextMs = Number.NEGATIVE_INFINITY;
  return {
    restMs: (nowMs) => Math.max(0, nextMs - nowMs),
    sent(startMs, endMs) {
      nextMs = endMs + Math.min(SHARE * (endMs - startMs), LONGEST_MS);
    },
  };
}
