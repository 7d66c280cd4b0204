import type pg from 'pg';
import type { Aggregate, Contribution, Projection } from '../projection.ts';
import type { Lineage } from '../source-change.ts';

/** A contribution with the lineage of the change that wrote it. */
export interface StoredContribution extends Contribution {
  readonly mergeKey: string;
  readonly lineage: Lineage;
  readonly mappingVersion: string;
}

/** What a legacy row is to contribute. The last live one wins; `passed` are those it went through on the way there. */
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

type Row = Omit<StoredContribution, 'movedTo'> & { movedTo: string | null };

/** Contributions to write so that the stored ones become the desired ones: pure. */
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
}

const COLUMNS =
  'merge_key, legacy_table, legacy_key, live, moved_to, data, source_lsn, source_xid, source_committed_at, mapping_version';

function toContribution(row: StoredRow): StoredContribution {
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
  };
}

/** Live contributions of legacy rows. Only the owner of their partition changes these, so no lock is needed. */
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
 * Locks merge keys in key order until the transaction ends. A statement of its own, before the fold reads: inside one statement
 * two sessions would each fold without the contribution that the other is about to commit.
 */
export async function lockMergeKeys(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKeys: readonly string[],
): Promise<void> {
  await client.query({
    name: 'crosswalk lock merge keys',
    text: `INSERT INTO merge_key (aggregate, merge_key) SELECT $1, k FROM unnest($2::uuid[]) k ORDER BY k
     ON CONFLICT (aggregate, merge_key) DO UPDATE SET merge_key = excluded.merge_key`,
    values: [aggregate.name, mergeKeys],
  });
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
  ]);
  await client.query({
    name: 'crosswalk write contributions',
    text: `INSERT INTO contribution (aggregate, ${COLUMNS})
     SELECT $1, (r->>0)::uuid, r->>1, r->>2, (r->>3)::boolean, (r->>4)::uuid, r->5, (r->>6)::pg_lsn, (r->>7)::bigint, (r->>8)::timestamptz, r->>9
     FROM jsonb_array_elements($2::jsonb) r
     ON CONFLICT (merge_key, aggregate, legacy_table, legacy_key) DO UPDATE SET live = excluded.live, moved_to = excluded.moved_to, data = excluded.data,
       source_lsn = excluded.source_lsn, source_xid = excluded.source_xid, source_committed_at = excluded.source_committed_at, mapping_version = excluded.mapping_version`,
    values: [aggregate.name, JSON.stringify(rows)],
  });
}

/** Every contribution to merge keys, live and retired. */
export async function readContributions(
  client: pg.ClientBase,
  aggregate: Aggregate,
  mergeKeys: readonly string[],
): Promise<Map<string, StoredContribution[]>> {
  const { rows } = await client.query<StoredRow>({
    name: 'crosswalk read contributions',
    text: `SELECT ${COLUMNS} FROM contribution WHERE aggregate = $1 AND merge_key = ANY ($2::uuid[])`,
    values: [aggregate.name, mergeKeys],
  });
  return Map.groupBy(rows.map(toContribution), (contribution) => contribution.mergeKey);
}
