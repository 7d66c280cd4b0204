import type { Aggregate, FoldedRow, LegacyRow, Projection, Tenants } from '../projection.ts';
import { toGreatestFirst } from '../values/contribution-order.ts';
import { differingColumns } from './changed-cells.ts';
import {
  type ChainRequest,
  type ExplainContext,
  type ExplainOptions,
  type ReadChain,
  withSnapshot,
} from './context.ts';
import type { Contributor, MergedOrigin, Said } from './explanation.ts';
import { toShown } from './explanation.ts';
import { type FoldOrigin, traceFold } from './fold-provenance.ts';
import { contributionsTo, type RowsByTable, toImpliedRows } from './implied-rows.ts';
import { type RowTrace, traceRow, withoutJsonKeys } from './provenance.ts';
import type { ColumnTypes, Consumption, StoredContribution, TargetRow } from './read-target.ts';
import { toPrinted } from './read-target.ts';
import type { SeenValues } from './seen-values.ts';

/** The stored input of a merged row: every contribution to its merge key. */
export interface MergedInput {
  readonly mergeKey: string;
  readonly contributions: readonly StoredContribution[];
  /** State of the merged row of another merge key. */
  readonly stateOf: (mergeKey: string) => 'live' | 'soft-deleted' | 'missing';
}

interface MergedRole {
  readonly projection: Projection;
  readonly aggregate: Aggregate;
  readonly columns: readonly string[];
}

/** A projection that feeds the aggregate, with its progress. */
interface Feeder {
  readonly projection: Projection;
  readonly consumption: Consumption;
}

/** Most contributors listed, unless all are requested, and most contributors named for a cell. */
const MOST_LISTED = 20;
const MOST_NAMED = 5;

/** The row as the working tree folds it; null if the contributions do not fold to it. */
function foldRow({ aggregate }: MergedRole, { mergeKey, contributions }: MergedInput, table: string, id: string) {
  if (contributions.length === 0) return null;
  return aggregate.fold(mergeKey, contributions)[table]?.find(({ row }) => row.id === id) ?? null;
}

/** Contributions that the row depends on, greatest first; then the others. */
function inOrder(contributions: readonly StoredContribution[], folded: FoldedRow | null): StoredContribution[] {
  const base = new Set<unknown>(folded?.from ?? contributions.filter(({ live }) => live));
  const sorted = toGreatestFirst(contributions) as readonly StoredContribution[];
  return [...sorted.filter((each) => base.has(each)), ...sorted.filter((each) => !base.has(each))];
}

/** The chains to read, by feeder: those of the greatest contributor and of the one whose change wrote the row; with `full`, all. */
export function toMergedRequests(
  table: string,
  row: TargetRow,
  role: MergedRole,
  merged: MergedInput,
  { full }: ExplainOptions,
  of: { tenants: Tenants; feeders: readonly Feeder[]; isWanted: ChainRequest['isWanted'] },
): { readonly projection: Projection; readonly requests: ChainRequest[] }[] {
  const { aggregate } = role;
  const known = merged.contributions.filter(({ legacyTable }) =>
    of.feeders.some(({ projection }) => projection.source === legacyTable),
  );
  let folded: FoldedRow | null = null;
  try {
    folded = foldRow(role, merged, table, row.id!);
  } catch {
    // Reported as a problem when the row is explained.
  }
  const ordered = inOrder(known, folded);
  const writers = known.filter(({ lineage }) => lineage.lsn === row.source_lsn && lineage.xid === row.source_xid);
  const isNamed = (of: { legacyTable: string; legacyKey: string }) =>
    of.legacyTable === row.legacy_table && of.legacyKey === row.legacy_key;
  const writer = writers.find(isNamed) ?? writers[0];
  const chosen = [
    ...(full ? ordered : ordered.slice(0, 1)),
    ...(writer === undefined ? [] : [writer]),
    { legacyTable: row.legacy_table!, legacyKey: row.legacy_key! },
  ];
  const name = contributionsTo(aggregate);
  const onlyThis = (rows: RowsByTable): RowsByTable => {
    const found = rows.get(name)?.get(merged.mergeKey);
    return new Map(found === undefined ? [] : [[name, new Map([[merged.mergeKey, found]])]]);
  };
  return of.feeders.map(({ projection, consumption }) => {
    const own = chosen.filter(({ legacyTable }) => legacyTable === projection.source);
    const keys = new Set(own.map(({ legacyKey }) => legacyKey));
    const requests = [...keys].map((legacyKey) => ({
      ...{ legacyKey, consumption, isWanted: of.isWanted },
      impliedBy: (legacyRow: LegacyRow | null) => onlyThis(toImpliedRows(projection, of.tenants, legacyRow)),
      histories: [],
    }));
    return { projection, requests };
  });
}

