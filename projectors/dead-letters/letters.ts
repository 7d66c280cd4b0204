import type pg from 'pg';
import type { RecordHeaders } from '../../runtime/kafka.ts';
import { parseBytea } from '../../runtime/postgres.ts';
import { toKeptHeaders } from '../write/kept-records.ts';
import type { LetterId } from './letter-id.ts';

/** Selects the dead letters that match every given condition. */
export interface Selection {
  readonly ids?: readonly LetterId[];
  readonly projection?: string;
  /** Substring of the reason. */
  readonly reason?: string;
  /** Failed no later than this; PostgreSQL text. */
  readonly failedBy?: string;
  /** Includes resolved ones. */
  readonly resolvedToo?: boolean;
}

/** A dead letter without its record. Times are PostgreSQL text, UTC. */
export interface Letter extends LetterId {
  readonly legacyTable: string;
  readonly legacyKey: string;
  readonly sourceLsn: string;
  readonly reason: string;
  readonly mappingVersion: string;
  readonly failedAt: string;
  readonly resolvedAt: string | null;
  readonly resolution: string | null;
  readonly bytes: number;
}

export interface LetterRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: RecordHeaders;
}

const ID = 'd.projection, d.topic, d.partition, d.record_offset';

/** The condition of a selection; its parameters are $1 to $8. */
const CONDITION = `($1::text[] IS NULL OR (${ID}) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[])))
  AND ($5::text IS NULL OR d.projection = $5) AND ($6::text IS NULL OR strpos(d.reason, $6) > 0) AND ($7::boolean OR d.resolved_at IS NULL)
  AND ($8::timestamptz IS NULL OR d.failed_at <= $8)`;

function toParameters({ ids, projection, reason, resolvedToo, failedBy }: Selection): unknown[] {
  return [...toIdColumns(ids), projection ?? null, reason ?? null, resolvedToo === true, failedBy ?? null];
}

function toIdColumns(ids: readonly LetterId[] | undefined): unknown[] {
  if (ids === undefined) return [null, null, null, null];
  return [
    ids.map((id) => id.projection),
    ids.map((id) => id.topic),
    ids.map((id) => id.partition),
    ids.map((id) => id.offset),
  ];
}

/** Numbers of dead letters by projection and reason, largest first. */
export async function countLetters(
  client: pg.ClientBase,
  selection: Selection,
): Promise<{ projection: string; reason: string; open: number; resolved: number }[]> {
  const { rows } = await client.query<Record<'projection' | 'reason' | 'open' | 'resolved', string>>(
    `SELECT d.projection, d.reason, count(*) FILTER (WHERE d.resolved_at IS NULL)::text AS open, count(d.resolved_at)::text AS resolved
     FROM dead_letter d WHERE ${CONDITION} GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2`,
    toParameters(selection),
  );
  return rows.map((row) => ({ ...row, open: Number(row.open), resolved: Number(row.resolved) }));
}

/** Reads dead letters in the order of their positions, starting after `after`. */
export async function readLetters(
  client: pg.ClientBase,
  selection: Selection,
  limit: number,
  after: LetterId | null = null,
): Promise<Letter[]> {
  type Row = { [K in keyof Letter]: string | null };
  const { rows } = await client.query<Row>(
    `SELECT d.projection, d.topic, d.partition::text, d.record_offset::text AS offset, d.legacy_table AS "legacyTable", d.legacy_key AS "legacyKey",
       d.source_lsn::text AS "sourceLsn", d.reason, d.mapping_version AS "mappingVersion", d.failed_at::text AS "failedAt", d.resolved_at::text AS "resolvedAt",
       d.resolution, coalesce(octet_length(d.record_value), 0)::text AS bytes
     FROM dead_letter d WHERE ${CONDITION} AND ($9::text IS NULL OR (${ID}) > ($9, $10::text, $11::int, $12::bigint))
     ORDER BY ${ID} LIMIT $13`,
    [
      ...toParameters(selection),
      after?.projection ?? null,
      after?.topic ?? null,
      after?.partition ?? null,
      after?.offset ?? null,
      limit,
    ],
  );
  return rows.map((row) => ({ ...row, partition: Number(row.partition), bytes: Number(row.bytes) }) as Letter);
}

