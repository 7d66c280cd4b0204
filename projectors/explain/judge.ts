import { parseLsn, toLsnText } from '../../changes/lsn.ts';
import type { Position } from '../../connectors/position.ts';
import type { Projection } from '../projection.ts';
import type { ReadChain } from './context.ts';
import type { RowExplanation, RowName } from './explanation.ts';
import type { TargetRow } from './read-target.ts';

/** Findings about the change that a row's lineage names. */
export interface WriterVerdict {
  readonly writtenBy: RowExplanation['writtenBy'];
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Finds the change that the lineage of a row names in the chains that were read. Pure. For a merged row it may be a change of another contributor than the named one:
 * rows omitted by folds before retractions recorded their change have kept their old key.
 */
export function judgeWriter(
  row: RowName,
  chains: readonly ReadChain[],
  position: Pick<Position, 'lsn'> | null,
  { since, isMerged, isFull }: { since: number | null; isMerged: boolean; isFull: boolean },
): WriterVerdict {
  const own = chains.find(
    ({ legacyTable, legacyKey }) => legacyTable === row.legacyTable && legacyKey === row.legacyKey,
  );
  const found = [own, ...chains].find((each) => each?.chain.wanted != null);
  const event = found?.chain.wanted?.event;
  const legacy = `legacy ${row.legacyTable} ${row.legacyKey}`;
  const problems: string[] = [];
  const notes: string[] = [];
  if (found !== undefined && event !== undefined) {
    const wrong = [
      ...(event.xid === row.xid ? [] : [`xid ${row.xid}, where the log has ${event.xid}`]),
      ...(event.committedAt === row.committedAt
        ? []
        : [`commit time ${row.committedAt}, where the log has ${event.committedAt}`]),
    ];
    if (wrong.length > 0)
      problems.push(`Its lineage does not match the log: it names LSN ${row.lsn} with ${wrong.join(' and ')}.`);
    if (found !== own)
      notes.push(
        `The change is one of legacy ${found.legacyTable} ${found.legacyKey}, another contributor than the one that its lineage names.`,
      );
    return { writtenBy: { ...event, legacyTable: found.legacyTable, legacyKey: found.legacyKey }, problems, notes };
  }
  const named = `LSN ${row.lsn} of ${legacy}`;
  const count = own?.chain.count ?? 0;
  const mismatch = (why: string) => problems.push(`Its lineage does not match the log: it names ${named}, and ${why}.`);
  if (position !== null && parseLsn(row.lsn) >= position.lsn) {
    mismatch(`the log ends at ${toLsnText(position.lsn)}`);
  } else if (since !== null) {
    notes.push(
      `Its lineage names ${named}: no such change since the time given. Without --since the whole log is read.`,
    );
  } else if (own !== undefined && !own.isWhole) {
    mismatch(`the log no longer has it, or never had: what is left of its partition begins at offset ${own.from}`);
  } else if (count === 0) {
    mismatch('the log holds no event of that row');
  } else if (isMerged && row.state === 'soft-deleted' && !isFull) {
    notes.push(
      `Its lineage names ${named}, which is no change of that row: it may be one of another contributor. With --full all of them are read.`,
    );
  } else {
    mismatch(`none of the ${count} events of that row has this LSN`);
  }
  return { writtenBy: null, problems, notes };
}

/** Problems of an owned row, or of one of a history. Pure. `expected`: its cells as implied by the last applied change, null if that does not imply it. */
export function judgeOwned(
  table: string,
  row: TargetRow,
  role: {
    readonly kind: string;
    readonly projection: Pick<Projection, 'version'>;
    readonly columns: readonly string[];
  },
  { chain }: ReadChain,
  expected: Readonly<Record<string, string | null>> | null,
): string[] {
  const isLive = (row.deleted_at ?? null) === null;
  const differing =
    expected === null ? [] : role.columns.filter((column) => (expected[column] ?? null) !== (row[column] ?? null));
  const asMapped = `as mapping version ${role.projection.version} has it`;
  if (role.kind === 'history') {
    if (chain.wanted === null) return [];
    if (expected === null) return [`The change that its lineage names adds no such row to ${table}, ${asMapped}.`];
    return differing.length === 0
      ? []
      : [`Cells are other ones than the change implies, ${asMapped}: ${differing.join(', ')}.`];
  }
  const { applied, implying } = chain;
  if (applied === null) return [];
  const isImplied = implying === applied;
  if (isLive && !isImplied)
    return [`It is live, and the last applied change of its legacy row implies no such row, ${asMapped}.`];
  if (!isLive && isImplied)
    return [`It is soft-deleted, and the last applied change of its legacy row implies it, ${asMapped}.`];
  if (!isLive || differing.length === 0) return [];
  return [`Cells are other ones than the last applied change implies, ${asMapped}: ${differing.join(', ')}.`];
}
