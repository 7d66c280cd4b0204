import { readSourceDeadLetters } from '../../connectors/dead-letters.ts';
import { topicOf } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { LegacyRow, Projection, Tenants } from '../projection.ts';
import {
  type ExplainContext,
  type ExplainOptions,
  findLog,
  type ReadChain,
  readChains,
  readLogEnd,
  withSnapshot,
} from './context.ts';
import { toLogState, toTold } from './explain-row.ts';
import type { Held, LegacyContribution, LegacyExplanation, Progress, RowName } from './explanation.ts';
import { contributionsTo, type RowsByTable, toImpliedRows } from './implied-rows.ts';
import { findOtherKey } from './key-change.ts';
import { toWantedKey } from './read-changes.ts';
import {
  type Consumption,
  readColumnTypes,
  readConsumption,
  readContributionsOf,
  readContributionsTo,
  readRowsBy,
  type StoredContribution,
  type TargetRow,
  toRowName,
} from './read-target.ts';
import { createSeenValues } from './seen-values.ts';

/** Most merge keys and history rows that are looked up. */
const MOST_LOOKED_UP = 2000;

/** Explains one legacy row: all new rows and contributions that came from it. */
export async function explainLegacy(
  context: ExplainContext,
  given: { readonly table: string; readonly key: readonly string[] },
  options: ExplainOptions,
): Promise<LegacyExplanation> {
  const { config, tenants } = context;
  const table = given.table.startsWith(`${config.legacySchema}.`)
    ? given.table.slice(config.legacySchema.length + 1)
    : given.table;
  const projections = context.projections.filter(({ source }) => source === table);
  if (projections.length === 0 && !config.tables.includes(table)) {
    throw new CrosswalkError(
      'config_invalid.not_legacy',
      `${JSON.stringify(given.table)} is no captured legacy table`,
      { tables: config.tables.join(', ') },
    );
  }
  const key = toWantedKey(await findLog(context, table, null, options), given.key).legacyKey;
  const topic = topicOf(config, table);
  const found = await readFound(context, projections, table, key, options);
  // Read after the rows: the changes that they show are in the log up to this position.
  const position = await readLogEnd(context);
  const log = await findLog(context, table, position, options);
  const lookUp = createLookUp();
  const request = {
    legacyKey: key,
    consumption: found.progress,
    impliedBy: (row: LegacyRow | null) => lookUp.contributions(projections, tenants, row),
    histories: projections
      .filter(({ history }) => history !== undefined)
      .map((projection) => ({ projection, only: (rows: RowsByTable) => lookUp.appended(rows) })),
    isWanted: () => false,
  };
  const [[read], tooLarge] = await Promise.all([
    readChains(context, log, [request], options, createSeenValues()),
    readTooLarge(context, table, key),
  ]);
  const merged = await readMerged(context, projections, found.contributions, key, lookUp.mergeKeys);
  const history = await readHistory(context, lookUp.historyIds, options);
  const chain = read!.chain.count === 0 ? null : toTold(read!, table, topic, options);
  const rows = [...found.rows, ...history].filter((row) => row.table !== context.rejects);
  const { held } = found;
  const [first, last] = [read!.chain.events[0], read!.chain.events.at(-1)];
  const movedFrom = first?.op === 'c' && read!.isWhole ? await findOtherKey(context, log, first) : null;
  const movedTo = last?.op === 'd' ? await findOtherKey(context, log, last) : null;
  const isNothing = chain === null && rows.length === 0 && held.length === 0 && merged.length === 0;
  return {
    kind: 'legacy',
    table,
    key,
    projections: projections.map(({ name, version }) => ({ name, version })),
    rows,
    rejects: found.rejects,
    contributions: merged,
    held: [...held, ...tooLarge.held],
    movedFrom,
    movedTo,
    chain,
    log: toLogState(position, options),
    problems: isNothing ? [toNothingFound(table, key, options)] : judge(read!, projections, context, found, options),
    notes: [
      ...(projections.length === 0
        ? [`No projection reads ${table}: its changes are in the log, and nothing is made of them.`]
        : []),
      ...(lookUp.isWhole()
        ? []
        : [
            `It has gone through more than ${MOST_LOOKED_UP} merge keys or rows of histories: not all of them are listed.`,
          ]),
      ...[...found.cut].map(
        (name) => `Of ${config.targetSchema}.${name} the first ${options.limit} rows are listed: --limit shows more.`,
      ),
      ...tooLarge.notes,
    ],
  };
}

