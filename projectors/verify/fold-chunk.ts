import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { quoteLiteral as literal, quoteIdent } from '../../schemas/quote.ts';
import type { Cell, Contribution } from '../projection.ts';
import { notOwned } from '../write/statements.ts';
import type { FoundLineage } from './compare-key.ts';
import type { MergedPlan } from './plan.ts';
import { toMarkedSql, toMarkedText, toNullMark } from './spelling.ts';
import { toTexts } from './target-rows.ts';

/** Merge keys with all their contributions and live rows. */
export interface FoldChunk {
  readonly contributions: ReadonlyMap<string, readonly Contribution[]>;
  /** By table, then by id. */
  readonly rows: readonly ReadonlyMap<string, { readonly mergeKey: string; readonly text: string }>[];
  /** The last merge key of the chunk; null if no more follow. */
  readonly last: string | null;
}

export type MergedTarget = MergedPlan['targets'][number];

/** A row of a merged table, in any state. */
export interface Detail {
  readonly cells: readonly Cell[];
  readonly origin: string;
  readonly deletedAt: Cell;
  readonly legacyTable: string;
  readonly legacyKey: string;
  readonly lineage: FoundLineage;
}

/** A condition on the column of the merge key. Its parameters start at $1. */
interface Range {
  readonly condition: (key: string) => string;
  readonly values: readonly unknown[];
}

/** The texts are compared within this process only. */
const FOLD_NULL = toNullMark(randomUUID().slice(0, 13));

/** The text of a row as in a chunk; null if another row might have the same text. */
export function toFoldText(cells: readonly Cell[]): string | null {
  return toMarkedText(cells, FOLD_NULL);
}

const isLive = `origin = 'cdc' AND deleted_at IS NULL`;

/**
 * Reads the next merge keys in the caller's snapshot: at most `most` contributions, or rows of a table, but always all of a key. `tenant`: only keys
 * with a contribution or row of this tenant.
 */
export async function readFoldChunk(
  target: pg.ClientBase,
  merged: MergedPlan,
  { after, most, tenant }: { after: string | null; most: number; tenant: string | null },
): Promise<FoldChunk> {
  const { aggregate, targets } = merged;
  const values = [...(after === null ? [] : [after]), ...(tenant === null ? [] : [tenant])];
  const conditions = (key: string, tenantOfRow: string) =>
    [
      ...(after === null ? [] : [`${key} > $1::uuid`]),
      ...(tenant === null ? [] : [`${tenantOfRow} = $${values.length}`]),
    ].map((condition) => ` AND ${condition}`);
  const sources = [
    `SELECT merge_key AS key FROM contribution WHERE aggregate = ${literal(aggregate.name)}${conditions('merge_key', "data ->> 'tenant_id'").join('')}`,
    ...targets.map(({ table, key, ownedFrom }) => {
      const column = quoteIdent(key);
      return `SELECT ${column} AS key FROM ${quoteIdent(table)} WHERE ${isLive}${notOwned('', ownedFrom)}${conditions(column, 'tenant_id').join('')}`;
    }),
  ];
  // The chunk ends at the first source that reaches its limit.
  const { rows: ends } = await target.query<{ last: string | null }>(
    `SELECT least(${sources.map((source) => `(${source} ORDER BY key OFFSET ${most - 1} LIMIT 1)`).join(', ')}) AS last`,
    values,
  );
  const last = ends[0]!.last;
  if (tenant === null) return { ...(await readFolds(target, merged, toRange(after, last))), last };
  const upTo = last === null ? '' : ` WHERE key <= ${literal(last)}::uuid`;
  const { rows } = await target.query<{ key: string }>(
    `SELECT DISTINCT key FROM (${sources.map((source) => `(${source} ORDER BY key LIMIT ${most})`).join(' UNION ALL ')}) k${upTo}`,
    values,
  );
  const keys = rows.map(({ key }) => key);
  return { ...(await readFolds(target, merged, ofKeys(keys))), last };
}

function toRange(after: string | null, last: string | null): Range {
  const lower = after === null ? '' : ' > $1::uuid';
  const upper = last === null ? '' : ` <= $${after === null ? 1 : 2}::uuid`;
  return {
    condition: (key) => [lower, upper].map((bound) => (bound === '' ? 'true' : `${key}${bound}`)).join(' AND '),
    values: [after, last].filter((bound) => bound !== null),
  };
}

