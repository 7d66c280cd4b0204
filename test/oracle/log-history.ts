// The history of captured tables as the database itself tells it: a second logical slot, with another plugin, read by SQL functions.
// It shares no code with the connector. `compareLog` in log-history-compare.ts holds the log against it.
import { createReadStream, createWriteStream, mkdtempSync, rmSync, type WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type HistoryRow, parseHistoryLine, UNCHANGED } from './log-history-text.ts';

/** What the values' text depends on. The connector pins the same, by its own code. */
const SESSION =
  '-c DateStyle=ISO,YMD -c IntervalStyle=postgres -c TimeZone=UTC -c bytea_output=hex -c extra_float_digits=1 -c xmloption=content -c lc_monetary=C';
/** A read ends at the first commit after so many lines. */
const PORTION = 50_000;
const FETCH = 2000;
const RETRY_MS = 500;

export type Cells = ReadonlyMap<string, string | null>;

/** One change of a captured row, as the log must hold it: an update that moves the key is a delete and an insert. */
export interface HistoryChange {
  /** End of the commit record: the log names its start, which lies between the end of the commit before and this. */
  readonly commitEnd: bigint;
  /** Where the change itself was written: before the start of the commit record. */
  readonly lsn: bigint;
  /** 32 bits */
  readonly xid: number;
  /** Among the changes of the captured tables in the transaction, from 0. */
  readonly ordinal: number;
  readonly schema: string;
  readonly table: string;
  readonly op: 'c' | 'u' | 'd';
  /** Columns of the primary key, in key order, as JSON. */
  readonly key: string;
  readonly before: Cells | null;
  readonly after: Cells | null;
  /** Stored generated columns: whether they are published is an option of the publication. */
  readonly generated: ReadonlySet<string>;
}

/** What was committed while a slot was read, in the order of the commits. */
export interface History {
  /** Everything committed before it is told. */
  readonly until: bigint;
  /** Lines told of captured tables; a moved key is one. */
  readonly lines: number;
  /** Reads it from the start, as often as asked. */
  changes(): AsyncIterable<HistoryChange>;
}

export interface CapturedTables {
  readonly schema: string;
  readonly tables: readonly string[];
}

/**
 * Makes the slot that the history is read from; everything committed after it resolves is told. Waits, as any slot does, for
 * transactions that are open now. `failover`: it is kept on a standby too. Throws where the plugin is missing: it comes with PostgreSQL.
 */
