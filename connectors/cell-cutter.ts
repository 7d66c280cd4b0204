import { CUT_CELL } from '../changes/pgoutput.ts';

const COPY_DATA = 0x64;
const HEADER_BYTES = 5;
/** Bytes before the relation oid in a row message: `w`, two LSNs, a timestamp and the pgoutput tag. */
const PREFIX_BYTES = 26;

/**
 * Consecutive whole messages of a connection. `isCopied`: messages of the replication stream; otherwise messages that
 * the client library must read.
 */
export interface Part {
  readonly bytes: Buffer;
  readonly isCopied: boolean;
}

/**
 * Sits between the socket of a replication stream and its readers. Takes chunks and returns the messages in them, as
 * views if a message is whole within its chunk. Drops the bytes of cells larger than `mostCellBytes`: the message then
 * holds `CUT_CELL` and the original size. No more than that of a cell is ever buffered.
 */
export function createCellCutter(mostCellBytes: number): (chunk: Buffer) => readonly Part[] {
  /** The beginning of an incomplete message. */
  let held: Buffer[] = [];
  let heldBytes = 0;
  /** Bytes of that message, or of its header while the size is unknown. */
  let wanted = HEADER_BYTES;
  let cut: ReturnType<typeof createCut> | null = null;

  const toCut = (length: number) => createCut(length - 4, mostCellBytes);
  const isTooLong = (header: Buffer, at: number) =>
    header[at] === COPY_DATA && header.readUInt32BE(at + 1) > mostCellBytes;

  /**
   * Takes the bytes of the held message from a chunk, starting at `at`; returns the offset of the first byte not taken.
   */
  function fill(chunk: Buffer, at: number, parts: Part[]): number {
    const end = Math.min(at + wanted - heldBytes, chunk.length);
    held.push(chunk.subarray(at, end));
    heldBytes += end - at;
    if (heldBytes < wanted) return end;
    const bytes = Buffer.concat(held);
    held = [];
    if (wanted === HEADER_BYTES && isTooLong(bytes, 0)) cut = toCut(bytes.readUInt32BE(1));
    else if (bytes.length < 1 + bytes.readUInt32BE(1)) {
      held = [bytes];
      wanted = 1 + bytes.readUInt32BE(1);
      return end;
    } else parts.push({ bytes, isCopied: bytes[0] === COPY_DATA });
    heldBytes = 0;
    wanted = HEADER_BYTES;
    return end;
  }

  return (chunk) => {
    const parts: Part[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (cut !== null) {
        at += cut.take(chunk.subarray(at));
        if (!cut.isWhole()) break;
        parts.push({ bytes: cut.message(), isCopied: true });
        cut = null;
        continue;
      }
      if (heldBytes > 0) {
        at = fill(chunk, at, parts);
        continue;
      }
      const from = at;
      const isCopied = chunk[at] === COPY_DATA;
      while (at + HEADER_BYTES <= chunk.length && (chunk[at] === COPY_DATA) === isCopied) {
        const end = at + 1 + chunk.readUInt32BE(at + 1);
        if (end > chunk.length || isTooLong(chunk, at)) break;
        at = end;
      }
      if (at > from) parts.push({ bytes: chunk.subarray(from, at), isCopied });
      // The rest begins with a message of the other kind, an incomplete one, or one that is too long.
      else at = fill(chunk, at, parts);
    }
    return parts;
  };
}

/** One message with `byteCount` bytes after its header. */
function createCut(byteCount: number, mostCellBytes: number) {
  const parts: Buffer[] = [];
  const steps = readRow(mostCellBytes, parts);
  let left = byteCount;
  let step = steps.next();
  /** Bytes received of the current step. */
  let taken: Buffer[] = [];
  let missing = step.done ? 0 : step.value.bytes;

  return {
    isWhole: () => left === 0,

    /** Takes the bytes that belong to the message; returns how many. */
    take(bytes: Buffer): number {
      const end = Math.min(left, bytes.length);
      left -= end;
      for (let at = 0; at < end; ) {
        if (step.done) {
          parts.push(bytes.subarray(at, end));
          break;
        }
        const some = Math.min(missing, end - at);
        if (!step.value.isSkipped) taken.push(bytes.subarray(at, at + some));
        at += some;
        missing -= some;
        while (missing === 0 && !step.done) {
          step = steps.next(taken.length === 1 ? taken[0]! : Buffer.concat(taken));
          taken = [];
          missing = step.done ? 0 : step.value.bytes;
        }
      }
      return end;
    },

    /** The whole message. A message that ends in the middle of a field is left for its reader to refuse. */
    message(): Buffer {
      // A cell whose bytes did not all arrive is incomplete: its size is left out, so the reader refuses it.
      const isBroken = !step.done && step.value.isSkipped === true;
      const body = [...(isBroken ? parts.slice(0, -1) : parts), ...taken];
      const header = Buffer.alloc(HEADER_BYTES);
      header[0] = COPY_DATA;
      header.writeUInt32BE(4 + body.reduce((sum, part) => sum + part.length, 0), 1);
      return Buffer.concat([header, ...body]);
    },
  };
}

type Step = { readonly bytes: number; readonly isSkipped?: true };

/** The steps for reading a row message. Returns early, leaving the rest unchanged, if it is not a row message. */
function* readRow(mostCellBytes: number, parts: Buffer[]): Generator<Step, void, Buffer> {
  function* keep(bytes: number): Generator<Step, Buffer, Buffer> {
    const part = yield { bytes };
    parts.push(part);
    return part;
  }
  const tag = (yield* keep(PREFIX_BYTES))[PREFIX_BYTES - 1];
  if (tag !== 0x49 && tag !== 0x55 && tag !== 0x44) return; // I, U, D
  yield* keep(4);
  for (;;) {
    yield* keep(1);
    const count = (yield* keep(2)).readUInt16BE();
    for (let index = 0; index < count; index++) {
      const kind = yield { bytes: 1 };
      if (kind[0] !== 0x74) {
        parts.push(kind);
        if (kind[0] === 0x6e || kind[0] === 0x75) continue; // n, u
        return;
      }
      const size = yield { bytes: 4 };
      const bytes = size.readUInt32BE();
      const isCut = bytes > mostCellBytes;
      parts.push(isCut ? Buffer.of(CUT_CELL) : kind, size);
      if (isCut) yield { bytes, isSkipped: true };
      else if (bytes > 0) yield* keep(bytes);
    }
  }
}
