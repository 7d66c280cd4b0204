import type pg from 'pg';
import { inTransaction } from '../../runtime/postgres.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import type { Cell } from '../projection.ts';
import type { CellDifference, Found, FoundContribution, FoundRow, RowResult } from './compare-key.ts';
import { isolating } from './isolating.ts';
import type { Expected, OwnedPlan, Plan } from './plan.ts';

/** A key to read. `strays`: by table, ids of rows that name the key but are outside its scope. */
export interface Wanted {
  readonly expected: Expected;
  readonly strays: ReadonlyMap<string, ReadonlySet<string>>;
}

const SNAPSHOT = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/** Reads everything about some legacy keys in one snapshot of the target, in the order of the keys. */
export async function readFound(client: pg.ClientBase, plan: Plan, wanted: readonly Wanted[]): Promise<Found[]> {
  return await inTransaction(
    client,
    async () => {
      const legacyKeys = wanted.map(({ expected }) => expected.legacyKey);
      const tables: Map<string, FoundRow>[][] = [];
      for (const [at, owned] of plan.owned.entries())
        tables.push(await readOwned(client, plan.projection.source, owned, at, wanted));
      const contributions = await readContributions(client, plan, wanted);
      const { rows: held } = await client.query<{ legacy_key: string; parked: string; dead: string }>(
        `SELECT k AS legacy_key, EXISTS (SELECT FROM parked_change p WHERE p.projection = $1 AND p.legacy_key = k)::text AS parked,
           EXISTS (SELECT FROM dead_letter d WHERE d.projection = $1 AND d.legacy_key = k AND d.resolved_at IS NULL)::text AS dead
         FROM unnest($2::text[]) k`,
        [plan.projection.name, legacyKeys],
      );
      return legacyKeys.map((_, at) => ({
        rows: tables.map((byKey) => byKey[at]!),
        contributions: contributions[at]!,
        isParked: held[at]!.parked === 'true',
        isDead: held[at]!.dead === 'true',
      }));
    },
    SNAPSHOT,
  );
}

const LINEAGE = ['source_lsn', 'source_xid', 'source_committed_at', 'mapping_version'];

async function readOwned(
  client: pg.ClientBase,
  source: string,
  { target, shape, columns, hasDeletedAt }: OwnedPlan,
  at: number,
  wanted: readonly Wanted[],
): Promise<Map<string, FoundRow>[]> {
  const read = [
    `x.ctid || ' ' || x.xmin || ' ' || x.xmax`,
    'x.origin',
    hasDeletedAt ? 'x.deleted_at' : 'NULL',
    ...['legacy_table', 'legacy_key', ...LINEAGE].map((column) => `x.${column}`),
    ...columns.map((column) => `x.${quoteIdent(column)}`),
  ].join(', ');
  const asked = wanted.flatMap(({ expected, strays }, place) => [
    ...expected.rows[at]!.map((cells) => [cells[0]!, place] as const),
    ...[...(strays.get(target.table) ?? [])].map((id) => [id, place] as const),
  ]);
  const result = await client.query<(string | null)[]>({
    text: `SELECT k.ord - 1, ${read} FROM unnest($1::${shape.types[target.scope.column]}[]) WITH ORDINALITY AS k (scope, ord)
       JOIN ${quoteIdent(target.table)} x ON x.${quoteIdent(target.scope.column)} = k.scope
         AND x.origin = 'cdc' AND x.legacy_table = $2${hasDeletedAt ? ' AND x.deleted_at IS NULL' : ''}
     UNION ALL SELECT k.place, ${read} FROM unnest($3::${shape.types.id}[], $4::int[]) AS k (id, place) JOIN ${quoteIdent(target.table)} x ON x.id = k.id`,
    values: [
      wanted.map(({ expected }) => target.scope.of(expected.legacyKey)),
      source,
      asked.map(([id]) => id),
      asked.map(([, place]) => place),
    ],
    rowMode: 'array',
  });
  const found = wanted.map(() => new Map<string, FoundRow>());
  for (const [place, physical, origin, deletedAt, legacyTable, legacyKey, ...rest] of result.rows) {
    const [lsn, xid, committedAt, mappingVersion, ...cells] = rest as Cell[];
    found[Number(place)]!.set(cells[0]!, {
      id: cells[0]!,
      cells,
      origin: origin!,
      deletedAt: deletedAt!,
      legacyTable: legacyTable!,
      legacyKey: legacyKey!,
      lineage: { lsn: lsn!, xid: xid!, committedAt: committedAt!, mappingVersion: mappingVersion! },
      physical: physical!,
    });
  }
  return found;
}

