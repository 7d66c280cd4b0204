import { toLsnText } from '../../changes/lsn.ts';
import type { Position } from '../../connectors/position.ts';
import { topicOf } from '../../runtime/config.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Aggregate, Projection } from '../projection.ts';
import {
  type ChainRequest,
  type ExplainContext,
  type ExplainOptions,
  findLog,
  type ReadChain,
  readChains,
  readLogEnd,
  withSnapshot,
} from './context.ts';
import { toChain } from './event-chain.ts';
import { explainMerged, type MergedInput, toMergedRequests } from './explain-merged.ts';
import type { ExplainedColumn, RowExplanation, Said } from './explanation.ts';
import { toShown } from './explanation.ts';
import { type RowsByTable, toAppendedRows, toHistoryInput, toImpliedRows } from './implied-rows.ts';
import { judgeOwned, judgeWriter } from './judge.ts';
import { findOtherKey } from './key-change.ts';
import { type Origin, type RowTrace, traceRow, withoutJsonKeys } from './provenance.ts';
import { type TableLog, toWantedKey } from './read-changes.ts';
import {
  type ColumnTypes,
  type Consumption,
  findTablesWith,
  readColumnTypes,
  readConsumption,
  readContributionsTo,
  readRow,
  readRowsBy,
  type TargetRow,
  toPrinted,
  toRowName,
} from './read-target.ts';
import { createSeenValues, type SeenValues } from './seen-values.ts';

/** How a projection of the working tree writes a table. */
type Role = {
  readonly projection: Projection;
  readonly columns: readonly string[];
} & (
  | { readonly kind: 'owned'; readonly retract: 'soft-delete' | 'delete' }
  | { readonly kind: 'merged'; readonly aggregate: Aggregate; readonly keyColumn: string }
  | { readonly kind: 'history' }
);

/** Every way in which a table is written. */
function rolesOf(projections: readonly Projection[], table: string): Role[] {
  return projections.flatMap((projection): Role[] => [
    ...projection.owned
      .filter((target) => target.table === table)
      .map(({ columns, retract }) => ({ kind: 'owned' as const, projection, columns, retract })),
    ...projection.aggregates.flatMap((aggregate) =>
      aggregate.targets
        .filter((target) => target.table === table)
        .map(({ columns, key }) => ({ kind: 'merged' as const, projection, columns, aggregate, keyColumn: key })),
    ),
    ...(projection.history?.targets ?? [])
      .filter((target) => target.table === table)
      .map(({ columns }) => ({ kind: 'history' as const, projection, columns })),
  ]);
}

/** Names of the tables that projections write. */
export function projectedTables(projections: readonly Projection[]): string[] {
  const tables = projections.flatMap(({ owned, aggregates, history }) => [
    ...owned.map(({ table }) => table),
    ...aggregates.flatMap(({ targets }) => targets.map(({ table }) => table)),
    ...(history?.targets ?? []).map(({ table }) => table),
  ]);
  return [...new Set(tables)];
}

const EMPTY = {
  row: null,
  projection: null,
  movedTo: null,
  writtenBy: null,
  columns: [],
  existence: [],
  contributors: [],
  contributorCount: 0,
  chains: [],
  log: null,
  problems: [],
  notes: [],
} satisfies Partial<RowExplanation>;

/** The row in one snapshot of the target database. */
interface Found {
  readonly row: TargetRow | null;
  readonly types: ColumnTypes;
  readonly role: Role | null;
  readonly merged: MergedInput | null;
  /** Projections whose legacy rows may have produced it: that of `role`, and for a merged row the others that feed its aggregate. */
  readonly feeders: readonly { readonly projection: Projection; readonly consumption: Consumption }[];
  /** For a missing row: tables that have a row with this id. */
  readonly elsewhere: readonly string[];
}