export async function createSecondSlot(client: pg.ClientBase, name: string, failover = false): Promise<void> {
  if (failover)
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'test_decoding', false, false, true)`, [name]);
  else await client.query(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, [name]);
}

/** Reads all that the slot holds up to now, and moves the slot behind it. */
export async function readHistory(url: string, slot: string, captured: CapturedTables): Promise<History> {
  const recorder = await startRecorder({ url, slot, captured, everyMs: 3_600_000 });
  return await recorder.stop();
}

export interface Recorder {
  /** Of the reads that failed since the start: the server may be down for a while. */
  readonly failures: () => number;
  /** Where the server's log ends now: a bound for `compareLog`, on both sides of which no transaction is cut. */
  mark(): Promise<bigint>;
  /** Reads up to where the server's log ends now, waiting for the server when it is down, and ends. The slot stays. */
  stop(timeoutMs?: number): Promise<History>;
  /** Removes what was recorded. After `stop`; also safe without. */
  discard(): Promise<void>;
}

/**
 * Records what the slot tells, every second, so that the slot holds no WAL back. A server that restarts or is killed is connected to
 * again: what is read is written down before the slot is moved, and what comes again after a crash is recognised by its commit.
 * `url` may answer with another address as time goes on.
 */
export async function startRecorder(options: {
  readonly url: string | (() => string);
  readonly slot: string;
  readonly captured: CapturedTables;
  readonly everyMs?: number;
}): Promise<Recorder> {
  const { slot, captured } = options;
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-history-'));
  const file = join(dir, 'lines');
  const output = createWriteStream(file);
  const wanted = new Set(captured.tables);
  const shapes = new Map<string, TableShape>();
  let client: pg.Client | null = null;
  let lastEnd = 0n;
  let lines = 0;
  let failures = 0;
  let discarded = false;
  const stopping = new AbortController();

  const connected = async (): Promise<pg.Client> => {
    if (client !== null) return client;
    const connecting = createHistoryClient(typeof options.url === 'string' ? options.url : options.url());
    await connecting.connect();
    client = connecting;
    return connecting;
  };
  const disconnect = async (): Promise<void> => {
    const ending = client;
    client = null;
    await ending?.end().catch(() => undefined);
  };
  const isCaptured = (line: string): boolean => {
    const parsed = parseHistoryLine(line);
    return 'table' in parsed && parsed.schema === captured.schema && wanted.has(parsed.table);
  };
  /** Reads portions until the slot holds nothing more. */
  const drain = async (): Promise<void> => {
    const reader = await connected();
    await readShapes(reader, captured, shapes);
    for (;;) {
      const end = await peek(reader, slot, async (commitEnd, xid, changes) => {
        if (commitEnd <= lastEnd) return;
        const kept = changes.filter(({ data }) => isCaptured(data));
        for (const { lsn, data } of kept) await write(output, toFileLine([String(commitEnd), xid, lsn, data]));
        lines += kept.length;
        lastEnd = commitEnd;
      });
      if (end === null) return;
      await reader.query('SELECT pg_replication_slot_advance($1, $2::pg_lsn)', [slot, toText(end)]);
    }
  };

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await drain().catch(async (error: unknown) => {
        failures += 1;
        if (isFinal(error)) throw error;
        await disconnect();
      });
      await sleep(options.everyMs ?? 1000, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  loop.catch(() => undefined);

  /** Until it works, or `timeoutMs` have passed. */
  const insist = async <T>(work: () => Promise<T>, timeoutMs: number): Promise<T> => {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        await disconnect();
        if (isFinal(error) || performance.now() > deadline) throw error;
        await sleep(RETRY_MS);
      }
    }
  };
  const readEnd = async (): Promise<bigint> => {
    const url = typeof options.url === 'string' ? options.url : options.url();
    const own = createHistoryClient(url);
    await own.connect();
    try {
      const { rows } = await own.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      return fromText(rows[0]!.lsn);
    } finally {
      await own.end();
    }
  };

  return {
    failures: () => failures,
    mark: () => insist(readEnd, 60_000),
    async stop(timeoutMs = 60_000) {
      stopping.abort();
      await loop;
      const until = await insist(readEnd, timeoutMs);
      await insist(drain, timeoutMs);
      await disconnect();
      await new Promise<void>((resolve, reject) => {
        output.once('error', reject);
        output.end(resolve);
      });
      return { until, lines, changes: () => readChanges(file, shapes) };
    },
    async discard() {
      if (discarded) return;
      discarded = true;
      stopping.abort();
      await loop.catch(() => undefined);
      await disconnect();
      if (!output.writableEnded) await new Promise<void>((resolve) => output.end(() => resolve()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A client that returns the text of values as the history has it. */
export function createHistoryClient(url: string): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    options: SESSION,
    application_name: 'log-history',
    connectionTimeoutMillis: 10_000,
    types: { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig,
  });
  client.on('error', () => undefined);
  return client;
}

/** Trying again cannot help: the slot is gone or invalidated, the plugin or a right is missing, a line cannot be read. */
function isFinal(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  if (/invalidated|can no longer/.test(message)) return true;
  return ['42704', '42501', '58P01', '3D000', '28P01'].includes(code ?? '') || message.startsWith('not a line');
}

/**
 * Gives the transactions of one portion, in the order of their commits, and answers where the last one ends; null when there is none.
 * Only looks: what is read is lost to nobody when the server or the reader dies here.
 */
async function peek(
  client: pg.Client,
  slot: string,
  take: (commitEnd: bigint, xid: number, changes: readonly { lsn: string; data: string }[]) => Promise<void>,
): Promise<bigint | null> {
  let end: bigint | null = null;
  let changes: { lsn: string; data: string }[] = [];
  await client.query('BEGIN READ ONLY');
  try {
    await client.query(
      `DECLARE portion NO SCROLL CURSOR FOR SELECT lsn::text, xid::text, data
       FROM pg_logical_slot_peek_changes(${pg.escapeLiteral(slot)}, NULL, ${PORTION},
         'include-xids', '1', 'include-timestamp', '0', 'skip-empty-xacts', '1')`,
    );
    for (;;) {
      const { rows } = await client.query<{ lsn: string; xid: string; data: string }>(`FETCH ${FETCH} FROM portion`);
      for (const { lsn, xid, data } of rows) {
        if (data.startsWith('BEGIN')) changes = [];
        else if (data.startsWith('table ')) changes.push({ lsn, data });
        else if (data.startsWith('COMMIT')) {
          end = fromText(lsn);
          await take(end, Number(xid), changes);
          changes = [];
        }
      }
      if (rows.length < FETCH) break;
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
  return end;
}

interface TableShape {
  readonly key: readonly string[];
  readonly generated: ReadonlySet<string>;
  /** Computed when they are read: the plugin writes them as null. */
  readonly virtual: ReadonlySet<string>;
}

async function readShapes(client: pg.Client, captured: CapturedTables, shapes: Map<string, TableShape>): Promise<void> {
  const { rows } = await client.query<{
    name: string;
    key: string | null;
    generated: string | null;
    virtual: string | null;
  }>(
    `SELECT c.relname AS name,
       (SELECT json_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum)) FROM pg_index i
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
          WHERE i.indrelid = c.oid AND i.indisprimary)::text AS key,
       (SELECT json_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated = 's')::text AS generated,
       (SELECT json_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated = 'v')::text AS virtual
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
    [captured.schema, captured.tables],
  );
  for (const { name, key, generated, virtual } of rows)
    shapes.set(name, {
      key: JSON.parse(key ?? '[]') as string[],
      generated: new Set(JSON.parse(generated ?? '[]') as string[]),
      virtual: new Set(JSON.parse(virtual ?? '[]') as string[]),
    });
}

