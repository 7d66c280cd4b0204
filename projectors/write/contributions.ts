import type pg from 'pg';
import type { Aggregate, Contribution, Projection } from '../projection.ts';
import type { Lineage } from '../source-change.ts';

/** A contribution with the lineage of the change that wrote it. */
export interface StoredContribution extends Contribution {
  readonly mergeKey: string;
  readonly lineage: Lineage;
  readonly mappingVersion: string;
  /** Absent: in no front. */
  readonly place?: Place;
}

/** 0: in the front, which each fold reads; 1: in the reserve, which holds the next best; 2: behind both. */
export type Rank = 0 | 1 | 2;

/** Position of a contribution among the many of a merge key that has a front. */
export interface Place {
  readonly rank: Rank;
  /** UUID of its part, unique across all merge keys; null: it belongs to no part. */
  readonly part: string | null;
  /** Rank within its part. */
  readonly partRank: Rank;
}

/** For how many more changed contributions each reserve remains valid, by part; '' is the whole. */
export type Reserves = Readonly<Record<string, number>>;

/** The contributions that a legacy row should have. The last live one wins; `passed` are those of intermediate versions. */
export interface DesiredContributions {
  readonly legacyKey: string;
  readonly lineage: Lineage;
  readonly live: readonly { readonly mergeKey: string; readonly data: Readonly<Record<string, string | null>> }[];
  readonly passed: readonly {
    readonly mergeKey: string;
    readonly data: Readonly<Record<string, string | null>>;
    readonly lineage: Lineage;
  }[];
}

/** A contribution as read from the database. */
export type ReadContribution = StoredContribution & { readonly place: Place };

type Row = Omit<StoredContribution, 'movedTo'> & { movedTo: string | null };

/** Contributions to write so that the stored ones become the desired ones. Pure. */
export function diffContributions(
  legacyTable: string,
  mappingVersion: string,
  desired: readonly DesiredContributions[],
  stored: readonly StoredContribution[],
): StoredContribution[] {
  const storedByKey = Map.groupBy(stored, (contribution) => contribution.legacyKey);
  return desired.flatMap(({ legacyKey, lineage, live, passed }) => {
    const writes = new Map<string, Row>();
    const base = { legacyTable, legacyKey, mappingVersion };
    const movedTo = live[0]?.mergeKey ?? null;
    const earlier = storedByKey.get(legacyKey) ?? [];
    for (const step of passed) {
      writes.set(step.mergeKey, {
        ...base,
        mergeKey: step.mergeKey,
        live: false,
        movedTo,
        data: step.data,
        lineage: { ...step.lineage, committedAt: lineage.committedAt },
        committedAt: lineage.committedAt,
      });
    }
    for (const contribution of earlier) {
      if (live.some((entry) => entry.mergeKey === contribution.mergeKey) || writes.has(contribution.mergeKey)) continue;
      writes.set(contribution.mergeKey, {
        ...base,
        mergeKey: contribution.mergeKey,
        live: false,
        movedTo,
        data: contribution.data,
        lineage,
        committedAt: lineage.committedAt,
      });
    }
    for (const entry of live) {
      const known = earlier.find((contribution) => contribution.mergeKey === entry.mergeKey);
      if (known !== undefined && isSameData(known.data, entry.data)) writes.delete(entry.mergeKey);
      else
        writes.set(entry.mergeKey, {
          ...base,
          mergeKey: entry.mergeKey,
          live: true,
          movedTo: null,
          data: entry.data,
          lineage,
          committedAt: lineage.committedAt,
        });
    }
    return [...writes.values()];
  });
}

function isSameData(a: Readonly<Record<string, string | null>>, b: Readonly<Record<string, string | null>>): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => (a[name] ?? null) === (b[name] ?? null));
}

interface StoredRow {
  merge_key: string;
  legacy_table: string;
  legacy_key: string;
  live: string;
  moved_to: string | null;
  data: string;
  source_lsn: string;
  source_xid: string;
  source_committed_at: string;
  mapping_version: string;
  front: string | null;
  front_rank: string | null;
  part: string | null;
  part_rank: string;
}