function toNothingFound(table: string, key: string, { sinceMs }: ExplainOptions): string {
  if (sinceMs !== null) {
    return `Nothing is known of legacy ${table} ${key} since the time given. Without --since the whole log is read.`;
  }
  return `Nothing is known of legacy ${table} ${key}: no event in the log, no row. Check the key; a row that was just written is there once crosswalk wait says so; crosswalk doctor says whether ${table} is captured.`;
}

/** Combines several consumers: the progress of the one furthest behind. */
function toOneConsumption(consumptions: readonly Consumption[]): Consumption {
  const order: readonly Progress[] = ['parked', 'failed', 'not applied yet', 'applied'];
  return {
    held: [],
    progressOf: (change) => {
      const all = consumptions.map((each) => each.progressOf(change));
      return order.find((progress) => all.includes(progress)) ?? 'applied';
    },
  };
}

async function readFound(
  { config, rejects: rejectsTable }: ExplainContext,
  projections: readonly Projection[],
  table: string,
  key: string,
  { limit, full }: ExplainOptions,
) {
  return await withSnapshot(config, async (client) => {
    const rows: RowName[] = [];
    const rejects: LegacyExplanation['rejects'][number][] = [];
    const cut = new Set<string>();
    const consumptions: { readonly projection: Projection; readonly consumption: Consumption }[] = [];
    for (const projection of projections) {
      const consumption = await readConsumption(client, projection, topicOf(config, table), [key]);
      consumptions.push({ projection, consumption });
      for (const { table: target, scope } of projection.owned) {
        const types = await readColumnTypes(client, target);
        const values = [scope.of(key)];
        const found = await readRowsBy(client, target, types, { column: scope.column, values }, limit);
        if (found.length === limit) cut.add(target);
        for (const row of found) {
          // A scope may match rows of others: rejects are found by the key alone, and the application may use an id.
          if (row.origin === 'cdc' && row.legacy_table !== table) continue;
          if (target === rejectsTable && row.origin === 'cdc') rejects.push(toReject(target, row));
          else rows.push(toRowName(target, row));
        }
      }
    }
    const aggregates = [...new Set(projections.flatMap((projection) => projection.aggregates.map(({ name }) => name)))];
    const contributions = await readContributionsOf(client, table, key, aggregates, full);
    // A history may be behind or ahead of the rows that are compared with the chain.
    const ofState = consumptions.filter(({ projection }) => projection.history === undefined);
    const progress = toOneConsumption(ofState.map(({ consumption }) => consumption));
    return {
      rows,
      rejects,
      cut,
      contributions,
      progress,
      held: consumptions.flatMap(({ consumption }) => consumption.held),
    };
  });
}

function toReject(table: string, row: TargetRow) {
  return { ...toRowName(table, row), path: row.path ?? '', reason: row.reason ?? '' };
}

/** Remembers what a chain has passed through: merge keys, by which retired contributions are found, and rows of histories. */
function createLookUp() {
  const mergeKeys = new Map<string, Set<string>>();
  const historyIds = new Map<string, Set<string>>();
  let isWhole = true;
  const add = (sets: Map<string, Set<string>>, name: string, ids: Iterable<string>) => {
    const known = sets.get(name) ?? new Set();
    sets.set(name, known);
    for (const id of ids) {
      if (known.has(id)) continue;
      if (known.size >= MOST_LOOKED_UP) isWhole = false;
      else known.add(id);
    }
  };
  return {
    mergeKeys,
    historyIds,
    isWhole: () => isWhole,
    contributions(projections: readonly Projection[], tenants: Tenants, row: LegacyRow | null): RowsByTable {
      const all = projections.map((projection) => ({ projection, rows: toImpliedRows(projection, tenants, row) }));
      for (const { projection, rows } of all) {
        for (const aggregate of projection.aggregates) {
          add(mergeKeys, aggregate.name, rows.get(contributionsTo(aggregate))?.keys() ?? []);
        }
      }
      return new Map(all.flatMap(({ rows }) => [...rows]));
    },
    appended(rows: RowsByTable): RowsByTable {
      for (const [table, found] of rows) add(historyIds, table, found.keys());
      return rows;
    },
  };
}

