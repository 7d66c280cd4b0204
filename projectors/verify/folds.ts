import type pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { inTransaction } from '../../runtime/postgres.ts';
import type { Cell, Contribution } from '../projection.ts';
import { toCells } from '../source-change.ts';
import type { CellDifference, RowResult } from './compare-key.ts';
import type { Findings } from './findings.ts';
import {
  type Detail,
  type FoldChunk,
  type MergedTarget,
  ofKeys,
  readContributionLineage,
  readDetails,
  readFoldChunk,
  readFolds,
  toFoldText,
} from './fold-chunk.ts';
import { isolating } from './isolating.ts';
import { findAbsent, toKeyTexts } from './legacy-rows.ts';
import type { Suspect } from './looks.ts';
import type { PartOptions } from './part.ts';
import { CONTRIBUTION, type MergedPlan, type Plan, tenantOf, toContributionName } from './plan.ts';
import { withoutSpellings } from './target-rows.ts';
import { toTenantCondition } from './tenant-condition.ts';

const SNAPSHOT = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/** A folded or found row of one target. */
interface FoldedResult {
  readonly result: RowResult;
  readonly legacyTable: string | null;
  readonly legacyKey: string | null;
}

/**
 * Compares merged rows with the fold of the stored contributions, merge key by merge key. Both are written in one transaction, so they are equal in any
 * snapshot of the target: no fence and no second check are needed. Live contributions without a legacy row become suspects.
 */
export async function compareFolds(
  options: PartOptions & {
    plan: Plan;
    merged: MergedPlan;
    plans: readonly Plan[];
    relations: ReadonlyMap<string, Relation>;
    chunkRows: number;
    /** Reads the lineage of rows while `target` is in a snapshot. */
    lineages: pg.ClientBase;
  },
): Promise<void> {
  const { target, plan, merged, chunkRows, tenant, findings, looks, pace, signal } = options;
  const read = (after: string | null): Promise<FoldChunk> => {
    const chunk = inTransaction(
      target,
      () => readFoldChunk(target, merged, { after, most: chunkRows, tenant }),
      SNAPSHOT,
    );
    // It may fail while another chunk is compared.
    chunk.catch(() => undefined);
    return chunk;
  };
  let next = read(options.from.after?.[0] ?? null);
  for (;;) {
    signal.throwIfAborted();
    const chunk = await next;
    const { last } = chunk;
    if (last !== null) next = read(last);
    const suspecting = findUnfounded(chunk, options);
    suspecting.catch(() => undefined);
    const { equal, differing } = compareChunk(merged, chunk);
    if (differing.size > 0) {
      // Differing keys are folded in a snapshot of their own, so the session must first leave the snapshot of the next chunk.
      await next;
      const results = await foldKeys(target, plan, merged, [...differing], findings);
      for (const { result, legacyTable, legacyKey } of results)
        findings.addRow(result, { legacyTable, legacyKey, explained: null }, true);
    }
    for (const { of, cells } of equal) findings.addEqualRow(of, cells);
    looks.add(await suspecting);
    const contributions = [...chunk.contributions.values()].reduce((sum, list) => sum + list.length, 0);
    await options.onProgress(contributions, { after: last === null ? null : [last], done: last === null });
    await looks.untilRoom();
    if (last === null) return;
    await pace.take(contributions);
  }
}

/** Folds every merge key of a chunk. Returns the rows that are as expected, and the keys with any difference. */
function compareChunk(
  { aggregate, targets }: MergedPlan,
  chunk: FoldChunk,
): { equal: { of: MergedTarget; cells: readonly Cell[] }[]; differing: Set<string> } {
  const differing = new Set<string>();
  const folded = new Map<string, ReturnType<typeof aggregate.fold>>();
  for (const [mergeKey, contributions] of chunk.contributions) {
    try {
      folded.set(mergeKey, aggregate.fold(mergeKey, contributions));
    } catch {
      differing.add(mergeKey);
    }
  }
  const equal: { mergeKey: string; of: MergedTarget; cells: readonly Cell[] }[] = [];
  for (const [at, of] of targets.entries()) {
    const found = chunk.rows[at]!;
    let matched = 0;
    for (const [mergeKey, rows] of folded) {
      for (const { row, deletedAt } of rows[of.table] ?? []) {
        if (deletedAt !== null) continue;
        const cells = toCells(row, of.columns);
        const actual = found.get(row.id!);
        if (actual === undefined || actual.text !== toFoldText(cells)) differing.add(mergeKey);
        else {
          equal.push({ mergeKey, of, cells });
          matched += 1;
        }
      }
    }
    if (matched === found.size) continue;
    // Rows that no fold produces, or that differ. They belong to the merge key that they name, or to the one that folds them.
    const known = new Set(equal.filter((row) => row.of === of).map(({ cells }) => cells[of.columns.indexOf('id')]!));
    for (const [id, { mergeKey }] of found) if (!known.has(id)) differing.add(mergeKey);
  }
  return { equal: equal.filter(({ mergeKey }) => !differing.has(mergeKey)), differing };
}