const COLUMNS =
  'merge_key, legacy_table, legacy_key, live, moved_to, data, source_lsn, source_xid, source_committed_at, mapping_version, front, front_rank, part, part_rank';

function toRank(text: string | null): Rank {
  return text === '0' ? 0 : text === '1' ? 1 : 2;
}

/** Cells of the columns from `front` on. */
function toPlaceCells(mergeKey: string, place: Place | undefined): (string | number | null)[] {
  const { rank, part, partRank } = place ?? { rank: 2, part: null, partRank: 2 };
  return [...(rank === 2 ? [null, null] : [mergeKey, rank]), part, partRank];
}

function toContribution(row: StoredRow): ReadContribution {
  return {
    mergeKey: row.merge_key,
    legacyTable: row.legacy_table,
    legacyKey: row.legacy_key,
    live: row.live === 't',
    movedTo: row.moved_to,
    committedAt: row.source_committed_at,
    data: JSON.parse(row.data) as Record<string, string | null>,
    lineage: { lsn: row.source_lsn, xid: row.source_xid, committedAt: row.source_committed_at },
    mappingVersion: row.mapping_version,
    place: { rank: toRank(row.front_rank), part: row.part, partRank: toRank(row.part_rank) },
  };
}

/** Reads the live contributions of legacy rows. Only the owner of their partition changes these, so no lock is needed. */
export async function readLiveContributions(
  client: pg.ClientBase,
  aggregate: Aggregate,
  projection: Projection,
  legacyKeys: readonly string[],
): Promise<StoredContribution[]> {
  const { rows } = await client.query<StoredRow>({
    name: 'crosswalk read live contributions',
    text: `SELECT ${COLUMNS} FROM contribution WHERE aggregate = $1 AND legacy_table = $2 AND legacy_key = ANY ($3) AND live`,
    values: [aggregate.name, projection.source, legacyKeys],
  });
  return rows.map(toContribution);
}

/**
 * Locks merge keys in key order until the transaction ends. Returns the reserves of those that have a front. Updates `aggregate`, not `merge_key`: projectors without
 * fronts update the latter, and a trigger recognizes them by that. This is a statement of its own, before the fold reads. Within one statement, two sessions would each
 * fold without the contribution that the other is about to commit.
 */
export async function lockMergeKeys(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKeys: readonly string[],
): Promise<ReadonlyMap<string, Reserves>> {
  const { rows } = await client.query<{ merge_key: string; front_version: string | null; reserves: string | null }>({
    name: 'crosswalk lock merge keys',
    text: `INSERT INTO merge_key (aggregate, merge_key) SELECT $1, k FROM unnest($2::uuid[]) k ORDER BY k
     ON CONFLICT (aggregate, merge_key) DO UPDATE SET aggregate = excluded.aggregate RETURNING merge_key, front_version, reserves`,
    values: [aggregate.name, mergeKeys],
  });
  return new Map(
    rows
      .filter(({ front_version: version }) => version !== null && version === aggregate.needs?.version)
      .map(({ merge_key, reserves }) => [merge_key, JSON.parse(reserves ?? '{}') as Reserves]),
  );
}