/** Reads the contributions of the row, and the merged rows that depend on them. */
async function readMerged(
  { config }: ExplainContext,
  projections: readonly Projection[],
  live: readonly StoredContribution[],
  key: string,
  mergeKeys: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<LegacyContribution[]> {
  return await withSnapshot(config, async (client) => {
    const merged: LegacyContribution[] = [];
    for (const projection of projections) {
      for (const aggregate of projection.aggregates) {
        const known = live.filter((each) => each.aggregate === aggregate.name).map(({ mergeKey }) => mergeKey);
        for (const mergeKey of new Set([...known, ...(mergeKeys.get(aggregate.name) ?? [])])) {
          const contributions = await readContributionsTo(client, aggregate.name, [mergeKey]);
          const own = contributions.find((each) => each.legacyTable === projection.source && each.legacyKey === key);
          if (own === undefined) continue;
          const resting = idsRestingOn(aggregate, mergeKey, contributions, own);
          const rows: RowName[] = [];
          for (const target of aggregate.targets) {
            const types = await readColumnTypes(client, target.table);
            const by = { column: 'id', values: resting.get(target.table) ?? [] };
            rows.push(
              ...(await readRowsBy(client, target.table, types, by, MOST_LOOKED_UP)).map((row) =>
                toRowName(target.table, row),
              ),
            );
          }
          const { live: isLive, movedTo, lineage, mappingVersion } = own;
          merged.push({ aggregate: aggregate.name, mergeKey, live: isLive, movedTo, ...lineage, mappingVersion, rows });
        }
      }
    }
    return merged;
  });
}

/** Ids of the merged rows that depend on a contribution, by table. */
function idsRestingOn(
  aggregate: Projection['aggregates'][number],
  mergeKey: string,
  contributions: readonly StoredContribution[],
  own: StoredContribution,
): Map<string, string[]> {
  try {
    const folded = aggregate.fold(mergeKey, contributions);
    return new Map(
      Object.entries(folded).map(([table, results]) => [
        table,
        results.filter(({ from }) => from.includes(own)).map(({ row }) => row.id!),
      ]),
    );
  } catch {
    return new Map();
  }
}

async function readHistory(
  { config }: ExplainContext,
  historyIds: ReadonlyMap<string, ReadonlySet<string>>,
  { limit }: ExplainOptions,
): Promise<RowName[]> {
  if (historyIds.size === 0) return [];
  return await withSnapshot(config, async (client) => {
    const rows: RowName[] = [];
    for (const [table, ids] of historyIds) {
      const types = await readColumnTypes(client, table);
      const found = await readRowsBy(client, table, types, { column: 'id', values: [...ids] }, limit);
      rows.push(...found.map((row) => toRowName(table, row)));
    }
    return rows;
  });
}

/** Reads the row's last version if it is too large for the log. */
async function readTooLarge(
  { kafka, config }: ExplainContext,
  table: string,
  key: string,
): Promise<{ held: Held[]; notes: string[] }> {
  try {
    const letters = await readSourceDeadLetters(kafka, config);
    const own = letters.filter((letter) => letter.table === `${config.legacySchema}.${table}` && letter.key === key);
    const held = own.map(
      (letter): Held => ({
        projection: '',
        kind: 'too large for the log',
        topic: letter.topic,
        partition: null,
        offset: null,
        lsn: letter.commitLsn,
        reason: `${letter.bytes} bytes of at most ${letter.limit}`,
        resolution: null,
      }),
    );
    return { held, notes: [] };
  } catch (error) {
    return {
      held: [],
      notes: [
        `Whether a version of it is too large for the log is unknown: ${toCrosswalkError(error, 'Kafka').message}`,
      ],
    };
  }
}

/** Compares the live rows with those implied by the last applied change, by id only: `verify` compares their cells. */
function judge(
  { chain, from }: ReadChain,
  projections: readonly Projection[],
  { tenants, rejects, config: { targetSchema: schema } }: ExplainContext,
  { rows, cut }: { readonly rows: readonly RowName[]; readonly cut: ReadonlySet<string> },
  { sinceMs }: ExplainOptions,
): string[] {
  if (chain.count === 0 && sinceMs === null) {
    return [
      `Rows name it in their lineage, and the log holds no event of it${from > 0n ? `: what is left of its partition begins at offset ${from}` : ''}.`,
    ];
  }
  if (chain.applied === null) return [];
  const problems: string[] = [];
  const live = rows.filter(({ state, origin }) => state === 'live' && origin === 'cdc');
  for (const projection of projections) {
    let implied: RowsByTable;
    try {
      implied = toImpliedRows(projection, tenants, chain.applied.change.after);
    } catch {
      problems.push(`Projection ${projection.name} in the tree throws on its last applied change.`);
      continue;
    }
    for (const { table } of projection.owned.filter((target) => target.table !== rejects && !cut.has(target.table))) {
      const expected = new Set(implied.get(table)?.keys());
      const found = new Set(live.filter((row) => row.table === table).map(({ id }) => id));
      for (const id of expected)
        if (!found.has(id))
          problems.push(`Its last applied change implies ${schema}.${table} ${id}, which is not live.`);
      for (const id of found)
        if (!expected.has(id))
          problems.push(`${schema}.${table} ${id} is live, and its last applied change does not imply it.`);
    }
  }
  return problems;
}
