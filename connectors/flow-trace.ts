import { type HopTrace, msSince } from '../runtime/hop-trace.ts';

export type FlowTrace = ReturnType<typeof createFlowTrace>;

/** Measures the time between the commit in the source and the one in Kafka; null disables it. */
export function createFlowTrace(trace: HopTrace | null) {
  /** Monotonic times, in milliseconds, at which transactions not yet in Kafka were received. */
  const received: number[] = [];
  return {
    /** The end of a source transaction was received. */
    received(commitMicros: bigint): void {
      if (trace === null) return;
      trace.add('commit in the source to received', msSince(commitMicros));
      received.push(performance.now());
    },

    /** A Kafka transaction with everything received was sent and committed between these monotonic times. */
    committed(startMs: number, endMs: number): void {
      if (trace === null) return;
      trace.add('sent and committed in Kafka', endMs - startMs);
      for (const ms of received.splice(0)) trace.add('received to committed in Kafka', endMs - ms);
    },
  };
}