async function readContributions(
  client: pg.ClientBase,
  plan: Plan,
  wanted: readonly Wanted[],
): Promise<FoundContribution[][]> {
  const found: FoundContribution[][] = wanted.map(() => []);
  if (plan.merged.length === 0) return found;
  const place = new Map(wanted.map(({ expected }, at) => [expected.legacyKey, at]));
  const expected = wanted.flatMap((of) =>
    of.expected.contributions.map(({ aggregate, mergeKey }) => [aggregate, mergeKey, of.expected.legacyKey]),
  );
  const columns = `aggregate, merge_key, legacy_key, live, data, ${LINEAGE.join(', ')}, ctid || ' ' || xmin || ' ' || xmax AS physical`;
  const { rows } = await client.query<Record<string, string>>(
    `SELECT ${columns} FROM contribution WHERE aggregate = ANY ($1) AND legacy_table = $2 AND legacy_key = ANY ($3) AND live
     UNION SELECT ${columns} FROM contribution c WHERE legacy_table = $2
       AND (merge_key, aggregate, legacy_key) IN (SELECT * FROM unnest($5::uuid[], $4::text[], $6::text[]))`,
    [
      plan.merged.map(({ aggregate }) => aggregate.name),
      plan.projection.source,
      [...place.keys()],
      expected.map(([aggregate]) => aggregate),
      expected.map(([, mergeKey]) => mergeKey),
      expected.map(([, , legacyKey]) => legacyKey),
    ],
  );
  for (const row of rows) {
    found[place.get(row.legacy_key!)!]!.push({
      aggregate: row.aggregate!,
      mergeKey: row.merge_key!,
      live: row.live === 't',
      data: toTexts(row.data!),
      lineage: {
        lsn: row.source_lsn!,
        xid: row.source_xid!,
        committedAt: row.source_committed_at!,
        mappingVersion: row.mapping_version!,
      },
      physical: row.physical!,
    });
  }
  return found;
}

/** Contributions hold texts. Any other value keeps its JSON text, and so differs. */
export function toTexts(data: string): Readonly<Record<string, Cell>> {
  const value = JSON.parse(data) as unknown;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { '': data };
  const isText = (cell: unknown): cell is Cell => cell === null || typeof cell === 'string';
  if (Object.values(value).every(isText)) return value as Record<string, Cell>;
  return Object.fromEntries(
    Object.entries(value).map(([name, cell]) => [name, isText(cell) ? cell : JSON.stringify(cell)]),
  );
}

/** Drops cells whose texts differ but whose values are the same: PostgreSQL casts the expected text to the column's type. */
export async function withoutSpellings(client: pg.ClientBase, results: readonly RowResult[]): Promise<RowResult[]> {
  const byType = new Map<string, Set<string>>();
  for (const { cells } of results) {
    for (const { type, expected, actual } of cells) {
      if (type === null || type === 'text' || expected === null || actual === null) continue;
      const texts = byType.get(type) ?? new Set();
      byType.set(type, texts.add(expected));
    }
  }
  if (byType.size === 0) return [...results];
  const spelled = new Map<string, string>();
  for (const [type, texts] of byType) await spell(client, type, [...texts], spelled);
  const isSame = ({ type, expected, actual }: CellDifference) =>
    type !== null && expected !== null && spelled.get(`${type} ${expected}`) === actual;
  return results.map((result) => {
    const cells = result.cells.filter((cell) => !isSame(cell));
    if (cells.length === result.cells.length) return result;
    return { ...result, cells, kind: result.kind === 'differs' && cells.length === 0 ? 'equal' : result.kind };
  });
}

async function spell(
  client: pg.ClientBase,
  type: string,
  texts: readonly string[],
  spelled: Map<string, string>,
): Promise<void> {
  await isolating(
    texts,
    async (some) => {
      const { rows } = await client.query<{ spelled: string }>(
        `SELECT t::${type} AS spelled FROM unnest($1::text[]) WITH ORDINALITY AS t (t, ord) ORDER BY ord`,
        [some],
      );
      for (const [at, text] of some.entries()) spelled.set(`${type} ${text}`, rows[at]!.spelled);
    },
    // A text that the type refuses differs from any value.
    () => undefined,
  );
}
