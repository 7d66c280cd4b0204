import type { LegacyRow } from '../projection.ts';
import type { SourceChange } from '../source-change.ts';
import { toCellChanges } from './changed-cells.ts';
import type { Chain, Effect, LoggedEvent, Progress } from './explanation.ts';
import { toShown } from './explanation.ts';
import { type RowsByTable, toEffects } from './implied-rows.ts';

/** A change with the row after the change before it: null if it did not exist, undefined if unknown. */
export interface PlacedChange {
  readonly change: SourceChange;
  readonly previous: LegacyRow | null | undefined;
  readonly event: LoggedEvent;
}

export interface ChainOptions {
  /** Most events kept: the first one and the last ones. */
  readonly limit: number;
  readonly unmask: boolean;
  /** Whether the chain begins at the start of the log, so that the row does not exist before its first event. */
  readonly isWhole: boolean;
  readonly progressOf: (change: SourceChange) => Progress;
  /** The implied rows that are of interest. May throw. */
  readonly impliedBy: (row: LegacyRow | null) => RowsByTable;
  /** The rows that the change itself adds to histories. May throw. */
  readonly appendedBy: (change: SourceChange, previous: LegacyRow | null | undefined) => RowsByTable;
  /** Selects a change to keep besides the list; the last match is kept. */
  readonly isWanted: (change: Pick<SourceChange, 'lineage' | 'identity'>) => boolean;
}

/** Collects the events of one legacy key, in bounded memory. */
export interface EventChain {
  add(change: SourceChange): void;
  readonly count: number;
  readonly events: readonly LoggedEvent[];
  /** The last change that matches `isWanted`. */
  readonly wanted: PlacedChange | null;
  /** The last change that has taken effect. */
  readonly applied: PlacedChange | null;
  /** The last change that has taken effect and implies any row of interest. */
  readonly implying: PlacedChange | null;
}

const NOTHING: RowsByTable = new Map();

export function createEventChain(options: ChainOptions): EventChain {
  let count = 0;
  let first: LoggedEvent | null = null;
  let last: LoggedEvent[] = [];
  let previous: LegacyRow | null | undefined = options.isWhole ? null : undefined;
  let implied: RowsByTable = NOTHING;
  let wanted: PlacedChange | null = null;
  let applied: PlacedChange | null = null;
  let implying: PlacedChange | null = null;

  /** Effects of the change on the implied rows. A row that cannot be mapped leaves them unchanged. */
  function follow(change: SourceChange): Effect[] {
    try {
      if (previous === undefined) implied = options.impliedBy(change.before);
      const now = options.impliedBy(change.after);
      const effects = [...toEffects(implied, now), ...toEffects(NOTHING, options.appendedBy(change, previous))];
      implied = now;
      return effects;
    } catch {
      return [{ what: 'mapping', kind: 'fails', rows: 0, columns: [] }];
    }
  }

  return {
    get count() {
      return count;
    },
    get events() {
      return first === null ? [] : [first, ...last];
    },
    get wanted() {
      return wanted;
    },
    get applied() {
      return applied;
    },
    get implying() {
      return implying;
    },
    add(change) {
      const { changed, unseen } = toCellChanges(change, previous);
      const effects = follow(change);
      const { topic, partition, offset } = change.record;
      const event: LoggedEvent = {
        op: change.op,
        ...change.lineage,
        identity: change.identity,
        topic,
        partition,
        offset: String(offset),
        repair: change.repair,
        changed: changed.map(({ column, before, after }) => ({
          column,
          before: toShown(before, options.unmask),
          after: toShown(after, options.unmask),
        })),
        unseen,
        progress: options.progressOf(change),
        effects,
      };
      count += 1;
      if (first === null) first = event;
      else {
        last.push(event);
        // Truncated only now and then: each truncation moves all that remains.
        if (last.length >= 2 * options.limit) last = last.slice(-options.limit);
      }
      const placed = { change: withoutBytes(change), previous, event };
      if (options.isWanted(change)) wanted = placed;
      if (event.progress === 'applied') {
        applied = placed;
        if (implied.size > 0 && [...implied.values()].some((rows) => rows.size > 0)) implying = placed;
      }
      previous = change.after;
    },
  };
}

const EMPTY = Buffer.alloc(0);

/** Drops the record's bytes: they are views of the fetched buffer and would keep all of it in memory. */
function withoutBytes(change: SourceChange): SourceChange {
  return { ...change, record: { ...change.record, key: EMPTY, value: EMPTY } };
}

/** The chain for output: at most `limit` events, the first one and the last ones. */
export function toChain(
  chain: Pick<EventChain, 'count' | 'events'>,
  limit: number,
  of: Omit<Chain, 'count' | 'omitted' | 'events'>,
): Chain {
  const [first, ...others] = chain.events;
  const shown = first === undefined ? [] : [first, ...others.slice(-Math.max(0, limit - 1))];
  if (limit <= 1) shown.splice(1);
  return { ...of, count: chain.count, omitted: chain.count - shown.length, events: shown };
}
