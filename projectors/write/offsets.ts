import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Lineage } from '../source-change.ts';

/** One partition as consumed by one projection. */
export interface PartitionOf {
  readonly projection: string;
  readonly topic: string;
  readonly partition: number;
}

/** Creates offset rows for partitions that have none. */
export async function ensureOffsets(
  client: pg.ClientBase | pg.Pool,
  projection: string,
  topic: string,
  partitions: number,
): Promise<void> {
  await client.query(
    'INSERT INTO consumer_offset (projection, topic, partition, next_offset) SELECT $1, $2, p, 0 FROM generate_series(0, $3::int - 1) p ON CONFLICT DO NOTHING',
    [projection, topic, partitions],
  );
}

/** Reads the first offset that is not applied yet. */
export async function readNextOffset(client: pg.ClientBase | pg.Pool, of: PartitionOf): Promise<bigint> {
  const { rows } = await client.query<{ next_offset: string }>(
    'SELECT next_offset FROM consumer_offset WHERE projection = $1 AND topic = $2 AND partition = $3',
    [of.projection, of.topic, of.partition],
  );
  return BigInt(rows[0]?.next_offset ?? '0');
}

/** Sum of the next offsets of a projection over all partitions of its topic. It grows with everything applied. */
export async function readAppliedOffsets(
  client: pg.ClientBase | pg.Pool,
  projection: string,
  topic: string,
): Promise<string> {
  const { rows } = await client.query<{ sum: string }>(
    'SELECT coalesce(sum(next_offset), 0)::text AS sum FROM consumer_offset WHERE projection = $1 AND topic = $2',
    [projection, topic],
  );
  return rows[0]!.sum;
}

/** Move of one partition from `expected` to `next`. `last`: lineage of its last change, null if there are only tombstones. */
export interface OffsetMove extends PartitionOf {
  readonly expected: bigint;
  readonly next: bigint;
  readonly last: Lineage | null;
}

/**
 * Moves the offsets of partitions of one projection, in the transaction that writes the rows. Locks the offset rows in partition order, like every session that locks
 * several. Throws `stale_consumer` if another process has moved one of them, since this one then no longer owns the partition. No offset ever moves back.
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
     locked AS MATERIALIZED (SELECT o.topic, o.partition FROM consumer_offset o JOIN wanted w ON w.topic = o.topic AND w.partition = o.partition
       WHERE o.projection = $1 ORDER BY o.topic, o.partition FOR UPDATE OF o)
     UPDATE consumer_offset o SET next_offset = w.next, source_lsn = coalesce(w.lsn, o.source_lsn), source_committed_at = coalesce(w.committed_at, o.source_committed_at), applied_at = now()
     FROM wanted w JOIN locked l ON l.topic = w.topic AND l.partition = w.partition
     WHERE o.projection = $1 AND o.topic = w.topic AND o.partition = w.partition AND o.next_offset = w.expected AND w.next >= w.expected`,
    values: [projection, JSON.stringify(wanted)],
  });
  if (rowCount === moves.length) return;
  const partitions = moves.map(({ topic, partition, expected }) => `${topic}/${partition} at ${expected}`).join(', ');
  throw new CrosswalkError('stale_consumer', `${projection}: no longer ${partitions}`);
}