/** Reads the records of open dead letters in log order and locks the dead letters. Omits those resolved meanwhile. */
export async function lockRecords(
  client: pg.ClientBase,
  ids: readonly LetterId[],
): Promise<{ id: LetterId; record: LetterRecord }[]> {
  return await readRecordsWith(
    client,
    { ids },
    `ORDER BY d.projection, d.topic, d.partition, d.record_offset FOR UPDATE`,
  );
}

/** The record of one dead letter; null if there is none. */
export async function readRecord(client: pg.ClientBase, id: LetterId): Promise<LetterRecord | null> {
  return (await readRecordsWith(client, { ids: [id], resolvedToo: true }, ''))[0]?.record ?? null;
}

async function readRecordsWith(client: pg.ClientBase, selection: Selection, rest: string) {
  const { rows } = await client.query<
    Record<'projection' | 'topic' | 'partition' | 'offset' | 'key', string> & {
      value: string | null;
      context: string | null;
    }
  >(
    `SELECT d.projection, d.topic, d.partition::text, d.record_offset::text AS offset, d.record_key AS key, d.record_value AS value, d.context
     FROM dead_letter d WHERE ${CONDITION} ${rest}`,
    toParameters(selection),
  );
  return rows.map(({ projection, topic, partition, offset, key, value, context }) => ({
    id: { projection, topic, partition: Number(partition), offset },
    record: { key: parseBytea(key), value: parseBytea(value ?? '\\x'), headers: toKeptHeaders({ context }) },
  }));
}

/** Other problems of the same legacy row: ids of its other open dead letters, and the number of its parked changes. */
export async function readSiblings(
  client: pg.ClientBase,
  letter: Letter,
): Promise<{ open: LetterId[]; parked: number }> {
  const { rows: open } = await client.query<Record<'topic' | 'partition' | 'offset', string>>(
    `SELECT topic, partition::text, record_offset::text AS offset FROM dead_letter d WHERE projection = $1 AND legacy_key = $2 AND resolved_at IS NULL
       AND (topic, partition, record_offset) <> ($3, $4::int, $5::bigint) ORDER BY d.topic, d.partition, d.record_offset LIMIT 20`,
    [letter.projection, letter.legacyKey, letter.topic, letter.partition, letter.offset],
  );
  const { rows: parked } = await client.query<{ count: string }>(
    'SELECT count(*)::text FROM parked_change WHERE projection = $1 AND legacy_key = $2',
    [letter.projection, letter.legacyKey],
  );
  return {
    open: open.map((row) => ({ ...row, projection: letter.projection, partition: Number(row.partition) })),
    parked: Number(parked[0]!.count),
  };
}

/** Sets a new reason for dead letters that stay open. */
export async function setReasons(
  client: pg.ClientBase,
  mappingVersion: string,
  failures: readonly { readonly id: LetterId; readonly reason: string }[],
): Promise<void> {
  await client.query(
    `UPDATE dead_letter d SET reason = f.reason, mapping_version = $6, failed_at = now()
     FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::text[]) AS f (projection, topic, partition, record_offset, reason)
     WHERE (${ID}) = (f.projection, f.topic, f.partition, f.record_offset) AND d.resolved_at IS NULL`,
    [...toIdColumns(failures.map(({ id }) => id)), failures.map(({ reason }) => reason), mappingVersion],
  );
}

/** Resolves open dead letters without applying them. Returns their number. */
export async function discardLetters(
  client: pg.ClientBase,
  ids: readonly LetterId[],
  resolution: string,
): Promise<number> {
  const { rowCount } = await client.query(
    `UPDATE dead_letter d SET resolved_at = now(), resolution = $9 WHERE ${CONDITION}`,
    [...toParameters({ ids }), resolution],
  );
  return rowCount ?? 0;
}
