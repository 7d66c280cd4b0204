import type { Cell } from '../projection.ts';

/** Largest buffer that is kept for the next rows. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** Longest text, in UTF-16 code units, for which three bytes for each are reserved instead of counting them. */
const SHORT = 64 * 1024;
/** Before the text of a `jsonb` in PostgreSQL's binary form. */
const VERSION = 1;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;

let kept = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * Returns rows as a parameter of type `jsonb`, in PostgreSQL's binary form: an array with an array of texts for each row. Each row is taken when the one before is
 * written, so no row has to live until the last one is there. `rows` must not call this function.
 */
export function toJsonbRows(rows: Iterable<readonly Cell[]>): Buffer {
  let bytes = kept;
  let end = 0;
  bytes[end++] = VERSION;
  bytes[end++] = OPEN;
  let isFirst = true;
  for (const cells of rows) {
    const json = JSON.stringify(cells);
    const most = end + (json.length > SHORT ? Buffer.byteLength(json) : 3 * json.length) + 2;
    if (most > bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(most, Math.ceil(1.5 * bytes.length)));
      bytes.copy(larger, 0, 0, end);
      bytes = larger;
    }
    if (!isFirst) bytes[end++] = COMMA;
    isFirst = false;
    end += bytes.write(json, end);
  }
  bytes[end++] = CLOSE;
  if (bytes.length > KEPT_BYTES) return bytes.subarray(0, end);
  kept = bytes;
  return Buffer.from(bytes.subarray(0, end));
}
