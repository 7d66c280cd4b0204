import type pg from 'pg';
import type { Projection } from '../projection.ts';
import type { LogRecord, SourceChange } from '../source-change.ts';
import { COLUMN_TYPES, COLUMNS, inStatements, toColumns, unnest } from './kept-records.ts';
import type { Defect } from './map-changes.ts';

/** Writes dead letters. Existing ones are reopened with the new reason. */
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

/** A change that took effect. `alone`: without the changes before it. */
export interface AppliedChange {
  readonly legacyKey: string;
  readonly record: Pick<LogRecord, 'topic' | 'partition' | 'offset'>;
  readonly alone: boolean;
}

/** The changes that took effect with a row: its last version, or in a history each of its changes. */
export function toAppliedChanges(
  projection: Pick<Projection, 'history'>,
  { legacyKey, changes }: { readonly legacyKey: string; readonly changes: readonly SourceChange[] },
): AppliedChange[] {
  const alone = projection.history !== undefined;
  return (alone ? changes : changes.slice(-1)).map(({ record }) => ({ legacyKey, record, alone }));
}

/**
 * Resolves open dead letters that are not newer than the applied version of their legacy row. An open dead letter is therefore newer than everything that was ever
 * applied of its row, which makes it safe to apply it again. `resolution` applies to the dead letters of the applied changes themselves.
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
