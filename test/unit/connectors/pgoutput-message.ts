import { decodeMessage, type InsertMessage } from '../../../changes/pgoutput.ts';
import { SentRow, type TupleCell, UNCHANGED } from '../../../changes/sent-row.ts';

export type TupleText = readonly TupleCell[];

/** Bytes of pgoutput messages, put together from the protocol's description. */
export const byte = (value: number | string): Buffer =>
  typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from([value]);

export function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

export function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return buffer;
}

export function int64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt.asUintN(64, value));
  return buffer;
}

export const name = (text: string): Buffer => Buffer.from(`${text}\0`);

export function tuple(cells: TupleText): Buffer {
  const parts = [int16(cells.length)];
  for (const cell of cells) {
    if (cell === null) parts.push(byte('n'));
    else if (cell === UNCHANGED) parts.push(byte('u'));
    else if (typeof cell === 'object') parts.push(byte('t'), int32(cell.tooLarge), Buffer.alloc(cell.tooLarge, 'x'));
    else parts.push(byte('t'), int32(Buffer.byteLength(cell)), Buffer.from(cell));
  }
  return Buffer.concat(parts);
}

export const message = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

/** A row of these cells as the stream sends it. What of them is too large is of more than 500 bytes. */
export const sentRow = (cells: TupleText): SentRow =>
  (decodeMessage(message(byte('I'), int32(9), byte('N'), tuple(cells)), 500) as InsertMessage).after;

/** What holds rows that were sent, with their cells in their place. */
export function inCells<T extends object>(of: T): unknown {
  return Object.fromEntries(
    Object.entries(of).map(([key, value]) => [
      key,
      value instanceof SentRow ? Array.from({ length: value.length }, (_, position) => value.cell(position)) : value,
    ]),
  );
}
