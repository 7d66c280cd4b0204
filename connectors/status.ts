import type { SignalProgress, TableProgress } from './position.ts';

/** What a running connector tells about itself: read by metrics and health checks, written by the flow alone. */
export interface ConnectorStatus {
  state: 'starting' | 'standing by' | 'streaming' | 'stopped';
  /** Everything before this LSN is in the log. */
  lsn: bigint;
  /** Source time up to which the log is complete, microseconds since 1970. */
  sourceMicros: bigint;
  events: number;
  transactions: number;
  kafkaTransactions: number;
  /** Changes too large for their topic written as dead letters, and rows whose last version is one. */
  deadLetters: number;
  deadLettersOpen: number;
  /** Changes in the stream that became no event: of tables that nobody captures, and of those that are read again anyway. */
  passedOver: number;
  /** Messages that were to say who changes rows, and could not be kept. */
  contextsPassedOver: number;
  /** What was being read when reading failed, table and rows so far; null where it did not. */
  failedRead: { readonly table: string; readonly rows: number } | null;
  /** Monotonic time since which Kafka has not answered, milliseconds; null while nothing is asked of it. */
  sendingSinceMs: number | null;
  /** Monotonic time of the last position written, milliseconds. */
  lastProgressMs: number;
  /** Monotonic time of the server's last word behind everything it had sent, milliseconds. */
  lastHeardMs: number;
  snapshot: Readonly<Record<string, TableProgress>>;
  /** Snapshots that were asked for; undefined before the first position. */
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
