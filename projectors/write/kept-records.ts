import { CONTEXT_HEADER, toContextBytes } from '../../changes/transaction-context.ts';
import { REPAIR_HEADER } from '../../connectors/snapshot/signal.ts';
import type { RecordHeaders } from '../../runtime/kafka.ts';
import type { SourceChange } from '../source-change.ts';

/** Records written by one statement, at most: their bytes are held once more as its parameter. */
const STATEMENT_BYTES = 8_000_000;

/** Parts changes so that the records of each part fit into one statement. */
export function* inStatements<T>(items: readonly T[], changeOf: (item: T) => SourceChange): Generator<readonly T[]> {
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
export function toColumns(changes: readonly SourceChange[]): unknown[][] {
  return [
    changes.map(({ record }) => record.topic),
    changes.map(({ record }) => record.partition),
    changes.map(({ record }) => String(record.offset)),
    changes.map(({ legacyKey }) => legacyKey),
    changes.map(({ lineage }) => lineage.lsn),
    changes.map(({ record }) => record.key),
    changes.map(({ record }) => record.value),
    changes.map(({ context }) => (context === undefined ? null : toContextBytes(context).toString())),
  ];
}
export const COLUMNS = 'topic, partition, record_offset, legacy_key, source_lsn, record_key, record_value, context';
export const COLUMN_TYPES = ['text', 'int', 'bigint', 'text', 'pg_lsn', 'bytea', 'bytea', 'text'];
export const unnest = (from: number, types: readonly string[]) =>
  `unnest(${types.map((type, index) => `$${from + index}::${type}[]`).join(', ')})`;

/** The headers that a kept record had, as far as anything is read from them. */
export function toKeptHeaders({ repair, context }: { repair?: string | null; context: string | null }): RecordHeaders {
  return {
    ...(repair == null ? {} : { [REPAIR_HEADER]: Buffer.from(repair) }),
    ...(context === null ? {} : { [CONTEXT_HEADER]: Buffer.from(context) }),
  };
}