/** Explains one row of the new schema: the legacy row and the change that produced it, and the origin of each cell. */
export async function explainRow(
  context: ExplainContext,
  given: { readonly table: string; readonly id: string },
  options: ExplainOptions,
): Promise<RowExplanation> {
  const table = given.table.replace(`${context.config.targetSchema}.`, '');
  const roles = rolesOf(context.projections, table);
  if (roles.length === 0) {
    throw new CrosswalkError(
      'config_invalid.not_projected',
      `No projection writes a table ${JSON.stringify(given.table)}`,
      { tables: projectedTables(context.projections).join(', ') },
    );
  }
  const found = await readFound(context, table, given.id, roles);
  const { row, role } = found;
  const about = { kind: 'row' as const, ...EMPTY, table, id: row?.id ?? given.id };
  if (row === null) return { ...about, problems: [toNotFound(context, table, given.id, roles, found.elsewhere)] };
  const name = toRowName(table, row);
  if (row.origin !== 'cdc') {
    const notes = ['The new application wrote it: no legacy row is behind it, and no projection touches it.'];
    return { ...about, row: name, columns: toPlainColumns(row, options), notes };
  }
  if (role === null) {
    const problem = `No projection of this tree writes ${context.config.targetSchema}.${table} from legacy ${name.legacyTable}, which its lineage names.`;
    return { ...about, row: name, columns: toPlainColumns(row, options), problems: [problem] };
  }

  // Read after the row: the changes that it shows are in the log up to this position.
  const position = await readLogEnd(context);
  const named = await findLog(context, role.projection.source, position, options);
  if (!isKeyOf(named, name.legacyKey)) {
    const problem = `Its lineage does not match the log: ${name.legacyKey} is no key of legacy ${name.legacyTable}.`;
    return { ...about, row: name, columns: toPlainColumns(row, options), problems: [problem] };
  }
  const seen = createSeenValues();
  const logs = new Map([[named.table, named]]);
  const chains: ReadChain[] = [];
  for (const { projection: of, requests } of toRequests(context, table, found, role, options)) {
    if (requests.length === 0) continue;
    const log = logs.get(of.source) ?? (await findLog(context, of.source, position, options));
    logs.set(of.source, log);
    chains.push(...(await readChains(context, log, requests, options, seen)));
  }
  const { projection } = role;
  const said =
    role.kind === 'merged'
      ? await explainMerged(context, {
          table,
          row,
          types: found.types,
          role,
          feeders: found.feeders,
          merged: found.merged!,
          chains,
          seen,
          options,
        })
      : await explainOwn(context, { table, row, types: found.types, role, chain: chains[0]!, seen, options });
  const writer = judgeWriter(name, chains, position, {
    since: options.sinceMs,
    isMerged: role.kind === 'merged',
    isFull: options.full,
  });
  const isGone = writer.writtenBy?.op === 'd' && name.state === 'soft-deleted';
  const movedTo = isGone
    ? await findOtherKey(context, logs.get(writer.writtenBy!.legacyTable)!, writer.writtenBy!)
    : null;
  const notes = [...writer.notes, ...said.notes];
  if (name.mappingVersion !== projection.version) {
    notes.unshift(
      `It was written by mapping version ${name.mappingVersion} of ${projection.name}; the origins are of version ${projection.version}, which is in the tree.`,
    );
  }
  return {
    ...about,
    row: name,
    projection: { name: projection.name, version: projection.version, role: role.kind },
    movedTo,
    writtenBy: writer.writtenBy,
    columns: said.columns,
    existence: said.existence,
    contributors: said.contributors,
    contributorCount: said.contributorCount,
    chains: chains.map((chain) => toTold(chain, chain.legacyTable, logs.get(chain.legacyTable)!.topic, options)),
    log: toLogState(position, options),
    problems: [...writer.problems, ...said.problems],
    notes,
  };
}

function isKeyOf(log: TableLog, legacyKey: string): boolean {
  try {
    toWantedKey(log, [legacyKey]);
    return true;
  } catch {
    return false;
  }
}