/** Explains a merged row: its contributors, and the ones that each cell comes from. */
export async function explainMerged(
  { config, tenants, otherSettings }: ExplainContext,
  input: {
    table: string;
    row: TargetRow;
    types: ColumnTypes;
    role: MergedRole;
    feeders: readonly Feeder[];
    merged: MergedInput;
    chains: readonly ReadChain[];
    seen: SeenValues;
    options: ExplainOptions;
  },
): Promise<Said> {
  const { table, row, types, role, merged, chains, seen, options } = input;
  const { aggregate, columns } = role;
  const id = row.id!;
  const problems: string[] = [];
  const notes: string[] = [];
  let folded: FoldedRow | null = null;
  try {
    folded = foldRow(role, merged, table, id);
  } catch {
    problems.push('The fold in the tree throws on the stored contributions.');
  }
  const ordered = inOrder(merged.contributions, folded);
  const trace = folded === null ? null : traceFold(aggregate, merged.mergeKey, ordered, table, id);
  if (trace?.isWhole === false || (trace === null && folded !== null)) {
    notes.push('It has so many contributors that not all of them were asked which cell comes from them.');
  }
  if (folded === null && row.deleted_at === null && problems.length === 0) {
    problems.push('It is live, and its stored contributions fold to no such row.');
  }
  if (folded !== null) {
    const isDeleted = folded.deletedAt !== null;
    if (isDeleted !== (row.deleted_at !== null)) {
      problems.push(
        `It is ${isDeleted ? 'live' : 'soft-deleted'}, and its stored contributions fold to one that is ${isDeleted ? 'soft-deleted' : 'live'}.`,
      );
    }
    const cells = Object.fromEntries(columns.map((column) => [column, folded.row[column] ?? null]));
    const expected = await withSnapshot(config, (client) => toPrinted(client, types, cells));
    const differing = columns.filter((column) => (expected[column] ?? null) !== (row[column] ?? null));
    if (differing.length > 0)
      problems.push(`Cells are other ones than its stored contributions fold to: ${differing.join(', ')}.`);
  }

  const traces = new Map<string, RowTrace | null>();
  for (const read of chains) {
    const { legacyTable, legacyKey, chain } = read;
    const { projection } = input.feeders.find((feeder) => feeder.projection.source === legacyTable)!;
    const stored = merged.contributions.find((each) => nameOf(each) === nameOf(read));
    const { applied, implying } = chain;
    if (applied !== null && stored !== undefined) {
      problems.push(
        ...judgeContribution(
          stored,
          contributionOf(projection, aggregate, merged.mergeKey, applied.change.after, tenants),
        ),
      );
    }
    if (implying === null) continue;
    const rowsOf = (cells: LegacyRow, under: Tenants) => {
      const contributions = projection
        .map(cells, under)
        .contributions.filter((each) => each.aggregate === aggregate.name);
      return contributions.map(({ mergeKey, data }) => ({ ...data, id: mergeKey }));
    };
    try {
      traces.set(
        nameOf(read),
        traceRow(
          { input: implying.change.after!, tenants, otherSettings, rowsOf, seen: seen.byColumn },
          merged.mergeKey,
        ),
      );
    } catch {
      problems.push(
        `The mapping in the tree throws on the last applied change of legacy ${projection.source} ${legacyKey}.`,
      );
    }
  }

  // A null cell comes from no contributor.
  const filled = columns.filter((column) => (row[column] ?? null) !== null);
  const gives = ordered.map((_, index) =>
    filled.filter((column) => trace?.origins[column]?.from.some(({ contributor }) => contributor === index)),
  );
  const contributors = ordered.map(
    (each, index): Contributor => ({
      legacyTable: each.legacyTable,
      legacyKey: each.legacyKey,
      live: each.live,
      movedTo: each.movedTo === null ? null : { mergeKey: each.movedTo, state: merged.stateOf(each.movedTo) },
      ...each.lineage,
      mappingVersion: each.mappingVersion,
      isGreatest: index === 0 && folded !== null,
      gives: gives[index]!,
    }),
  );
  return {
    columns: columns.map((column) => ({
      column,
      value: toShown(row[column] ?? null, options.unmask),
      origin: trace === null ? null : toMergedOrigin(trace.origins[column]!, ordered, traces, options),
    })),
    existence: [],
    contributors: options.full ? contributors : contributors.slice(0, MOST_LISTED),
    contributorCount: contributors.length,
    problems,
    notes,
  };
}

/** The data that a legacy row contributes to a merge key; null if it contributes nothing to it, undefined if it cannot be mapped. */
function contributionOf(
  projection: Projection,
  aggregate: Aggregate,
  mergeKey: string,
  row: LegacyRow | null,
  tenants: Tenants,
) {
  try {
    return toImpliedRows(projection, tenants, row).get(contributionsTo(aggregate))?.get(mergeKey) ?? null;
  } catch {
    return undefined;
  }
}

function nameOf({ legacyTable, legacyKey }: { readonly legacyTable: string; readonly legacyKey: string }): string {
  return `${legacyTable} ${legacyKey}`;
}

function judgeContribution(stored: StoredContribution, implied: LegacyRow | null | undefined): string[] {
  if (implied === undefined) return [];
  const who = `legacy ${stored.legacyTable} ${stored.legacyKey}`;
  if (stored.live && implied === null)
    return [`${who} is a live contributor, and its last applied change contributes nothing here.`];
  if (!stored.live && implied !== null)
    return [`${who} is a retired contributor, and its last applied change contributes here.`];
  if (!stored.live || implied === null) return [];
  const differing = differingColumns(stored.data, implied);
  return differing.length === 0
    ? []
    : [`What ${who} contributes is other than its last applied change implies: ${differing.join(', ')}.`];
}

function toMergedOrigin(
  { kind, from }: FoldOrigin,
  ordered: readonly StoredContribution[],
  traces: ReadonlyMap<string, RowTrace | null>,
  { unmask }: ExplainOptions,
): MergedOrigin {
  const contributors = from.slice(0, MOST_NAMED).map(({ contributor, column }) => {
    const { legacyTable, legacyKey } = ordered[contributor]!;
    const trace = traces.get(nameOf({ legacyTable, legacyKey }));
    const legacy = column === null ? null : (trace?.origins[column] ?? null);
    return { legacyTable, legacyKey, column, legacy: legacy === null || unmask ? legacy : withoutJsonKeys(legacy) };
  });
  return { kind, contributors, more: from.length - contributors.length };
}
