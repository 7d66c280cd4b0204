/**
 * Statements that are sent without waiting for each other's answers. The connection answers in order, so of several failures the first sent is the cause, and the others, of a transaction
 * that had failed already, its consequences.
 */
export interface Flight {
  /** Adds a statement whose answer nobody needs but `landed`. */
  add(answer: Promise<unknown>): void;
  /** Adds a statement that is read from. Its failure counts when it is awaited, and when it lands. */
  ask<T>(answer: Promise<T>): Promise<T>;
  /** Resolves once all statements are answered. Throws the failure that was first. */
  landed(): Promise<void>;
}

export function createFlight(): Flight {
  let sent: Promise<unknown>[] = [];
  const add = (answer: Promise<unknown>) => {
    // A failure that is thrown where it lands must not end the process before.
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
