import { CrosswalkError } from '../runtime/errors.ts';
import { parseLsn, toLsnText } from './lsn.ts';

/** What a position is valid for: another server, history, slot or Kafka cluster means a gap that nothing else would show. */
export interface Binding {
  readonly systemId: string;
  readonly timeline: number;
  readonly database: string;
  readonly slot: string;
  readonly clusterId: string;
}

/** How far the initial load of one table is. `lastKey`: key of the last chunk emitted, PostgreSQL text, in key order. */
export interface TableProgress {
  readonly done: boolean;
  readonly lastKey: readonly string[] | null;
  readonly rows: number;
}

/** Where the log stands: written in the Kafka transaction of the events that it covers. */
export interface Position {
  readonly bound: Binding;
  /** Everything before this LSN is in the log. Confirmed to the server only after it is stored. */
  readonly lsn: bigint;
  /** Source time up to which the log is complete, microseconds since 1970. */
  readonly sourceMicros: bigint;
  /** Xids (64 bit) delivered and not yet seen visible: a chunk whose snapshot does not see one of them must not be trusted. */
  readonly unseenXids: readonly string[];
  readonly snapshot: Readonly<Record<string, TableProgress>>;
  /** Next offset of each partition by topic: up to there the partition holds everything before `lsn`. */
  readonly offsets: Readonly<Record<string, readonly string[]>>;
}

/** JSON bytes of a position record. */
export function encodePosition(position: Position): Buffer {
  return Buffer.from(
    JSON.stringify({ v: 1, ...position, lsn: toLsnText(position.lsn), sourceMicros: String(position.sourceMicros) }),
  );
}

/** Reads a position record. Throws `position_mismatch` for one written by a later version. */
export function decodePosition(value: Buffer): Position {
  const raw = JSON.parse(value.toString()) as Omit<Position, 'lsn' | 'sourceMicros'> & {
    v: number;
    lsn: string;
    sourceMicros: string;
  };
  if (raw.v !== 1) {
    throw new CrosswalkError(
      'position_mismatch',
      `The stored position has version ${raw.v}, this program reads 1`,
      'Run the version of crosswalk that wrote it, or a later one.',
    );
  }
  return {
    bound: raw.bound,
    lsn: parseLsn(raw.lsn),
    sourceMicros: BigInt(raw.sourceMicros),
    unseenXids: raw.unseenXids,
    snapshot: raw.snapshot,
    offsets: raw.offsets,
  };
}

/** Throws `position_mismatch` where a stored position belongs to another source or Kafka, or where the slot has been confirmed past it. */
export function assertBound(stored: Position, actual: Binding, confirmedLsn: bigint): void {
  const names: Record<keyof Binding, string> = {
    systemId: 'system identifier',
    timeline: 'timeline',
    database: 'database',
    slot: 'slot',
    clusterId: 'Kafka cluster',
  };
  for (const [field, label] of Object.entries(names) as [keyof Binding, string][]) {
    if (stored.bound[field] !== actual[field]) {
      throw new CrosswalkError(
        'position_mismatch',
        `The stored position was reached with ${label} ${stored.bound[field]}, this is ${actual[field]}`,
        'Changes between the two may be missing: docs/operations.md, "Another source or another Kafka".',
      );
    }
  }
  if (stored.lsn < confirmedLsn) {
    throw new CrosswalkError(
      'position_mismatch',
      `The slot is confirmed up to ${toLsnText(confirmedLsn)}, past the stored position ${toLsnText(stored.lsn)}`,
      'The slot was re-created or read by something else, and changes between the two may be missing: docs/operations.md, "A lost slot".',
    );
  }
}
