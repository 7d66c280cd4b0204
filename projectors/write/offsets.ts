import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Projection } from '../projection.ts';
import type { Lineage, LogRecord, SourceChange } from '../source-change.ts';
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
    'INSERT INTO consumer_offset (projection, topic, partition, next_offset) SELECT $1, $2, p, 0 FROM generate_series(0, $3::int - 1) p ON CONFLICT DO NOTHING',
    [projection, topic, partitions],
  );
}

/** The first offset that is not applied yet. */
export async function readNextOffset(client: pg.ClientBase | pg.Pool, of: PartitionOf): Promise<bigint> {
  const { rows } = await client.query<{ next_offset: string }>(
    'SELECT next_offset FROM consumer_offset WHERE projection = $1 AND topic = $2 AND partition = $3',
    [of.projection, of.topic, of.partition],
  );
  return BigInt(rows[0]?.next_offset ?? '0');
}

/** Sum of the offsets that a projection goes on from, over all partitions of its topic: it grows with everything applied. */
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
     locked AS MATERIALIZED (SELECT o.topic, o.partition FROM consumer_offset o JOIN wanted w ON w.topic = o.topic AND w.partition = o.partition
       WHERE o.projection = $1 ORDER BY o.topic, o.partition FOR UPDATE OF o)
     UPDATE consumer_offset o SET next_offset = w.next, source_lsn = coalesce(w.lsn, o.source_lsn), source_committed_at = coalesce(w.committed_at, o.source_committed_at), applied_at = now()
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
    text: `SELECT DISTINCT legacy_key, 'parked' AS kind FROM parked_change WHERE projection = $1 AND legacy_key = ANY ($2)
     UNION ALL SELECT DISTINCT legacy_key, 'dead' FROM dead_letter WHERE projection = $1 AND resolved_at IS NULL AND legacy_key = ANY ($2)`,
    values: [projection, legacyKeys],
  });
  const keys = (kind: string) => new Set(rows.filter((row) => row.kind === kind).map((row) => row.legacy_key));
  return { parked: keys('parked'), dead: keys('dead') };
}

/** Records written by one statement, at most: their bytes are held once more as its parameter. */
const STATEMENT_BYTES = 8_000_000;

/** Parts changes so that the records of each part fit into one statement. */
function* inStatements<T>(items: readonly T[], changeOf: (item: T) => SourceChange): Generator<readonly T[]> {
  let from = 0;
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const size = changeOf(item).record.value.length;
    if (index > from && bytes + size > STATEMENT_BYTES) {
      yield items.slice(from, index);
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < items.length) yield items.slice(from);
}

/** Coordinates and records of changes, as arrays by column. */
function toColumns(changes: readonly SourceChange[]): unknown[][] {
  return [
    changes.map(({ record }) => record.topic),
    changes.map(({ record }) => record.partition),
    changes.map(({ record }) => String(record.offset)),
    changes.map(({ legacyKey }) => legacyKey),
    changes.map(({ lineage }) => lineage.lsn),
    changes.map(({ record }) => record.key),
    changes.map(({ record }) => record.value),
  ];
}
const COLUMNS = 'topic, partition, record_offset, legacy_key, source_lsn, record_key, record_value';
const COLUMN_TYPES = ['text', 'int', 'bigint', 'text', 'pg_lsn', 'bytea', 'bytea'];
const unnest = (from: number, types: readonly string[]) =>
  `unnest(${types.map((type, index) => `$${from + index}::${type}[]`).join(', ')})`;

/** Parks changes: they and every later change of the same legacy key wait, while their partition goes on. */
export async function parkChanges(
  client: pg.ClientBase,
  projection: string,
  waiting: readonly { readonly change: SourceChange; readonly reason: string }[],
): Promise<void> {
  for (const some of inStatements(waiting, ({ change }) => change)) {
    await client.query({
      name: 'crosswalk park changes',
      text: `INSERT INTO parked_change (projection, ${COLUMNS}, reason, repair) SELECT $1, * FROM ${unnest(2, [...COLUMN_TYPES, 'text', 'jsonb'])} ON CONFLICT DO NOTHING`,
      values: [
        projection,
        ...toColumns(some.map(({ change }) => change)),
        some.map(({ reason }) => reason),
        some.map(({ change: { repair } }) => (repair === null ? null : JSON.stringify(repair))),
      ],
    });
  }
}

