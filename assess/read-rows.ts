import type pg from 'pg';
import type { Relation } from '../changes/change.ts';
import { type Chunk, readChunk } from '../connectors/snapshot/chunks.ts';
import type { Selection } from '../connectors/snapshot/work.ts';
import type { LegacyRow } from '../projectors/projection.ts';
import { toLegacyRow } from '../projectors/verify/legacy-rows.ts';
import { quoteIdent, quoteTable } from '../schemas/quote.ts';
import { readOnly, toProblem } from './read-only.ts';

/** Rows of a table to read: all in key order, up to `most`; or about `rows` of `ofRows`, spread over the table. */
export type RowPlan =
  | { readonly kind: 'all'; readonly most: number }
  | { readonly kind: 'sample'; readonly rows: number; readonly ofRows: number };

/** Result of reading a table. `problem`: why it ended early. */
export interface RowsRead {
  readonly rows: number;
  /** Whether these are all rows of the table. */
  readonly isWhole: boolean;
  /** Rows too large to be captured, whatever the topic's limit. */
  readonly tooLarge: number;
  readonly problem: string | null;
}

/** Time limit of one statement. */
const LIMIT_MS = 60_000;
/** Assumed row size of a table that was never analysed. */
const GUESSED_ROW_BYTES = 200;
/** A sample of pages may return up to this multiple of the requested rows. */
const MOST_TIMES = 2;
const KEYS_AT_ONCE = 500;

/** How to read a table: small tables in full, and all tables with `full`. `rows` and `bytes` come from the catalog. */
export function toRowPlan(
  { rows, bytes }: { readonly rows: number | null; readonly bytes: number | null },
  { full, sampleRows }: { readonly full: boolean; readonly sampleRows: number },
): RowPlan {
  if (full) return { kind: 'all', most: Number.POSITIVE_INFINITY };
  const estimate = rows ?? Math.ceil((bytes ?? 0) / GUESSED_ROW_BYTES);
  if (estimate <= sampleRows) return { kind: 'all', most: MOST_TIMES * sampleRows };
  return { kind: 'sample', rows: sampleRows, ofRows: estimate };
}

/**
 * Reads rows in bounded chunks, each in its own READ ONLY transaction, so that nothing is held longer than one statement. Passes them on one by one.
 * Reads the next chunk while one is processed.
 */
export async function readRows(
  client: pg.ClientBase,
  relation: Relation,
  plan: RowPlan,
  options: {
    readonly chunkRows: number;
    readonly signal: AbortSignal;
    readonly onRow: (row: LegacyRow) => void;
    readonly onProgress: (rows: number) => void;
  },
): Promise<RowsRead> {
  let rows = 0;
  let tooLarge = 0;
  const take = (chunk: Chunk) => {
    for (const cells of chunk.rows) options.onRow(toLegacyRow(relation, cells));
    rows += chunk.rows.length;
    tooLarge += chunk.tooLarge.length;
    options.onProgress(rows);
  };
  const readAll = async (selection: Selection | undefined, most: number) => {
    const read = (after: readonly string[] | null) => {
      const chunk = readOnly(client, LIMIT_MS, () => readChunk(client, relation, after, options.chunkRows, selection));
      // It may fail while another chunk is processed.
      chunk.catch(() => undefined);
      return chunk;
    };
    let next: Promise<Chunk> | null = read(null);
    while (next !== null) {
      const chunk: Chunk = await next;
      options.signal.throwIfAborted();
      next = chunk.isLast || rows + chunk.rows.length >= most ? null : read(chunk.lastKey);
      take(chunk);
      if (next === null) return chunk.isLast;
    }
    return true;
  };
  try {
    if (plan.kind === 'all') {
      const isWhole = await readAll(undefined, plan.most);
      return { rows, tooLarge, isWhole, problem: null };
    }
    const keys = await readOnly(client, LIMIT_MS, () => sampleKeys(client, relation, plan));
    if (keys.length === 0) await readAll(undefined, plan.rows);
    for (let at = 0; at < keys.length; at += KEYS_AT_ONCE)
      await readAll({ where: null, keys: keys.slice(at, at + KEYS_AT_ONCE) }, Number.POSITIVE_INFINITY);
    return { rows, tooLarge, isWhole: false, problem: null };
  } catch (error) {
    const problem = toProblem(error, LIMIT_MS);
    if (problem === null) throw error;
    return { rows, tooLarge, isWhole: false, problem };
  }
}

/** Keys of rows on pages spread over the table: the server reads no other pages. Returns the same keys each time while nothing changes. */
async function sampleKeys(
  client: pg.ClientBase,
  { schema, table, key, isPartitioned }: Relation,
  { rows, ofRows }: { readonly rows: number; readonly ofRows: number },
): Promise<string[][]> {
  const percent = Math.min(100, Math.max((100 * rows) / ofRows, 1e-6));
  const found = await client.query<string[]>({
    text: `SELECT ${key.map(quoteIdent).join(', ')} FROM ${isPartitioned ? '' : 'ONLY '}${quoteTable(schema, table)}
      TABLESAMPLE SYSTEM ($1::real) REPEATABLE (1) LIMIT $2`,
    values: [percent, MOST_TIMES * rows],
    rowMode: 'array',
  });
  return found.rows;
}
