import { type HopTrace, msSince } from '../runtime/hop-trace.ts';

export type FlowTrace = ReturnType<typeof createFlowTrace>;

/** Measures what lies between a commit in the source and the one in Kafka; null: nothing. */
export function createFlowTrace(trace: HopTrace | null) {
  /** Monotonic milliseconds at which the transactions came that are not in Kafka yet. */
  const received: number[] = [];
  return {
    /** The end of a source transaction has come. */
    received(commitMicros: bigint): void {
      if (trace === null) return;
      trace.add('commit in the source to received', msSince(commitMicros));
      received.push(performance.now());
    },

    /** A Kafka transaction with all that was received was sent, and committed, from one monotonic time to the other. */
    committed(startMs: number, endMs: number): void {
      if (trace === null) return;
      trace.add('sent and committed in Kafka', endMs - startMs);
      for (const ms of received.splice(0)) trace.add('received to committed in Kafka', endMs - ms);
    },
  };
}