export async function parkBlocked(
  client: pg.ClientBase,
  projection: string,
  blocked: readonly Blocked[],
): Promise<void> {
  await parkChanges(
    client,
    projection,
    blocked.flatMap(({ row, reason }) => row.changes.map((change) => ({ change, reason }))),
  );
}

/** Writes dead letters; those that exist are open again, with the new reason. */
export async function writeDeadLetters(
  client: pg.ClientBase,
  projection: { name: string; source: string; version: string },
  defects: readonly Defect[],
): Promise<void> {
  for (const some of inStatements(defects, ({ change }) => change)) {
    await client.query({
      name: 'crosswalk write dead letters',
      text: `INSERT INTO dead_letter (projection, legacy_table, mapping_version, ${COLUMNS}, reason) SELECT $1, $2, $3, * FROM ${unnest(4, [...COLUMN_TYPES, 'text'])}
       ON CONFLICT (projection, topic, partition, record_offset) DO UPDATE SET reason = excluded.reason, mapping_version = excluded.mapping_version, failed_at = now(), resolved_at = NULL, resolution = NULL`,
      values: [
        projection.name,
        projection.source,
        projection.version,
        ...toColumns(some.map(({ change }) => change)),
        some.map(({ reason }) => reason),
      ],
    });
  }
}

/** A change that took effect. `alone`: and nothing before it with it. */
export interface AppliedChange {
  readonly legacyKey: string;
  readonly record: Pick<LogRecord, 'topic' | 'partition' | 'offset'>;
  readonly alone: boolean;
}

/** What became true with a row: its last version, and in a history each of its changes by itself. */
export function toAppliedChanges(
  projection: Pick<Projection, 'history'>,
  { legacyKey, changes }: { readonly legacyKey: string; readonly changes: readonly SourceChange[] },
): AppliedChange[] {
  const alone = projection.history !== undefined;
  return (alone ? changes : changes.slice(-1)).map(({ record }) => ({ legacyKey, record, alone }));
}

/**
 * What is older than the applied version of its legacy row is history. An open dead letter is therefore newer than everything that was ever applied of
 * its row, which is what lets it be applied again. `resolution` is said of the applied changes themselves.
 */
export async function resolveDeadLetters(
  client: pg.ClientBase,
  projection: string,
  applied: readonly AppliedChange[],
  resolution = 'the change was applied',
): Promise<void> {
  if (applied.length === 0) return;
  await client.query({
    name: 'crosswalk resolve dead letters',
    text: `UPDATE dead_letter d SET resolved_at = now(),
       resolution = CASE WHEN d.topic = a.topic AND d.partition = a.partition AND d.record_offset = a.record_offset THEN $7 ELSE 'a later version was applied' END
     FROM ${unnest(2, ['text', 'text', 'int', 'bigint', 'boolean'])} AS a (legacy_key, topic, partition, record_offset, alone)
     WHERE d.projection = $1 AND d.legacy_key = a.legacy_key AND d.resolved_at IS NULL
       AND NOT (d.topic = a.topic AND d.partition = a.partition AND d.record_offset > a.record_offset)
       AND (NOT a.alone OR (d.topic = a.topic AND d.partition = a.partition AND d.record_offset = a.record_offset))`,
    values: [
      projection,
      applied.map(({ legacyKey }) => legacyKey),
      applied.map(({ record }) => record.topic),
      applied.map(({ record }) => record.partition),
      applied.map(({ record }) => String(record.offset)),
      applied.map(({ alone }) => alone),
      resolution,
    ],
  });
}