/** Folds merge keys again in a snapshot of their own, and classifies each of their rows. */
async function foldKeys(
  target: pg.ClientBase,
  plan: Plan,
  merged: MergedPlan,
  mergeKeys: readonly string[],
  findings: Findings,
): Promise<FoldedResult[]> {
  return await inTransaction(
    target,
    async () => foldAll(target, plan, merged, await readFolds(target, merged, ofKeys(mergeKeys)), findings),
    SNAPSHOT,
  );
}

/** Compares the folds of some merge keys again. Returns the rows that differ. */
export async function compareMergeKeys(
  target: pg.ClientBase,
  plan: Plan,
  merged: MergedPlan,
  mergeKeys: readonly string[],
  findings: Findings,
): Promise<RowResult[]> {
  const results = await foldKeys(target, plan, merged, mergeKeys, findings);
  return results.map(({ result }) => result).filter(({ kind }) => kind !== 'equal');
}

/** Folds every merge key and compares the live rows. */
async function foldAll(
  target: pg.ClientBase,
  plan: Plan,
  { aggregate, targets }: MergedPlan,
  chunk: FoldChunk,
  findings: Findings,
): Promise<FoldedResult[]> {
  const expected = targets.map(() => new Map<string, { mergeKey: string; cells: Cell[] }>());
  const failed = new Set<string>();
  for (const [mergeKey, contributions] of chunk.contributions) {
    let folded: ReturnType<typeof aggregate.fold>;
    try {
      folded = aggregate.fold(mergeKey, contributions);
    } catch {
      failed.add(mergeKey);
      findings.addUnmappable(plan, `${aggregate.name} ${mergeKey}`, null);
      continue;
    }
    for (const [at, { table, columns }] of targets.entries()) {
      for (const { row, deletedAt } of folded[table] ?? []) {
        if (deletedAt === null) expected[at]!.set(row.id!, { mergeKey, cells: toCells(row, columns) });
      }
    }
  }
  const results: FoldedResult[] = [];
  for (const [at, of] of targets.entries()) {
    const found = chunk.rows[at]!;
    const wanted = expected[at]!;
    const different = [...wanted].filter(([id, { cells }]) => found.get(id)?.text !== toFoldText(cells));
    const extra = [...found].filter(([id, { mergeKey }]) => !wanted.has(id) && !failed.has(mergeKey));
    const details = await readDetails(target, of, [...different.map(([id]) => id), ...extra.map(([id]) => id)]);
    const isDifferent = new Set(different.map(([id]) => id));
    for (const [id, { mergeKey, cells }] of wanted)
      if (!isDifferent.has(id)) results.push(toEqual(aggregate.name, mergeKey, of, cells));
    const compared = different.map(([id, { mergeKey, cells }]) => {
      const carrier = chunk.contributions.get(mergeKey)?.find(({ live }) => live);
      return { ...toResult(aggregate.name, mergeKey, of, id, cells, details.get(id)), carrier };
    });
    const spelled = await withoutSpellings(
      target,
      compared.map(({ result }) => result),
    );
    for (const [place, { carrier }] of compared.entries()) {
      const { legacyTable = null, legacyKey = null } = carrier ?? {};
      results.push({ result: spelled[place]!, legacyTable, legacyKey });
    }
    for (const [id, { mergeKey }] of extra) {
      const carrier = chunk.contributions.get(mergeKey)?.find(({ live }) => live);
      const detail = details.get(id);
      const { result } = toResult(aggregate.name, mergeKey, of, id, null, detail);
      results.push({
        result,
        legacyTable: carrier?.legacyTable ?? detail?.legacyTable ?? null,
        legacyKey: carrier?.legacyKey ?? detail?.legacyKey ?? null,
      });
    }
  }
  return results;
}

function toEqual(aggregate: string, mergeKey: string, of: MergedTarget, cells: readonly Cell[]): FoldedResult {
  const numbers = of.numericAt.map((at) => ({ column: of.columns[at]!, expected: cells[at]!, actual: cells[at]! }));
  return {
    result: {
      ...{ table: of.table, id: cells[of.columns.indexOf('id')]!, tenant: tenantOf(cells, of.tenantAt) },
      ...{ kind: 'equal', cells: [], numbers, lineage: null, physical: null, merged: { aggregate, mergeKey } },
    },
    legacyTable: null,
    legacyKey: null,
  };
}

