import { CUT_CELL } from './pgoutput.ts';

const COPY_DATA = 0x64;
const HEADER_BYTES = 5;
/** What stands before the relation in a row message: `w`, two LSNs and a time, then the tag of pgoutput. */
const PREFIX_BYTES = 26;
const NOTHING = Buffer.alloc(0);

/**
 * Stands between the socket of a replication stream and the client library, which gathers each message in one buffer: takes chunks, and gives them back with the bytes of cells of more than `mostCellBytes`
 * left out. Of such a cell the message says `CUT_CELL` and the bytes that it had. Whatever the row, no more of it is held than that.
 */
export function createCellCutter(mostCellBytes: number): (chunk: Buffer) => readonly Buffer[] {
  /** The beginning of a message whose length is not known yet. */
  let held = NOTHING;
  /** Bytes to come of a message that is left as it is. */
  let passing = 0;
  let cut: ReturnType<typeof createCut> | null = null;
  return (chunk) => {
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    held = NOTHING;
    const out: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      if (cut !== null) {
        at += cut.take(bytes.subarray(at));
        from = at;
        if (cut.isWhole()) {
          out.push(cut.message());
          cut = null;
        }
      } else if (passing > 0) {
        const passed = Math.min(passing, bytes.length - at);
        at += passed;
        passing -= passed;
      } else {
        if (bytes.length - at < HEADER_BYTES) break;
        const length = bytes.readUInt32BE(at + 1);
        if (bytes[at] !== COPY_DATA || length <= mostCellBytes) {
          passing = 1 + length;
          continue;
        }
        if (at > from) out.push(bytes.subarray(from, at));
        at += HEADER_BYTES;
        from = at;
        cut = createCut(length - 4, mostCellBytes);
      }
    }
    if (at > from) out.push(bytes.subarray(from, at));
    if (at < bytes.length) held = Buffer.from(bytes.subarray(at));
    return out;
  };
}

/** One message of so many bytes behind its header. */
function createCut(byteCount: number, mostCellBytes: number) {
  const parts: Buffer[] = [];
  const steps = readRow(mostCellBytes, parts);
  let left = byteCount;
  let step = steps.next();
  /** Bytes of the step at hand, as far as they have come. */
  let taken: Buffer[] = [];
  let missing = step.done ? 0 : step.value.bytes;

  return {
    isWhole: () => left === 0,

    /** Takes what of these bytes belongs to the message: so many. */
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

    /** The whole message. One that ends in the middle of something is for its reader to refuse. */
    message(): Buffer {
      // Without its size a cell whose bytes did not all come is none.
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

/** The steps in which a row message is read; returns, and leaves the rest as it is, where it is none. */
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
