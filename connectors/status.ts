import type { SignalProgress, TableProgress } from './position.ts';

/** Status of a running connector: read by metrics and health checks, written only by the flow. */
export interface ConnectorStatus {
  state: 'starting' | 'standing by' | 'streaming' | 'stopped';
  /** Everything before this LSN is in the log. */
  lsn: bigint;
  /** Source time up to which the log is complete, microseconds since 1970. */
  sourceMicros: bigint;
  events: number;
  transactions: number;
  kafkaTransactions: number;
  /** Changes too large for their topic written as dead letters, and the rows whose last version is one. */
  deadLetters: number;
  deadLettersOpen: number;
  /** Streamed changes that became no event: of tables that are not captured, or that are read again anyway. */
  passedOver: number;
  /** Context messages that could not be kept. */
  contextsPassedOver: number;
  /** The table being read when reading failed, with rows so far; null if reading has not failed. */
  failedRead: { readonly table: string; readonly rows: number } | null;
  /** Monotonic time since which a Kafka request is pending, milliseconds; null if none is. */
  sendingSinceMs: number | null;
  /** Monotonic time of the last position written, milliseconds. */
  lastProgressMs: number;
  /** Monotonic time of the last keepalive taken from the stream, after everything sent before it, milliseconds. */
  lastHeardMs: number;
  snapshot: Readonly<Record<string, TableProgress>>;
  /** Requested snapshots; undefined before the first position. */
  signals: SignalProgress | undefined;
  tables: readonly string[];
}

export function createConnectorStatus(tables: readonly string[]): ConnectorStatus {
  return {
    state: 'starting',
    lsn: 0n,
    sourceMicros: 0n,
    events: 0,
    transactions: 0,
    kafkaTransactions: 0,
    deadLetters: 0,
    deadLettersOpen: 0,
    passedOver: 0,
    contextsPassedOver: 0,
    failedRead: null,
    sendingSinceMs: null,
    lastProgressMs: performance.now(),
    lastHeardMs: 0,
    snapshot: {},
    signals: undefined,
    tables,
  };
}