async function* readChanges(file: string, shapes: ReadonlyMap<string, TableShape>): AsyncGenerator<HistoryChange> {
  let openEnd = '';
  let ordinal = 0;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    const [end, xid, lsn, line] = JSON.parse(text) as [string, number, string, string];
    if (end !== openEnd) ordinal = 0;
    openEnd = end;
    const parsed = parseHistoryLine(line);
    if (!('table' in parsed)) continue;
    const shape = shapes.get(parsed.table);
    if (shape === undefined) throw new Error(`${parsed.table} is not in the catalog`);
    for (const change of toRowChanges(parsed, shape)) {
      yield {
        commitEnd: BigInt(end),
        lsn: fromText(lsn),
        xid,
        ordinal,
        schema: parsed.schema,
        table: parsed.table,
        ...change,
        generated: shape.generated,
      };
      ordinal += 1;
    }
  }
}

type RowLine = Extract<ReturnType<typeof parseHistoryLine>, { table: string }>;

function toRowChanges(line: RowLine, shape: TableShape): Pick<HistoryChange, 'op' | 'key' | 'before' | 'after'>[] {
  const { schema, table } = line;
  const old = line.old === null ? null : resolve(line.old, null, shape);
  const after = line.new === null ? null : resolve(line.new, old, shape);
  // Left out of an old row: it was null. The new row knows the columns.
  const before =
    old === null || after === null ? old : new Map([...after.keys()].map((name) => [name, old.get(name) ?? null]));
  const keyOf = (cells: Cells | null) =>
    JSON.stringify(Object.fromEntries(shape.key.map((name) => [name, cells?.get(name) ?? null])));
  switch (line.kind) {
    case 'insert':
      return [{ op: 'c', key: keyOf(after), before: null, after }];
    case 'delete':
      return [{ op: 'd', key: keyOf(before), before, after: null }];
    case 'update': {
      if (before === null)
        throw new Error(`${schema}.${table}: an update without its old row; REPLICA IDENTITY FULL is needed`);
      if (keyOf(before) === keyOf(after)) return [{ op: 'u', key: keyOf(after), before, after }];
      return [
        { op: 'd', key: keyOf(before), before, after: null },
        { op: 'c', key: keyOf(after), before: null, after },
      ];
    }
  }
}

function resolve(row: HistoryRow, old: Cells | null, shape: TableShape): Cells {
  const cells = new Map<string, string | null>();
  for (const [name, value] of row) {
    if (shape.virtual.has(name)) continue;
    if (value !== UNCHANGED) cells.set(name, value);
    else if (old?.has(name)) cells.set(name, old.get(name)!);
    else throw new Error(`an unchanged value without its old one in column ${name}; REPLICA IDENTITY FULL is needed`);
  }
  return cells;
}

/** One line: to the reader of lines these two end one as well. */
function toFileLine(content: readonly unknown[]): string {
  const text = JSON.stringify(content).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  return `${text}\n`;
}

async function write(output: WriteStream, text: string): Promise<void> {
  if (!output.write(text)) await new Promise<void>((resolve) => output.once('drain', () => resolve()));
}

function fromText(lsn: string): bigint {
  const [high, low] = lsn.split('/');
  return BigInt(`0x${high}`) * 0x1_0000_0000n + BigInt(`0x${low}`);
}

function toText(lsn: bigint): string {
  return `${(lsn / 0x1_0000_0000n).toString(16)}/${(lsn % 0x1_0000_0000n).toString(16)}`;
}
