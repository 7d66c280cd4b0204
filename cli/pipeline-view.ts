import type pg from 'pg';
import type { Position } from '../connectors/position.ts';
import type { Projection } from '../projectors/projection.ts';
import { readPosition } from '../projectors/read-position.ts';
import { type Config, topicOf } from '../runtime/config.ts';
import type { Kafka } from '../runtime/kafka.ts';
import { quoteTable } from '../schemas/quote.ts';

/** Progress of the initial load: legacy rows of projected tables, in total and applied. */
export interface LoadProgress {
  readonly total: number;
  readonly applied: number;
  readonly isDone: boolean;
}

/** Counts the legacy rows in the tables that projections read. */
export async function countLegacyRows(
  legacy: pg.ClientBase,
  config: Config,
  projections: readonly Projection[],
): Promise<number> {
  const { rows: partitioned } = await legacy.query<{ table: string }>(
    `SELECT c.relname AS "table" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'p'`,
    [config.legacySchema],
  );
  let total = 0;
  for (const { source } of projections) {
    // The rows of a partitioned table are in its partitions; the rows of inheriting tables are their own.
    const only = partitioned.some(({ table }) => table === source) ? '' : 'ONLY ';
    const { rows } = await legacy.query<{ count: string }>(
      `SELECT count(*) FROM ${only}${quoteTable(config.legacySchema, source)}`,
    );
    total += Number(rows[0]!.count);
  }
  return total;
}

/** Reads the progress of the initial load: the rows in the log by the connector's position, multiplied by the share of offsets that projections have passed. */
export async function readLoadProgress(
  config: Config,
  kafka: Kafka,
  target: pg.ClientBase,
  projections: readonly Projection[],
  total: number,
): Promise<LoadProgress> {
  const position = await readPosition(kafka, config);
  if (position === null) return { total, applied: 0, isDone: false };
  const isLoaded = projections.every((projection) => position.snapshot[projection.source]?.done);
  let applied = 0;
  let isCaughtUp = true;
  for (const projection of projections) {
    const share = await readShare(target, projection, topicOf(config, projection.source), position);
    applied += (position.snapshot[projection.source]?.rows ?? 0) * share;
    if (share < 1) isCaughtUp = false;
  }
  return { total, applied: Math.min(total, Math.round(applied)), isDone: isLoaded && isCaughtUp };
}

async function readShare(
  target: pg.ClientBase,
  projection: Projection,
  topic: string,
  position: Position,
): Promise<number> {
  const offsets = position.offsets[topic] ?? [];
  const { rows } = await target.query<{ partition: string; next: string }>(
    'SELECT partition::text, next_offset::text AS next FROM crosswalk.consumer_offset WHERE projection = $1 AND topic = $2',
    [projection.name, topic],
  );
  const end = offsets.reduce((sum, offset) => sum + Number(offset), 0);
  const applied = rows.reduce(
    (sum, row) => sum + Math.min(Number(row.next), Number(offsets[Number(row.partition)] ?? 0)),
    0,
  );
  return end === 0 ? 1 : applied / end;
}