/** Writes contributions, live and retired. */
export async function writeContributions(
  client: pg.ClientBase,
  aggregate: Aggregate,
  contributions: readonly StoredContribution[],
): Promise<void> {
  const rows = contributions.map((contribution) => [
    contribution.mergeKey,
    contribution.legacyTable,
    contribution.legacyKey,
    contribution.live,
    contribution.movedTo,
    contribution.data,
    contribution.lineage.lsn,
    contribution.lineage.xid,
    contribution.committedAt,
    contribution.mappingVersion,
    ...toPlaceCells(contribution.mergeKey, contribution.place),
  ]);
  await client.query({
    name: 'crosswalk write contributions',
    text: `INSERT INTO contribution (aggregate, ${COLUMNS})
     SELECT $1, (r->>0)::uuid, r->>1, r->>2, (r->>3)::boolean, (r->>4)::uuid, r->5, (r->>6)::pg_lsn, (r->>7)::bigint, (r->>8)::timestamptz, r->>9, (r->>10)::uuid, (r->>11)::smallint, (r->>12)::uuid, (r->>13)::smallint
     FROM jsonb_array_elements($2::jsonb) r
     ON CONFLICT (merge_key, aggregate, legacy_table, legacy_key) DO UPDATE SET live = excluded.live, moved_to = excluded.moved_to, data = excluded.data,
       source_lsn = excluded.source_lsn, source_xid = excluded.source_xid, source_committed_at = excluded.source_committed_at, mapping_version = excluded.mapping_version,
       front = excluded.front, front_rank = excluded.front_rank, part = excluded.part, part_rank = excluded.part_rank`,
    values: [aggregate.name, JSON.stringify(rows)],
  });
}

/** Reads every contribution to merge keys, live and retired. */
export async function readContributions(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKeys: readonly string[],
): Promise<Map<string, ReadContribution[]>> {
  const { rows } = await client.query<StoredRow>({
    name: 'crosswalk read contributions',
    text: `SELECT ${COLUMNS} FROM contribution WHERE aggregate = $1 AND merge_key = ANY ($2::uuid[])`,
    values: [aggregate.name, mergeKeys],
  });
  return Map.groupBy(rows.map(toContribution), (contribution) => contribution.mergeKey);
}

/** Reads contributions with one lookup per UUID. `OFFSET 0` keeps the planner to it: without statistics it would read a whole index for a list of UUIDs. */
const lookUp = (ids: string, where: string) =>
  `SELECT x.* FROM unnest(${ids}::uuid[]) id CROSS JOIN LATERAL (SELECT ${COLUMNS}, aggregate FROM contribution c WHERE ${where} OFFSET 0) x`;

/** Reads the fronts of merge keys that have one. */
export async function readFronts(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKeys: readonly string[],
): Promise<ReadContribution[]> {
  const { rows } = await client.query<StoredRow>({
    name: 'crosswalk read fronts',
    text: `${lookUp('$2', 'c.front = id AND c.front_rank = 0')} WHERE x.aggregate = $1`,
    values: [aggregate.name, mergeKeys],
  });
  return rows.map(toContribution);
}

/** Reads the fronts of parts, of merge keys that have one. */
export async function readPartFronts(client: pg.ClientBase, parts: readonly string[]): Promise<ReadContribution[]> {
  if (parts.length === 0) return [];
  const { rows } = await client.query<StoredRow>({
    name: 'crosswalk read part fronts',
    text: lookUp('$1', 'c.part = id AND c.part_rank = 0'),
    values: [parts],
  });
  return rows.map(toContribution);
}

/** Reads contributions as they are stored before the update: those of the same merge keys and legacy rows. */
export async function readEarlier(
  client: pg.ClientBase,
  aggregate: Aggregate,
  contributions: readonly StoredContribution[],
): Promise<ReadContribution[]> {
  const { rows } = await client.query<StoredRow>({
    name: 'crosswalk read earlier contributions',
    text: `SELECT x.* FROM unnest($2::uuid[], $3::text[], $4::text[]) k (merge_key, legacy_table, legacy_key) CROSS JOIN LATERAL (
       SELECT ${COLUMNS} FROM contribution c WHERE c.aggregate = $1 AND c.merge_key = k.merge_key AND c.legacy_table = k.legacy_table AND c.legacy_key = k.legacy_key OFFSET 0) x`,
    values: [
      aggregate.name,
      contributions.map(({ mergeKey }) => mergeKey),
      contributions.map(({ legacyTable }) => legacyTable),
      contributions.map(({ legacyKey }) => legacyKey),
    ],
  });
  return rows.map(toContribution);
}

/** Which contributions are read: the live ones in the front and the reserve, all live ones, or all. */
export type Extent = 'reserve' | 'live' | 'all';

