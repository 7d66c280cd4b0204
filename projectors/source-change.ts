import type { TransactionContext } from '../changes/transaction-context.ts';
import type { Cell, LegacyRow } from './projection.ts';

/** Position of a change in the log, and the record itself, as kept for parked changes and dead letters. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer;
  readonly value: Buffer;
}

/** What a repair names besides its legacy row: projected rows that no legacy row implies, by table, and merge keys to fold again, by aggregate. */
export interface RepairHint {
  readonly rows?: Readonly<Record<string, readonly string[]>>;
  readonly refold?: Readonly<Record<string, readonly string[]>>;
}

/** One change of a legacy row as a projection sees it. `after` null: deleted. `before` is also null if unknown: for reads, and for rows too large for the log. */
export interface SourceChange {
  readonly legacyKey: string;
  readonly op: 'c' | 'u' | 'd' | 'r';
  readonly before: LegacyRow | null;
  readonly after: LegacyRow | null;
  readonly lineage: Lineage;
  /** Identity of the change in the source: timeline, commit LSN, ordinal in the transaction. */
  readonly identity: string;
  /** Set for a row that was sent again to be written even if nothing seems changed; null for changes of the source. */
  readonly repair: RepairHint | null;
  /** Who changed it, as reported by the application; absent if not reported. */
  readonly context?: TransactionContext;
  /** Why the row cannot be mapped, regardless of its cells, by projection; never contains a value. Absent if it can be mapped. */
  readonly unmappable?: Readonly<Record<string, string>>;
  readonly record: LogRecord;
}

/** Lineage of the change that wrote a row. LSN and time in PostgreSQL's text form. */
export interface Lineage {
  readonly lsn: string;
  readonly xid: string;
  readonly committedAt: string;
}

/** Text of a legacy key: the value of a single column, a JSON array of several. */
export function toLegacyKey(key: Readonly<Record<string, string>>): string {
  const values = Object.values(key);
  return values.length === 1 ? values[0]! : JSON.stringify(values);
}

/** PostgreSQL's text of microseconds since 1970, UTC. Commit times lie within the years 0 to 9999. */
export function toTimestampText(micros: bigint): string {
  const [seconds, fraction] =
    micros >= 0n
      ? [micros / 1_000_000n, micros % 1_000_000n]
      : [(micros - 999_999n) / 1_000_000n, ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n];
  const date = new Date(Number(seconds) * 1000).toISOString();
  const digits = String(fraction).padStart(6, '0').replace(/0+$/, '');
  return `${date.slice(0, 10)} ${date.slice(11, 19)}${digits === '' ? '' : `.${digits}`}+00`;
}

/** Changes by legacy key, in order of first appearance. */
export function byLegacyKey(changes: readonly SourceChange[]): Map<string, SourceChange[]> {
  const groups = new Map<string, SourceChange[]>();
  for (const change of changes) {
    const group = groups.get(change.legacyKey);
    if (group === undefined) groups.set(change.legacyKey, [change]);
    else group.push(change);
  }
  return groups;
}

/** Cells of a row in the order of `columns`; missing columns are null. */
export function toCells(row: Readonly<Record<string, Cell>>, columns: readonly string[]): Cell[] {
  return columns.map((column) => row[column] ?? null);
}
