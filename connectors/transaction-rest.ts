/** Longest rest between two Kafka transactions, and how long one is in terms of how long the transaction before took. */
const LONGEST_MS = 20;
const SHARE = 2;

/**
 * Rests between Kafka transactions. Each costs the broker and every projection about the same, whatever is in it, so that where commits come one by one, as fast as they
 * can be sent, all of the machine goes into transactions of one change, and each waits for it. A commit after a quiet time waits for nothing.
 */
export interface TransactionRest {
  /** Milliseconds until the next transaction should end: 0 where it may at once. Times are monotonic milliseconds. */
  restMs(nowMs: number): number;
  /** A transaction was sent from one time to the other. */
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