/** Reads contributions to merge keys that have a front, `PAGE_ROWS` at a time: their number is unbounded. */
export function readPaged(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKeys: readonly string[],
  extent: Extent,
): AsyncGenerator<ReadContribution[]> {
  const text =
    extent === 'reserve'
      ? `${lookUp('$2', 'c.front = id AND c.live')} WHERE x.aggregate = $1`
      : `SELECT ${COLUMNS} FROM contribution WHERE aggregate = $1 AND merge_key = ANY ($2::uuid[])${extent === 'live' ? ' AND live' : ''}`;
  return paged(client, text, [aggregate.name, mergeKeys]);
}

/** Reads the fronts of all parts of a merge key that has a front, part by part, `PAGE_ROWS` at a time. */
export function readPartFrontsPaged(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKey: string,
): AsyncGenerator<ReadContribution[]> {
  // OFFSET 0 makes the planner use the merge key, and not the index over all parts of all keys, which has the requested order.
  const text = `SELECT * FROM (SELECT ${COLUMNS} FROM contribution WHERE aggregate = $1 AND merge_key = $2 AND part IS NOT NULL AND part_rank = 0 OFFSET 0) x ORDER BY part`;
  return paged(client, text, [aggregate.name, mergeKey]);
}

/** Reads contributions to parts of merge keys that have a front, `PAGE_ROWS` at a time. */
export function readPartsPaged(
  client: pg.ClientBase,
  parts: readonly string[],
  extent: Extent,
): AsyncGenerator<ReadContribution[]> {
  const where = { reserve: ' AND c.part_rank < 2 AND c.live', live: ' AND c.live', all: '' }[extent];
  return paged(client, lookUp('$1', `c.part = id${where}`), [parts]);
}

/** About 2 MB of contributions of typical size. */
const PAGE_ROWS = 1000;

async function* paged(
  client: pg.ClientBase,
  text: string,
  values: readonly unknown[],
): AsyncGenerator<ReadContribution[]> {
  await client.query(`DECLARE crosswalk_page NO SCROLL CURSOR FOR ${text}`, [...values]);
  for (;;) {
    const { rows } = await client.query<StoredRow>(`FETCH ${PAGE_ROWS} FROM crosswalk_page`);
    if (rows.length > 0) yield rows.map(toContribution);
    if (rows.length < PAGE_ROWS) break;
  }
  await client.query('CLOSE crosswalk_page');
}

/** Writes the places of contributions, and the reserves of merge keys that now have a front; null: no front. */
export async function writePlaces(
  client: pg.ClientBase,
  aggregate: Aggregate,
  places: readonly (readonly [StoredContribution, Place])[],
  fronts: ReadonlyMap<string, Reserves | null>,
): Promise<void> {
  if (places.length > 0) {
    const rows = places.map(([{ mergeKey, legacyTable, legacyKey }, place]) => [
      ...[mergeKey, legacyTable, legacyKey],
      ...toPlaceCells(mergeKey, place),
    ]);
    await client.query({
      name: 'crosswalk write places',
      text: `UPDATE contribution c SET front = (r->>3)::uuid, front_rank = (r->>4)::smallint, part = (r->>5)::uuid, part_rank = (r->>6)::smallint
       FROM jsonb_array_elements($2::jsonb) r
       WHERE c.aggregate = $1 AND c.merge_key = (r->>0)::uuid AND c.legacy_table = r->>1 AND c.legacy_key = r->>2`,
      values: [aggregate.name, JSON.stringify(rows)],
    });
  }
  if (fronts.size > 0) {
    const rows = [...fronts].map(([mergeKey, reserves]) => [
      mergeKey,
      reserves === null ? null : aggregate.needs?.version,
      reserves,
    ]);
    await client.query({
      name: 'crosswalk write fronts',
      text: `UPDATE merge_key m SET front_version = r->>1, reserves = nullif(nullif(r->2, '{}'), 'null') FROM jsonb_array_elements($2::jsonb) r
       WHERE m.aggregate = $1 AND m.merge_key = (r->>0)::uuid`,
      values: [aggregate.name, JSON.stringify(rows)],
    });
  }
}
