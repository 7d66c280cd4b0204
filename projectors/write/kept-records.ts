import { CONTEXT_HEADER, toContextBytes } from '../../changes/transaction-context.ts';
import { REPAIR_HEADER } from '../../connectors/snapshot/signal.ts';
import type { RecordHeaders } from '../../runtime/kafka.ts';
import type { SourceChange } from '../source-change.ts';

/** Most bytes of records written by one statement: its parameter holds a second copy of them. */
const STATEMENT_BYTES = 8_000_000;

/** Splits changes so that the records of each part fit into one statement. */
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

/** Coordinates and records of changes, as one array per column. */
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

/** The headers of a kept record, as far as they are used. */
export function toKeptHeaders({ repair, context }: { repair?: string | null; context: string | null }): RecordHeaders {
  return {
    ...(repair == null ? {} : { [REPAIR_HEADER]: Buffer.from(repair) }),
    ...(context === null ? {} : { [CONTEXT_HEADER]: Buffer.from(context) }),
  };
}