/** A chain for output. */
export function toTold(read: ReadChain, table: string, topic: string, { limit }: ExplainOptions) {
  const { legacyKey, partition, from, to, isWhole } = read;
  return toChain(read.chain, limit, {
    ...{ table, key: legacyKey, topic, partition, isWhole },
    from: String(from),
    to: String(to),
  });
}

export function toLogState(position: Position | null, { sinceMs }: ExplainOptions) {
  return {
    through: position === null ? null : toLsnText(position.lsn),
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
  };
}

async function readFound(
  { config, projections }: ExplainContext,
  table: string,
  id: string,
  roles: readonly Role[],
): Promise<Found> {
  return await withSnapshot(config, async (client) => {
    const types = await readColumnTypes(client, table);
    const row = await readRow(client, table, types, id);
    const nothing = { row, types, role: null, merged: null, feeders: [], elsewhere: [] };
    if (row === null) {
      const others = projectedTables(projections).filter((other) => other !== table);
      return { ...nothing, elsewhere: await findTablesWith(client, others, id) };
    }
    const role = roles.find(({ projection }) => projection.source === row.legacy_table) ?? null;
    if (role === null || row.origin !== 'cdc') return nothing;
    let merged: MergedInput | null = null;
    if (role.kind === 'merged') {
      const mergeKey = row[role.keyColumn]!;
      const contributions = await readContributionsTo(client, role.aggregate.name, [mergeKey]);
      const main = role.aggregate.targets[0]!;
      const movedTo = [...new Set(contributions.flatMap((each) => each.movedTo ?? []))];
      const rows = await readRowsBy(
        client,
        main.table,
        await readColumnTypes(client, main.table),
        { column: main.key, values: movedTo },
        movedTo.length,
      );
      const states = new Map(rows.map((each) => [each[main.key]!, toRowName(main.table, each).state]));
      merged = { mergeKey, contributions, stateOf: (key) => states.get(key) ?? 'missing' };
    }
    const named = { legacyTable: row.legacy_table!, legacyKey: row.legacy_key! };
    const feeders: Found['feeders'][number][] = [];
    for (const { projection } of [role, ...roles.filter((other) => other !== role && sharesFold(role, other))]) {
      const own = [named, ...(merged?.contributions ?? [])].filter((of) => of.legacyTable === projection.source);
      const keys = new Set(own.map(({ legacyKey }) => legacyKey));
      const consumption = await readConsumption(client, projection, topicOf(config, projection.source), [...keys]);
      feeders.push({ projection, consumption });
    }
    return { ...nothing, role, merged, feeders };
  });
}

/** Whether both projections feed the same aggregate. */
function sharesFold(role: Role, other: Role): boolean {
  return role.kind === 'merged' && other.kind === 'merged' && role.aggregate.name === other.aggregate.name;
}

function toNotFound(
  { projections, config: { targetSchema } }: ExplainContext,
  table: string,
  id: string,
  roles: readonly Role[],
  elsewhere: readonly string[],
): string {
  const sources = [...new Set(roles.map(({ projection }) => projection.source))];
  const isDeleted = roles.some((role) => role.kind === 'owned' && role.retract === 'delete');
  const asLegacy = projections.some(({ source }) => source === table) ? [table] : sources;
  return [
    `${targetSchema}.${table} has no row ${id}.`,
    ...(isDeleted ? ['Rows of this table are deleted when they are no longer implied, and leave no trace in it.'] : []),
    ...elsewhere.map((other) => `${targetSchema}.${other} has one of this id: crosswalk explain ${other} ${id}.`),
    `If it is a legacy key: crosswalk explain --legacy ${asLegacy.join(' or ')} <key>.`,
    'Whether everything is applied says crosswalk status.',
  ].join(' ');
}

function toPlainColumns(row: TargetRow, { unmask }: ExplainOptions): ExplainedColumn[] {
  return Object.entries(row).map(([column, cell]) => ({ column, value: toShown(cell, unmask), origin: null }));
}