/** `expected` null: the fold has no such row. `detail` undefined: the table has no such row. */
function toResult(
  aggregate: string,
  mergeKey: string,
  of: MergedTarget,
  id: string,
  expected: readonly Cell[] | null,
  detail: Detail | undefined,
): { result: RowResult } {
  const cells: CellDifference[] = [];
  if (expected !== null && detail !== undefined) {
    for (const [at, column] of of.columns.entries()) {
      if (expected[at] === detail.cells[at]) continue;
      const type = of.shape.types[column] ?? null;
      cells.push({ column, expected: expected[at]!, actual: detail.cells[at]!, type });
    }
    if (detail.deletedAt !== null)
      cells.push({ column: 'deleted_at', expected: null, actual: detail.deletedAt, type: null });
    if (of.ownedFrom.includes(detail.legacyTable))
      cells.push({ column: 'legacy_table', expected: null, actual: detail.legacyTable, type: null });
    if (detail.origin !== 'cdc') cells.push({ column: 'origin', expected: 'cdc', actual: detail.origin, type: null });
  }
  const kind = expected === null ? 'extra' : detail === undefined ? 'missing' : cells.length > 0 ? 'differs' : 'equal';
  return {
    result: {
      ...{ table: of.table, id, kind, cells },
      tenant: tenantOf(expected ?? detail?.cells ?? [], of.tenantAt),
      numbers: of.numericAt.map((at) => ({
        ...{ column: of.columns[at]!, expected: expected?.[at] ?? null, actual: detail?.cells[at] ?? null },
      })),
      ...{ lineage: detail?.lineage ?? null, physical: null, merged: { aggregate, mergeKey } },
    },
  };
}

/** Returns live contributions whose legacy row does not exist or, in a run over one tenant, belongs to another. Those of a table that contributes nothing are certainly extra. */
async function findUnfounded(
  chunk: FoldChunk,
  { legacy, merged, plans, relations, findings, tenant, lineages }: Parameters<typeof compareFolds>[0],
): Promise<Suspect[]> {
  const { name } = merged.aggregate;
  const suspects: Suspect[] = [];
  const extra: { mergeKey: string; of: Contribution }[] = [];
  const bySource = new Map<string, { mergeKey: string; of: Contribution }[]>();
  for (const [mergeKey, list] of chunk.contributions) {
    for (const of of list) {
      // Rows of another tenant that share a merge key with this one are left to that tenant's run.
      if (!of.live || (tenant !== null && of.data.tenant_id !== tenant)) continue;
      const known = bySource.get(of.legacyTable);
      if (known === undefined) bySource.set(of.legacyTable, [{ mergeKey, of }]);
      else known.push({ mergeKey, of });
    }
  }
  for (const [source, contributions] of bySource) {
    const plan = plans.find(
      (other) => other.projection.source === source && other.merged.some(({ aggregate }) => aggregate.name === name),
    );
    const relation = relations.get(source);
    if (plan === undefined || relation === undefined) {
      extra.push(...contributions);
      continue;
    }
    const keyed: { mergeKey: string; of: Contribution; texts: readonly string[] }[] = [];
    for (const { mergeKey, of } of contributions) {
      const texts = toKeyTexts(relation, of.legacyKey);
      if (texts === null) extra.push({ mergeKey, of });
      else keyed.push({ mergeKey, of, texts });
    }
    const { tenant: named } = plan.projection;
    await isolating(
      keyed,
      async (some) => {
        for (const place of await findAbsent(
          legacy,
          relation,
          some.map(({ texts }) => texts),
          tenant === null || named === undefined ? null : toTenantCondition(named.column, tenant),
        )) {
          const { of, texts } = some[place]!;
          suspects.push({ plan, relation, legacyKey: of.legacyKey, keyTexts: texts, strays: new Map() });
        }
      },
      (of) => extra.push(of),
    );
  }
  for (const { mergeKey, of } of extra) {
    const { legacyTable, legacyKey } = of;
    const result: RowResult = {
      table: CONTRIBUTION,
      id: toContributionName({ aggregate: name, mergeKey }, of),
      tenant: of.data.tenant_id ?? '',
      kind: 'extra',
      ...{ cells: [], numbers: [], physical: null, merged: { aggregate: name, mergeKey } },
      lineage: await readContributionLineage(lineages, { aggregate: name, mergeKey, legacyTable, legacyKey }),
    };
    findings.addRow(result, { legacyTable, legacyKey, explained: null }, true);
  }
  return suspects;
}
