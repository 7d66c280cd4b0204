import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMessage } from '../../../changes/pgoutput.ts';
import { UNCHANGED } from '../../../changes/sent-row.ts';
import { createCellCutter, type Part } from '../../../connectors/cell-cutter.ts';
import { byte, inCells, int32, int64, message, name, type TupleText, tuple } from './pgoutput-message.ts';

const MOST = 40;
const frame = (type: string, body: Buffer) => message(byte(type), int32(body.length + 4), body);
const walData = (body: Buffer) => frame('d', message(byte('w'), int64(7n), int64(8n), int64(9n), body));
const keepalive = frame('d', message(byte('k'), int64(7n), int64(9n), byte(0)));

const anyCell = fc.oneof(
  fc.constantFrom(null, UNCHANGED),
  fc.nat(120).map((length) => 'y'.repeat(length)),
);
const anyRow = fc.array(anyCell, { maxLength: 6 }) as fc.Arbitrary<TupleText>;
/** Messages of the stream, as they stand on the wire. */
const anyMessage = fc.oneof(
  anyRow.map((row) => walData(message(byte('I'), int32(9), byte('N'), tuple(row)))),
  anyRow.map((row) => walData(message(byte('D'), int32(9), byte('O'), tuple(row)))),
  fc.tuple(anyRow, anyRow).map(([before, after]) => {
    return walData(message(byte('U'), int32(9), byte('O'), tuple(before), byte('N'), tuple(after)));
  }),
  fc.nat(120).map((length) => {
    const content = Buffer.alloc(length, 1);
    return walData(message(byte('M'), byte(0), int64(1n), name('p'), int32(length), content));
  }),
  fc.constant(keepalive),
  fc.nat(90).map((length) => frame('N', Buffer.alloc(length, 'd'))),
);

/** The frames of a stream. */
function split(stream: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const end = at + 1 + stream.readUInt32BE(at + 1);
    frames.push(stream.subarray(at, end));
    at = end;
  }
  return frames;
}

function read(one: Buffer): unknown {
  return one[0] === 0x64 && one[5] === 0x77 ? inCells(decodeMessage(one.subarray(30), MOST)) : one.toString('hex');
}

test('wherever the chunks end, each message says the same as before, and is no larger than its small cells', () => {
  fc.assert(
    fc.property(fc.array(anyMessage), fc.infiniteStream(fc.integer({ min: 1, max: 70 })), (messages, sizes) => {
      const stream = Buffer.concat(messages);
      const cut = createCellCutter(MOST);
      const parts: Part[] = [];
      for (let at = 0; at < stream.length; ) {
        const end = at + sizes.next().value!;
        parts.push(...cut(stream.subarray(at, end)));
        at = end;
      }
      // Each part holds whole messages, all of the stream or none.
      for (const { bytes, isCopied } of parts)
        for (const one of split(bytes)) {
          expect(one.length).toBe(1 + one.readUInt32BE(1));
          expect(one[0] === 0x64).toBe(isCopied);
        }
      const frames = split(Buffer.concat(parts.map(({ bytes }) => bytes)));
      expect(frames.map(read)).toEqual(messages.map(read));
      for (const [at, one] of frames.entries()) {
        const isRow = one[5] === 0x77 && one[30] !== 0x4d;
        if (one[0] === 0x64 && isRow) expect(one.length).toBeLessThan(50 + 12 * (MOST + 5));
        if (!isRow) expect(one.equals(messages[at]!)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test('a chunk without a large message is passed on as it is', () => {
  const chunk = message(keepalive, walData(message(byte('I'), int32(9), byte('N'), tuple(['1']))));
  const [part, ...others] = createCellCutter(1000)(chunk);
  expect(others).toEqual([]);
  expect(part).toEqual({ bytes: chunk, isCopied: true });
  expect(part!.bytes.buffer).toBe(chunk.buffer);
});

test('a message that breaks off inside of a cell stays malformed', () => {
  const row = message(byte('I'), int32(9), byte('N'), tuple(['z'.repeat(100)]));
  for (const broken of [row.subarray(0, -20), message(row, byte(0)), row.subarray(0, 10 + 2)]) {
    const [cut] = createCellCutter(10)(walData(broken));
    expect(() => decodeMessage(cut!.bytes.subarray(30), MOST)).toThrow('malformed');
  }
});
