/** Stands for a TOASTed value that an update did not change: PostgreSQL does not send it, and it is not null. */
export const UNCHANGED: unique symbol = Symbol('unchanged');

/**
 * Stands for a cell left unread because of its text size in bytes: it fits into no topic, and exceeds JavaScript's
 * string limit.
 */
export type TooLarge = { readonly tooLarge: number };

/** One cell: PostgreSQL's text, SQL null, not sent because unchanged, or sent and too large. */
export type TupleCell = string | null | typeof UNCHANGED | TooLarge;

/** Codes used in place of a cell's length. For a too large cell, its size takes the place of its start. */
export const NULL_CELL = -1;
export const UNCHANGED_CELL = -2;
export const TOO_LARGE_CELL = -3;

/**
 * A row as the server sent it: the bytes of its message, and the places of its cells in them. Text is created only for
 * requested cells. The bytes are a view of the socket's data and are never modified.
 */
export class SentRow {
  readonly bytes: Buffer;
  /** The same bytes. */
  readonly view: DataView;
  /**
   * Two numbers per cell, in column order: the start of its text in `bytes`, and its length in bytes; or one of the
   * codes above.
   */
  readonly places: readonly number[];
  /** Whether no cell is `UNCHANGED` or too large: true for most rows, which need no closer check. */
  readonly isPlain: boolean;
  /**
   * Bytes of its message: an upper bound for its cells plus those of the other row in the message, too large cells
   * aside.
   */
  readonly messageBytes: number;

  constructor(bytes: Buffer, view: DataView, places: readonly number[], isPlain: boolean, messageBytes: number) {
    this.bytes = bytes;
    this.view = view;
    this.places = places;
    this.isPlain = isPlain;
    this.messageBytes = messageBytes;
  }

  /** Number of cells. */
  get length(): number {
    return this.places.length >> 1;
  }

  cell(position: number): TupleCell {
    const start = this.places[2 * position]!;
    const length = this.places[2 * position + 1]!;
    if (length >= 0) return this.bytes.toString('utf8', start, start + length);
    if (length === UNCHANGED_CELL) return UNCHANGED;
    return length === TOO_LARGE_CELL ? { tooLarge: start } : null;
  }

  /** The text of a cell; null if it has none. */
  text(position: number): string | null {
    const cell = this.cell(position);
    return typeof cell === 'string' ? cell : null;
  }

  isNull(position: number): boolean {
    return this.places[2 * position + 1] === NULL_CELL;
  }

  isUnchanged(position: number): boolean {
    return this.places[2 * position + 1] === UNCHANGED_CELL;
  }

  /** Whether a cell equals that of another row: both null, or the same text. */
  isSame(position: number, other: SentRow): boolean {
    const length = this.places[2 * position + 1]!;
    if (length !== other.places[2 * position + 1]) return false;
    if (length === NULL_CELL) return true;
    if (length < 0) return false;
    const from = this.places[2 * position]!;
    const otherFrom = other.places[2 * position]!;
    for (let at = 0; at < length; at++) if (this.bytes[from + at] !== other.bytes[otherFrom + at]) return false;
    return true;
  }

  /** Text bytes of the cells, including those too large to be read. */
  countBytes(countOf: (position: number, bytes: number) => number): number {
    let sum = 0;
    for (let position = 0; position < this.length; position++) {
      const length = this.places[2 * position + 1]!;
      if (length >= 0) sum += countOf(position, length);
      else if (length === TOO_LARGE_CELL) sum += countOf(position, this.places[2 * position]!);
    }
    return sum;
  }

  /** The row with unsent cells taken from the old row, which came in the same message. */
  completedFrom(before: SentRow): SentRow {
    if (before.bytes !== this.bytes) throw new Error('an old row of another message');
    const places = [...this.places];
    let isPlain = true;
    for (let at = 0; at < places.length; at += 2) {
      if (places[at + 1] === UNCHANGED_CELL) {
        places[at] = before.places[at]!;
        places[at + 1] = before.places[at + 1]!;
      }
      if (places[at + 1]! < NULL_CELL) isPlain = false;
    }
    return this.with(places, isPlain);
  }

  /** The row with null for each cell that has no text. */
  withoutTooLarge(): SentRow {
    const places = this.places.map((place, at) => (at % 2 === 1 && place < NULL_CELL ? NULL_CELL : place));
    return this.with(places, true);
  }

  /** A row with only these cells, in the order of other columns: positions here, or -1 for null. */
  pick(positions: readonly number[]): SentRow {
    const places = positions.flatMap((position) =>
      position === -1 ? [0, NULL_CELL] : [this.places[2 * position]!, this.places[2 * position + 1]!],
    );
    return this.with(places, true);
  }

  private with(places: readonly number[], isPlain: boolean): SentRow {
    return new SentRow(this.bytes, this.view, places, isPlain, this.messageBytes);
  }
}
