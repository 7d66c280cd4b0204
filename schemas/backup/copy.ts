import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { quoteIdent } from '../quote.ts';
import { nameOf, type TableShape } from './digest.ts';

const NEW_LINE = 0x0a;

/**
 * Counts rows of COPY's text format passing through: one per line, since a line break within a value is written as \\n.
 */
function countLines(onRows: (rows: number) => void): Transform & { lines: number } {
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      for (let at = chunk.indexOf(NEW_LINE); at >= 0; at = chunk.indexOf(NEW_LINE, at + 1)) counter.lines++;
      onRows(counter.lines);
      done(null, chunk);
    },
  }) as Transform & { lines: number };
  counter.lines = 0;
  return counter;
}

/**
 * Uses the text format, in the database encoding: every type supports it, it is exact under the pinned settings,
 * readable, and portable between versions.
 */
function copySql(shape: TableShape, encoding: string, direction: 'TO STDOUT' | 'FROM STDIN'): string {
  const columns = shape.columns.length === 0 ? '' : ` (${shape.columns.map(quoteIdent).join(', ')})`;
  return `COPY ${nameOf(shape)}${columns} ${direction} WITH (FORMAT text, ENCODING '${encoding}')`;
}

export interface FileDigest {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Writes the rows of a table into a new compressed file, in the snapshot of the caller's transaction. Holds only a few
 * buffers in memory.
 */
export async function copyOut(
  client: pg.ClientBase,
  shape: TableShape,
  file: string,
  options: { readonly encoding: string; readonly signal: AbortSignal; readonly onRows: (rows: number) => void },
): Promise<FileDigest & { readonly rows: number }> {
  const lines = countLines(options.onRows);
  const hash = createHash('sha256');
  let bytes = 0;
  const digest = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(
    client.query(copyTo(copySql(shape, options.encoding, 'TO STDOUT'))),
    lines,
    createGzip({ level: 1 }),
    digest,
    createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }),
    { signal: options.signal },
  );
  return { rows: lines.lines, bytes, sha256: hash.digest('hex') };
}

/** Loads the rows of such a file into a table. */
export async function copyIn(
  client: pg.ClientBase,
  shape: TableShape,
  file: string,
  options: { readonly encoding: string; readonly signal: AbortSignal; readonly onRows: (rows: number) => void },
): Promise<void> {
  await pipeline(
    createReadStream(file),
    createGunzip(),
    countLines(options.onRows),
    client.query(copyFrom(copySql(shape, options.encoding, 'FROM STDIN'))),
    { signal: options.signal },
  );
}

/** SHA-256 and size of a file. */
export async function digestFile(file: string): Promise<FileDigest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file)) {
    bytes += (chunk as Buffer).length;
    hash.update(chunk as Buffer);
  }
  return { bytes, sha256: hash.digest('hex') };
}
