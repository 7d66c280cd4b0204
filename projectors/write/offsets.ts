import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Lineage, SourceChange } from '../source-change.ts';
import type { Blocked } from './isolate.ts';
import type { Defect } from './map-changes.ts';

/** One partition as one projection consumes it. */
export interface PartitionOf {
  readonly projection: string;
  readonly topic: string;
  readonly partition: number;
}

/** Makes offset rows for partitions that have none. */
export async function ensureOffsets(
  client: pg.ClientBase | pg.Pool,
  projection: string,
  topic: string,
  partitions: number,
): Promise<void> {
  await client.query(
    'INSERT INTO crosswalk.consumer_offset (projection, topic, partition, next_offset) SELECT $1, $2, p, 0 FROM generate_series(0, $3::int - 1) p ON CONFLICT DO NOTHING',
    [projection, topic, partitions],
  );
}

/** The first offset that is not applied yet. */
export async function readNextOffset(client: pg.ClientBase | pg.Pool, of: PartitionOf): Promise<bigint> {
  const { rows } = await client.query<{ next_offset: string }>(
    'SELECT next_offset FROM crosswalk.consumer_offset WHERE projection = $1 AND topic = $2 AND partition = $3',
    [of.projection, of.topic, of.partition],
  );
  return BigInt(rows[0]?.next_offset ?? '0');
}

/** How far one partition is to move: from `expected` to `next`. `last`: lineage of its last change, null where there are only tombstones. */
export interface OffsetMove extends PartitionOf {
  readonly expected: bigint;
  readonly next: bigint;
  readonly last: Lineage | null;
}

/**
 * Moves the offsets of partitions of one projection, in the transaction of the rows. Their rows are locked in the order of partitions, as everybody does
 * who locks several. Throws `stale_consumer` when another process has moved one of them: then this one no longer owns that partition.
 */
export async function moveOffsets(
  client: pg.ClientBase,
  projection: string,
  moves: readonly OffsetMove[],
): Promise<void> {
  const wanted = moves.map(({ topic, partition, expected, next, last }) => ({
    topic,
    partition,
    expected: String(expected),
    next: String(next),
    lsn: last?.lsn ?? null,
    committed_at: last?.committedAt ?? null,
  }));
  const { rowCount } = await client.query({
    name: 'crosswalk move offsets',
    text: `WITH wanted AS (SELECT * FROM jsonb_to_recordset($2::jsonb) AS w (topic text, partition integer, expected bigint, next bigint, lsn pg_lsn, committed_at timestamptz)),
     locked AS MATERIALIZED (SELECT o.topic, o.partition FROM crosswalk.consumer_offset o JOIN wanted w ON w.topic = o.topic AND w.partition = o.partition
       WHERE o.projection = $1 ORDER BY o.topic, o.partition FOR UPDATE OF o)
     UPDATE crosswalk.consumer_offset o SET next_offset = w.next, source_lsn = coalesce(w.lsn, o.source_lsn), source_committed_at = coalesce(w.committed_at, o.source_committed_at), applied_at = now()
     FROM wanted w JOIN locked l ON l.topic = w.topic AND l.partition = w.partition
     WHERE o.projection = $1 AND o.topic = w.topic AND o.partition = w.partition AND o.next_offset = w.expected`,
    values: [projection, JSON.stringify(wanted)],
  });
  if (rowCount === moves.length) return;
  const partitions = moves.map(({ topic, partition, expected }) => `${topic}/${partition} at ${expected}`).join(', ');
  throw new CrosswalkError(
    'stale_consumer',
    `${projection}: no longer ${partitions}`,
    'Another projector has taken the partition over.',
  );
}

/** Which of the legacy keys have parked changes, and which have open dead letters. Read after the offsets are locked: it sees what the holder before has committed. */
export async function readHeldKeys(
  client: pg.ClientBase,
  projection: string,
  legacyKeys: readonly string[],
): Promise<{ parked: Set<string>; dead: Set<string> }> {
  const { rows } = await client.query<{ legacy_key: string; kind: string }>({
    name: 'crosswalk read held keys',
    text: `SELECT DISTINCT legacy_key, 'parked' AS kind FROM crosswalk.parked_change WHERE projection = $1 AND legacy_key = ANY ($2)
     UNION ALL SELECT DISTINCT legacy_key, 'dead' FROM crosswalk.dead_letter WHERE projection = $1 AND resolved_at IS NULL AND legacy_key = ANY ($2)`,
    values: [projection, legacyKeys],
  });
  const keys = (kind: string) => new Set(rows.filter((row) => row.kind === kind).map((row) => row.legacy_key));
  return { parked: keys('parked'), dead: keys('dead') };
}

/** Parks changes: they and every later change of the same legacy key wait, while their partition goes on. */
export async function parkChanges(
  client: pg.ClientBase,
  projection: string,
  changes: readonly SourceChange[],
  reason: string,
): Promise<void> {
  for (const change of changes) {
    await client.query(
      `INSERT INTO crosswalk.parked_change (projection, topic, partition, record_offset, legacy_key, source_lsn, record_key, record_value, reason)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
      [
        projection,
        change.record.topic,
        change.record.partition,
        String(change.record.offset),
        change.legacyKey,
        change.lineage.lsn,
        change.record.key,
        change.record.value,
        reason,
      ],
    );
  }
}

export async function parkBlocked(
  client: pg.ClientBase,
  projection: string,
  blocked: readonly Blocked[],
): Promise<void> {
  for (const { row, reason } of blocked) await parkChanges(client, projection, row.changes, reason);
}

/** Writes dead letters. */
export async function writeDeadLetters(
  client: pg.ClientBase,
  projection: { name: string; source: string; version: string },
  defects: readonly Defect[],
): Promise<void> {
  for (const { change, reason } of defects) {
    await client.query(
      `INSERT INTO crosswalk.dead_letter (projection, topic, partition, record_offset, legacy_table, legacy_key, source_lsn, reason, mapping_version, record_key, record_value)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
       ON CONFLICT (projection, topic, partition, record_offset) DO UPDATE SET reason = excluded.reason, mapping_version = excluded.mapping_version, failed_at = now(), resolved_at = NULL, resolution = NULL`,
      [
        projection.name,
        change.record.topic,
        change.record.partition,
        String(change.record.offset),
        projection.source,
        change.legacyKey,
        change.lineage.lsn,
        reason,
        projection.version,
        change.record.key,
        change.record.value,
      ],
    );
  }
}

/** A later version of these legacy rows was applied: their open dead letters are history. */
export async function resolveDeadLetters(
  client: pg.ClientBase,
  projection: string,
  legacyKeys: readonly string[],
): Promise<void> {
  if (legacyKeys.length === 0) return;
  await client.query(
    `UPDATE crosswalk.dead_letter SET resolved_at = now(), resolution = 'a later version was applied' WHERE projection = $1 AND legacy_key = ANY ($2) AND resolved_at IS NULL`,
    [projection, legacyKeys],
  );
}
