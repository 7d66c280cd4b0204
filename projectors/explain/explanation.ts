import type { Cell } from '../projection.ts';
import type { Lineage, RepairHint } from '../source-change.ts';
import type { FoldOrigin } from './fold-provenance.ts';
import type { Origin } from './provenance.ts';

/** How a cell is shown: the value itself or, unless asked for, how long it is; null is null. */
export type Shown = string | null;

/** A cell that an event changed. */
export interface ChangedCell {
  readonly column: string;
  readonly before: Shown;
  readonly after: Shown;
}

/** Whether a change of the log has taken effect in the new schema. `failed`: it is a dead letter. */
export type Progress = 'applied' | 'not applied yet' | 'parked' | 'failed';

/** What an event means for the rows of one table, or for contributions; `fails`: its mapping throws. */
export interface Effect {
  readonly what: string;
  readonly kind: 'appears' | 'changes' | 'disappears' | 'fails';
  readonly rows: number;
  /** Columns that changed, of new rows or of the data of contributions. */
  readonly columns: readonly string[];
}

/** One change of a legacy row, as it stands in the log. */
export interface LoggedEvent extends Lineage {
  readonly op: 'c' | 'u' | 'd' | 'r';
  /** Timeline, commit LSN, ordinal in the transaction. */
  readonly identity: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Of a row that was sent again by a repair. */
  readonly repair: RepairHint | null;
  /** Legacy columns that it changed; of an insert those that it filled, of a delete those that were filled. */
  readonly changed: readonly ChangedCell[];
  /** Columns that the event before it had left at other values: they changed without an event between the two. */
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
  /** Offsets that were read: from the first one on, to before the last. */
  readonly from: string;
  readonly to: string;
  /** Whether the log still has everything from its beginning, and all of it was read. */
  readonly isWhole: boolean;
  readonly count: number;
  /** Events between the first one and the others that are counted only. */
  readonly omitted: number;
  readonly events: readonly LoggedEvent[];
}

/** A new row where it is only named. */
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

/** What a legacy row says about a merged row. `movedTo`: the merged row that a retired one moved to; null when its legacy row was deleted. */
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

/** A cell of the row and where it comes from. */
export interface ExplainedColumn {
  readonly column: string;
  readonly value: Shown;
  /** From the legacy row; of a merged row, from its contributors. Null where the log does not tell. */
  readonly origin: Origin | MergedOrigin | null;
}

/** Where a cell of a merged row comes from. `legacy`: what the contributor's cell comes from, where its chain was read. */
export interface MergedOrigin {
  readonly kind: FoldOrigin['kind'];
  readonly contributors: readonly {
    readonly legacyTable: string;
    readonly legacyKey: string;
    readonly column: string | null;
    readonly legacy: Origin | null;
  }[];
  /** Further contributors that say the same. */
  readonly more: number;
}

/** How far the log was read. */
export interface LogState {
  /** Everything that the legacy database committed before this LSN is in it; null where the connector has stored no position. */
  readonly through: string | null;
  readonly since: string | null;
}

/** What `explain <table> <id>` finds. */
export interface RowExplanation {
  readonly kind: 'row';
  readonly table: string;
  readonly id: string;
  readonly row: RowName | null;
  /** Of the mapping in the tree; null where no projection of it writes this table from that legacy table. */
  readonly projection: {
    readonly name: string;
    readonly version: string;
    readonly role: 'owned' | 'merged' | 'history';
  } | null;
  /** The key that the legacy row has had since the change that deleted it here; null where that was no change of its key. */
  readonly movedTo: string | null;
  /** The change that the row's lineage names. */
  readonly writtenBy: (LoggedEvent & { readonly legacyTable: string; readonly legacyKey: string }) | null;
  readonly columns: readonly ExplainedColumn[];
  /** Legacy columns without whose present value there would be no such row. */
  readonly existence: readonly string[];
  readonly contributors: readonly Contributor[];
  readonly contributorCount: number;
  readonly chains: readonly Chain[];
  readonly log: LogState | null;
  /** What is wrong, in plain words. */
  readonly problems: readonly string[];
  /** What is worth knowing and not wrong. */
  readonly notes: readonly string[];
}

/** What is said of a row beyond its writer. */
export interface Said {
  readonly columns: readonly ExplainedColumn[];
  readonly existence: readonly string[];
  readonly contributors: readonly Contributor[];
  readonly contributorCount: number;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Something that waits or failed on its way. */
export interface Held {
  readonly projection: string;
  readonly kind: 'parked' | 'dead letter' | 'too large for the log';
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: string | null;
  readonly lsn: string;
  readonly reason: string;
  /** Of a dead letter that is settled: how. */
  readonly resolution: string | null;
}

export interface LegacyContribution extends Lineage {
  readonly aggregate: string;
  readonly mergeKey: string;
  readonly live: boolean;
  readonly movedTo: string | null;
  readonly mappingVersion: string;
  /** Merged rows that rest on it. */
  readonly rows: readonly RowName[];
}

/** What `explain --legacy <table> <key>` finds. */
export interface LegacyExplanation {
  readonly kind: 'legacy';
  readonly table: string;
  readonly key: string;
  readonly projections: readonly { readonly name: string; readonly version: string }[];
  readonly rows: readonly RowName[];
  readonly rejects: readonly (RowName & { readonly path: string; readonly reason: string })[];
  readonly contributions: readonly LegacyContribution[];
  readonly held: readonly Held[];
  /** The key that the row had before its first event, and after its last one, where that was a change of its key. */
  readonly movedFrom: string | null;
  readonly movedTo: string | null;
  readonly chain: Chain | null;
  readonly log: LogState | null;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

const LONGEST_SHOWN = 2000;

/** A cell as it is shown: masked, or cut where it is very long. */
export function toShown(cell: Cell, unmask: boolean): Shown {
  if (cell === null) return null;
  if (!unmask) return `(${cell.length} characters)`;
  return cell.length <= LONGEST_SHOWN ? cell : `${cell.slice(0, LONGEST_SHOWN)}… (${cell.length} characters)`;
}