function toRequests(
  { tenants }: ExplainContext,
  table: string,
  { row, merged, feeders }: Found,
  role: Role,
  options: ExplainOptions,
): { readonly projection: Projection; readonly requests: readonly ChainRequest[] }[] {
  const id = row!.id!;
  // All changes of a transaction have the same LSN. They produced the row as it is after the last of them; a row of a history belongs to one change.
  const isWanted: ChainRequest['isWanted'] = ({ lineage, identity }) =>
    lineage.lsn === row!.source_lsn && (role.kind !== 'history' || identity.endsWith(`/${row!.ordinal}`));
  const onlyThis = (rows: RowsByTable): RowsByTable => {
    const found = rows.get(table)?.get(id);
    return new Map(found === undefined ? [] : [[table, new Map([[id, found]])]]);
  };
  if (role.kind === 'merged') {
    return toMergedRequests(table, row!, role, merged!, options, { tenants, feeders, isWanted });
  }
  const { projection } = role;
  const request: ChainRequest = {
    legacyKey: row!.legacy_key!,
    consumption: feeders[0]!.consumption,
    isWanted,
    impliedBy: (legacyRow) => onlyThis(toImpliedRows(projection, tenants, legacyRow)),
    histories: role.kind === 'history' ? [{ projection, only: onlyThis }] : [],
  };
  return [{ projection, requests: [request] }];
}

async function explainOwn(
  { config, tenants, otherSettings }: ExplainContext,
  input: {
    table: string;
    row: TargetRow;
    types: ColumnTypes;
    role: Role;
    chain: ReadChain;
    seen: SeenValues;
    options: ExplainOptions;
  },
): Promise<Said> {
  const { table, row, types, role, chain, seen, options } = input;
  const { projection } = role;
  const id = row.id!;
  const basis = role.kind === 'history' ? chain.chain.wanted : chain.chain.implying;
  let trace: RowTrace | null = null;
  let expected: Readonly<Record<string, string | null>> | null = null;
  const problems: string[] = [];
  if (basis !== null) {
    try {
      const computation =
        role.kind === 'history'
          ? {
              input: toHistoryInput(basis.change, basis.previous),
              rowsOf: (cells: Readonly<Record<string, string | null>>, under: typeof tenants) => [
                ...(toAppendedRows(projection, under, cells).get(table)?.values() ?? []),
              ],
              seen: new Map(
                [...seen.byColumn].flatMap(([column, values]) => [
                  [`before.${column}`, values] as const,
                  [`after.${column}`, values] as const,
                ]),
              ),
            }
          : {
              input: basis.change.after!,
              rowsOf: (cells: Readonly<Record<string, string | null>>, under: typeof tenants) =>
                projection.map(cells, under).rows[table] ?? [],
              seen: seen.byColumn,
            };
      trace = traceRow({ ...computation, tenants, otherSettings }, id);
      expected = computation.rowsOf(computation.input, tenants).find((each) => each.id === id) ?? null;
    } catch {
      problems.push('The mapping in the tree throws on the legacy row of the last applied change.');
    }
  }
  if (expected !== null) {
    const cells = Object.fromEntries(role.columns.map((column) => [column, expected?.[column] ?? null]));
    expected = await withSnapshot(config, (client) => toPrinted(client, types, cells));
  }
  const show = options.unmask ? (origin: Origin) => origin : withoutJsonKeys;
  problems.push(...judgeOwned(`${config.targetSchema}.${table}`, row, role, chain, expected));
  return {
    columns: role.columns.map((column) => ({
      column,
      value: toShown(row[column] ?? null, options.unmask),
      // A column that a mapping omits is null.
      origin: trace === null ? null : show(trace.origins[column] ?? { kind: 'constant', from: [], settings: [] }),
    })),
    existence: trace?.existence ?? [],
    contributors: [],
    contributorCount: 0,
    problems,
    notes: [],
  };
}