/** Only these merge keys. */
export function ofKeys(mergeKeys: readonly string[]): Range {
  return { condition: (key) => `${key} = ANY ($1::uuid[])`, values: [mergeKeys] };
}

/** Reads all contributions and live rows of merge keys in the caller's snapshot. */
export async function readFolds(
  target: pg.ClientBase,
  { aggregate, targets }: MergedPlan,
  { condition, values }: Range,
): Promise<FoldChunk> {
  const contributions = new Map<string, Contribution[]>();
  const { rows } = await target.query<string[]>({
    text: `SELECT merge_key, legacy_table, legacy_key, live, moved_to, data, source_committed_at FROM contribution
      WHERE aggregate = ${literal(aggregate.name)} AND ${condition('merge_key')}`,
    values: [...values],
    rowMode: 'array',
  });
  for (const row of rows) {
    const contribution = {
      legacyTable: row[1]!,
      legacyKey: row[2]!,
      live: row[3] === 't',
      movedTo: row[4] ?? null,
      committedAt: row[6]!,
      data: toTexts(row[5]!),
    };
    const list = contributions.get(row[0]!);
    if (list === undefined) contributions.set(row[0]!, [contribution]);
    else list.push(contribution);
  }
  const found: FoldChunk['rows'][number][] = [];
  for (const { table, key, columns, shape, ownedFrom } of targets) {
    const column = quoteIdent(key);
    const cells = columns.map((name) => ({ sql: quoteIdent(name), type: shape.types[name] ?? '' }));
    const result = await target.query<string[]>({
      text: `SELECT id, ${column}, ${toMarkedSql(cells, FOLD_NULL)} FROM ${quoteIdent(table)} WHERE ${isLive}${notOwned('', ownedFrom)} AND ${condition(column)}`,
      values: [...values],
      rowMode: 'array',
    });
    found.push(new Map(result.rows.map((row) => [row[0]!, { mergeKey: row[1]!, text: row[2]! }])));
  }
  return { contributions, rows: found, last: null };
}

/** The last change that wrote a contribution; null if the contribution is gone. */
export async function readContributionLineage(
  target: pg.ClientBase,
  of: {
    readonly aggregate: string;
    readonly mergeKey: string;
    readonly legacyTable: string;
    readonly legacyKey: string;
  },
): Promise<FoundLineage | null> {
  const { rows } = await target.query<string[]>({
    text: `SELECT source_lsn, source_xid, source_committed_at, mapping_version FROM contribution
      WHERE aggregate = $1 AND merge_key = $2 AND legacy_table = $3 AND legacy_key = $4`,
    values: [of.aggregate, of.mergeKey, of.legacyTable, of.legacyKey],
    rowMode: 'array',
  });
  if (rows.length === 0) return null;
  const [lsn, xid, committedAt, mappingVersion] = rows[0]!;
  return { lsn: lsn!, xid: xid!, committedAt: committedAt!, mappingVersion: mappingVersion! };
}

/** Reads rows of a merged table by their ids. */
export async function readDetails(
  target: pg.ClientBase,
  { table, shape, columns }: MergedTarget,
  ids: readonly string[],
): Promise<Map<string, Detail>> {
  if (ids.length === 0) return new Map();
  const lineage = 'legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version';
  const { rows } = await target.query<(string | null)[]>({
    text: `SELECT id, origin, deleted_at, ${lineage}, ${columns.map(quoteIdent).join(', ')} FROM ${quoteIdent(table)} WHERE id = ANY ($1::${shape.types.id}[])`,
    values: [ids],
    rowMode: 'array',
  });
  return new Map(
    rows.map(([id, origin, deletedAt, ...rest]) => {
      const [legacyTable, legacyKey, lsn, xid, committedAt, mappingVersion, ...cells] = rest as Cell[];
      return [
        id!,
        {
          cells,
          origin: origin!,
          deletedAt: deletedAt!,
          legacyTable: legacyTable!,
          legacyKey: legacyKey!,
          lineage: { lsn: lsn!, xid: xid!, committedAt: committedAt!, mappingVersion: mappingVersion! },
        },
      ];
    }),
  );
}
