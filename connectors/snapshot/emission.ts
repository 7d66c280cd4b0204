import { type Cells, cellOf, keyPositions, type Relation, type Row } from '../../changes/change.ts';
import type { RecordHeaders } from '../../runtime/kafka.ts';
import { REPAIR_HEADER, toKeyText } from './signal.ts';
import type { Passed } from './windows.ts';
import type { Work } from './work.ts';

/** Rows of chunks that no streamed change has superseded. */
export interface Emission {
  readonly relation: Relation;
  readonly reads: readonly Read[];
}

/** A row as read; a missing one holds only the cells of its key. */
export interface Read {
  readonly cells: Cells;
  readonly isMissing: boolean;
  /** Bytes of a row that its topic cannot hold: only its key was read. */
  readonly tooLarge?: number;
  readonly headers?: RecordHeaders;
}

/** The primary key of a row, in key order. */
export function toKey(relation: Relation, row: Row): readonly string[] {
  return keyPositions(relation).map((position) => cellOf(row, position)!);
}

/**
 * The rows to emit of a chunk: those that the stream has not touched; keys without a row only for a repair. `rows`: how
 * many were read.
 */
export function toReads(of: Work, { chunk, isTouched }: Passed): { reads: readonly Read[]; rows: number } {
  const { relation, request } = of;
  const missing = request?.repair ? chunk.missing : [];
  const toUntouched = (rows: readonly Cells[], isMissing: boolean): Read[] =>
    rows.flatMap((cells) => {
      const key = toKey(relation, cells);
      return isTouched(toKeyText(key)) ? [] : [{ cells, isMissing, ...toHeaders(of, key) }];
    });
  const tooLarge = chunk.tooLarge.flatMap(({ cells, bytes }) =>
    toUntouched([cells], false).map((read) => ({ ...read, tooLarge: bytes })),
  );
  return {
    reads: [...toUntouched(chunk.rows, false), ...toUntouched(missing, true), ...tooLarge],
    rows: chunk.rows.length + chunk.tooLarge.length + missing.length,
  };
}

/** Headers of a row read: a repair attaches the hint of the key to each record. */
function toHeaders({ request }: Work, key: readonly string[]): { headers?: RecordHeaders } {
  if (request?.repair !== true) return {};
  const text = toKeyText(key);
  // A key may equal the name of an inherited property of every object.
  const hint = request.hints !== null && Object.hasOwn(request.hints, text) ? request.hints[text] : {};
  return { headers: { [REPAIR_HEADER]: Buffer.from(JSON.stringify(hint)) } };
}
