import type { PlantedReject } from '../rows/row.ts';
import type { Change } from './change.ts';

/** Committed row changes of one table. */
export interface TableChanges {
  inserted: number;
  updated: number;
  deleted: number;
}

/** Result of the traffic. Only committed changes count, except in `rolledBack` and `conflicts`. */
export interface TrafficReport {
  /** Committed actions by name. */
  readonly actions: Readonly<Record<string, number>>;
  readonly tables: Readonly<Record<string, TableChanges>>;
  readonly rowChanges: number;
  readonly transactions: number;
  /** Transactions rolled back on purpose. */
  readonly rolledBack: number;
  /** Transactions that failed on rows of another writer. They were rolled back and skipped. */
  readonly conflicts: number;
  /** The planted rejects in the legacy rows now: those given at the start, minus those that were changed, plus new ones. */
  readonly plantedRejects: readonly PlantedReject[];
  /** End of the log after the last commit. */
  readonly lastLsn: bigint;
  readonly elapsedMs: number;
}

/** The counters of a report. */
export interface Tally {
  readonly actions: Record<string, number>;
  readonly tables: Record<string, TableChanges>;
  rowChanges: number;
  transactions: number;
  rolledBack: number;
  conflicts: number;
}

/** Counters at zero. */
export function createTally(): Tally {
  return { actions: {}, tables: {}, rowChanges: 0, transactions: 0, rolledBack: 0, conflicts: 0 };
}

/** Counts a committed change of `rows` rows. */
export function countChange(tally: Tally, change: Change, rows: number): void {
  tally.tables[change.table] ??= { inserted: 0, updated: 0, deleted: 0 };
  const table = tally.tables[change.table]!;
  if (change.op === 'insert') table.inserted += rows;
  else if (change.op === 'delete') table.deleted += rows;
  else table.updated += rows;
  tally.rowChanges += rows;
}

/** An LSN from PostgreSQL's text form, `16/B374D848`. */
export function parseLsn(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
