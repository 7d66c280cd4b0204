import type { Cell } from '../projection.ts';
import type { Lineage, RepairHint } from '../source-change.ts';
import type { FoldOrigin } from './fold-provenance.ts';
import type { Origin } from './provenance.ts';

/** A cell for output: its value or, unless unmasked, its length; null is null. */
export type Shown = string | null;

/** A cell that an event changed. */
export interface ChangedCell {
  readonly column: string;
  readonly before: Shown;
  readonly after: Shown;
}

/** Whether a change of the log has taken effect in the new schema. `failed`: it is a dead letter. */
export type Progress = 'applied' | 'not applied yet' | 'parked' | 'failed';

/** Effect of an event on the rows of one table, or on contributions; `fails`: its mapping throws. */
export interface Effect {
  readonly what: string;
  readonly kind: 'appears' | 'changes' | 'disappears' | 'fails';
  readonly rows: number;
  /** Changed columns of new rows or of the data of contributions. */
  readonly columns: readonly string[];
}

/** One change of a legacy row in the log. */
export interface LoggedEvent extends Lineage {
  readonly op: 'c' | 'u' | 'd' | 'r';
  /** Timeline, commit LSN, ordinal in the transaction. */
  readonly identity: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Set if a repair sent the row again. */
  readonly repair: RepairHint | null;
  /** Changed legacy columns; for an insert or a delete, the non-null ones. */
  readonly changed: readonly ChangedCell[];
  /** Columns whose old value differs from the one after the previous event: they changed without an event in between. */
  readonly unseen: readonly string[];
  readonly progress: Progress;
  readonly effects: readonly Effect[];
}

/** The events of one legacy key, oldest first. */
export interface Chain {
  readonly table: string;
  readonly key: string;
  readonly topic: string;
  readonly partition: number;
  /** Offsets that were read: `from` inclusive, `to` exclusive. */
  readonly from: string;
  readonly to: string;
  /** Whether the log is complete from its beginning and was read completely. */
  readonly isWhole: boolean;
  readonly count: number;
  /** Events after the first one that are counted but not listed. */
  readonly omitted: number;
  readonly events: readonly LoggedEvent[];
}

/** A new row by name only. */
export interface RowName extends Lineage {
  readonly table: string;
  readonly id: string;
  readonly state: 'live' | 'soft-deleted';
  readonly origin: string;
  readonly deletedAt: string | null;
  readonly legacyTable: string;
  readonly legacyKey: string;
  readonly mappingVersion: string;
}

/** The contribution of a legacy row to a merged row. `movedTo`: the merged row that a retired one moved to; null if its legacy row was deleted. */
export interface Contributor extends Lineage {
  readonly legacyTable: string;
  readonly legacyKey: string;
  readonly live: boolean;
  readonly movedTo: { readonly mergeKey: string; readonly state: 'live' | 'soft-deleted' | 'missing' } | null;
  readonly mappingVersion: string;
  readonly isGreatest: boolean;
  /** Columns of the row that come from it. */
  readonly gives: readonly string[];
}

/** A cell of the row and its origin. */
export interface ExplainedColumn {
  readonly column: string;
  readonly value: Shown;
  /** Origin in the legacy row or, for a merged row, in its contributors. Null if the log does not tell. */
  readonly origin: Origin | MergedOrigin | null;
}

/** Origin of a cell of a merged row. `legacy`: the origin of the contributor's cell, if its chain was read. */
export interface MergedOrigin {
  readonly kind: FoldOrigin['kind'];
  readonly contributors: readonly {
    readonly legacyTable: string;
    readonly legacyKey: string;
    readonly column: string | null;
    readonly legacy: Origin | null;
  }[];
  /** Number of further contributors with the same value. */
  readonly more: number;
}

/** The range of the log that was read. */
export interface LogState {
  /** The log holds everything that the legacy database committed before this LSN; null if the connector has stored no position. */
  readonly through: string | null;
  readonly since: string | null;
}

/** Result of `explain <table> <id>`. */
export interface RowExplanation {
  readonly kind: 'row';
  readonly table: string;
  readonly id: string;
  readonly row: RowName | null;
  /** From the mapping in the working tree; null if none of its projections writes this table from that legacy table. */
  readonly projection: {
    readonly name: string;
    readonly version: string;
    readonly role: 'owned' | 'merged' | 'history';
  } | null;
  /** The key that the legacy row got from the key change that deleted it here; null if that was not a key change. */
  readonly movedTo: string | null;
  /** The change that the row's lineage names. */
  readonly writtenBy: (LoggedEvent & { readonly legacyTable: string; readonly legacyKey: string }) | null;
  readonly columns: readonly ExplainedColumn[];
  /** Legacy columns without whose present value the row would not exist. */
  readonly existence: readonly string[];
  readonly contributors: readonly Contributor[];
  readonly contributorCount: number;
  readonly chains: readonly Chain[];
  readonly log: LogState | null;
  /** Problems, in plain words. */
  readonly problems: readonly string[];
  /** Useful remarks that are not problems. */
  readonly notes: readonly string[];
}

/** The explanation of a row beyond its writer. */
export interface Said {
  readonly columns: readonly ExplainedColumn[];
  readonly existence: readonly string[];
  readonly contributors: readonly Contributor[];
  readonly contributorCount: number;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** A change that waits or has failed. */
export interface Held {
  readonly projection: string;
  readonly kind: 'parked' | 'dead letter' | 'too large for the log';
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: string | null;
  readonly lsn: string;
  readonly reason: string;
  /** For a settled dead letter: how it was resolved. */
  readonly resolution: string | null;
}

export interface LegacyContribution extends Lineage {
  readonly aggregate: string;
  readonly mergeKey: string;
  readonly live: boolean;
  readonly movedTo: string | null;
  readonly mappingVersion: string;
  /** Merged rows that depend on it. */
  readonly rows: readonly RowName[];
}

/** Result of `explain --legacy <table> <key>`. */
export interface LegacyExplanation {
  readonly kind: 'legacy';
  readonly table: string;
  readonly key: string;
  readonly projections: readonly { readonly name: string; readonly version: string }[];
  readonly rows: readonly RowName[];
  readonly rejects: readonly (RowName & { readonly path: string; readonly reason: string })[];
  readonly contributions: readonly LegacyContribution[];
  readonly held: readonly Held[];
  /** The key that the row had before its first event, and after its last one, if that event was a key change. */
  readonly movedFrom: string | null;
  readonly movedTo: string | null;
  readonly chain: Chain | null;
  readonly log: LogState | null;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

const LONGEST_SHOWN = 2000;

/** A cell for output: masked, or truncated if it is very long. */
export function toShown(cell: Cell, unmask: boolean): Shown {
  if (cell === null) return null;
  if (!unmask) return `(${cell.length} characters)`;
  return cell.length <= LONGEST_SHOWN ? cell : `${cell.slice(0, LONGEST_SHOWN)}… (${cell.length} characters)`;
}
