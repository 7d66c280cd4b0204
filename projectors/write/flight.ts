/**
 * Statements that are sent without waiting for each other's results. The connection answers in order, so of several failures the first is the cause. The others are its
 * consequences in the failed transaction.
 */
export interface Flight {
  /** Adds a statement whose result is not needed, except for its failure in `landed`. */
  add(answer: Promise<unknown>): void;
  /** Adds a statement whose result is read. Its failure is thrown both when it is awaited and by `landed`. */
  ask<T>(answer: Promise<T>): Promise<T>;
  /** Resolves once all statements have completed. Throws the first failure. */
  landed(): Promise<void>;
}

export function createFlight(): Flight {
  let sent: Promise<unknown>[] = [];
  const add = (answer: Promise<unknown>) => {
    // Handled later by `landed`; an unhandled rejection would end the process.
    answer.catch(() => undefined);
    sent.push(answer);
  };
  return {
    add,
    ask(answer) {
      add(answer);
      return answer;
    },
    async landed() {
      const all = sent;
      sent = [];
      await Promise.allSettled(all);
      for (const answer of all) await answer;
    },
  };
}
