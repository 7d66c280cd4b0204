import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import { decodeMessage, MOST_CELL_BYTES, type PgoutputMessage } from '../changes/pgoutput.ts';
import { isBeyondServer } from '../changes/row-bytes.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { addressOf, clientConfig, sourceOptions } from '../runtime/postgres.ts';
import { quoteIdent, quoteLiteral } from '../schemas/quote.ts';
import { createCellCutter } from './cell-cutter.ts';

/** An item of the stream, in server order. `lsn` of a keepalive: everything before it was sent. */
export type StreamItem =
  | { readonly kind: 'message'; readonly lsn: bigint; readonly message: PgoutputMessage }
  | { readonly kind: 'keepalive'; readonly lsn: bigint };

/** A logical replication stream with manual acknowledgement. */
export interface ReplicationStream {
  /**
   * All items received and not taken yet, at least one; null once closed. Items are decoded lazily and can be iterated
   * once. Throws the failure of the stream, after the items before it; the iteration throws for a message that cannot
   * be decoded.
   */
  take(): Promise<Iterable<StreamItem> | null>;
  /** Whether `take` would return immediately. */
  hasItems(): boolean;
  /** The only place that confirms: everything before `lsn` is in Kafka, and so is a position that records it. */
  confirm(lsn: bigint): void;
  close(): Promise<void>;
}

/** The socket is paused above this many bytes received and not taken; as many again are being handled meanwhile. */
const PAUSE_ABOVE_BYTES = 2 * 1024 * 1024;
/** Memory overhead of a message from the socket. */
const RUN_BYTES = 256;
const STATUS_EVERY_MS = 1000;
/** The server releases the slot of a silent reader, for example a frozen connector, after this time. */
const SENDER_TIMEOUT_MS = 5000;

/** Internals of the client library that manual acknowledgement needs. */
interface Connection extends EventEmitter {
  readonly stream: Duplex & { readonly bytesRead: number };
  sendCopyFromChunk(chunk: Buffer): void;
}

/**
 * Starts streaming `slot` from its confirmed position. Resolves once the server streams: from then on this process owns
 * the slot. Throws `slot_busy` (retry) while another reader has it.
 */
export async function createReplicationStream(options: {
  url: string;
  slot: string;
  publication: string;
  /** Additional session settings. */
  settings?: string;
  /** Cells with longer text are reduced to their size. */
  mostCellBytes?: number;
  /** Called for every second in which part of a message arrived, but no whole one. */
  onPart?: () => void;
}): Promise<ReplicationStream> {
  // A timeout of 0 disables the library's own timer, which would confirm what was received instead of what was handled.
  const service = new LogicalReplicationService(
    clientConfig(
      options.url,
      `connector-${options.slot}`,
      `${sourceOptions} -c wal_sender_timeout=${SENDER_TIMEOUT_MS} ${options.settings ?? ''}`.trim(),
    ),
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  let connection: Connection | null = null;
  const { mostCellBytes = MOST_CELL_BYTES } = options;
  const what = `legacy database ${addressOf(options.url)}`;

  /** Whole messages of the stream, as received. */
  let runs: Buffer[] = [];
  let bytes = 0;
  let paused = false;
  let failure: unknown = null;
  let closed = false;
  let confirmed = 0n;
  let wake: () => void = () => undefined;

  let bytesRead = 0;
  let hasPushed = false;
  const push = (run: Buffer) => {
    if (failure !== null) return;
    runs.push(run);
    hasPushed = true;
    bytes += run.length + RUN_BYTES;
    if (!paused && bytes > PAUSE_ABOVE_BYTES) {
      paused = true;
      connection?.stream.pause();
    }
    if (asksReply(run)) sendStatus();
    wake();
  };
  // The first failure is final: nothing after it may be handled, or a later confirmation would cover what was lost.
  const fail = (error: unknown) => {
    failure ??= error;
    wake();
  };
  const sendStatus = (asksReply = false) => {
    if (!closed) connection?.sendCopyFromChunk(toStatusUpdate(confirmed, Date.now(), asksReply));
  };

  const plugin = {
    name: 'pgoutput',
    options: {},
    start: (client: pg.Client, slot: string) => {
      connection = (client as unknown as { connection: Connection }).connection;
      // Nothing is in flight here: the stream is requested in the next line. The library keeps reading the messages
      // that are not part of the stream.
      takeMessages(connection.stream, mostCellBytes, push);
      return client.query(
        `START_REPLICATION SLOT ${quoteIdent(slot)} LOGICAL 0/0 (proto_version '1', publication_names ${quoteLiteral(quoteIdent(options.publication))}, messages 'true')`,
      );
    },
  } as unknown as Parameters<LogicalReplicationService['subscribe']>[0];

  service.on('error', fail);
  await new Promise<void>((resolve, reject) => {
    service.once('start', resolve);
    service.subscribe(plugin, options.slot, '0/0').then(
      () => fail(closed ? null : new CrosswalkError('server_down.stream', `${what}: the server ended the stream`)),
      (error: unknown) => {
        fail(error);
        // A refused start leaves the library's connection open: a standby would accumulate one per attempt.
        if (!closed) void service.stop().catch(() => undefined);
        reject(toStreamError(error, what, options));
      },
    );
  });
  const timer = setInterval(() => {
    // A reply is the only sign of life of a server that reads much and sends nothing for long.
    sendStatus(true);
    const received = connection?.stream.bytesRead ?? 0;
    if (!hasPushed && received > bytesRead) options.onPart?.();
    bytesRead = received;
    hasPushed = false;
  }, STATUS_EVERY_MS);

  return {
    async take() {
      while (runs.length === 0) {
        if (closed) return null;
        if (failure !== null) throw toStreamError(failure, what, options);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const taken = runs;
      runs = [];
      bytes = 0;
      if (paused) {
        paused = false;
        connection?.stream.resume();
      }
      return readItems(taken, mostCellBytes, (error) => toStreamError(error, what, options));
    },
    hasItems: () => runs.length > 0,
    confirm(lsn) {
      if (lsn <= confirmed) return;
      confirmed = lsn;
      sendStatus();
    },
    async close() {
      if (closed) return;
      sendStatus();
      closed = true;
      clearInterval(timer);
      if (paused) connection?.stream.resume();
      wake();
      await service.stop().catch(() => undefined);
      service.removeAllListeners();
    },
  };
}

/** Offsets in a stream message: the kind follows a header of five bytes. */
const KIND_AT = 5;
const WAL_DATA = 0x77;
const KEEPALIVE = 0x6b;
const LSN_AT = KIND_AT + 1;
const REPLY_AT = KIND_AT + 17;
const DATA_AT = KIND_AT + 25;

/** Whether a keepalive among the messages requests a reply. */
function asksReply(run: Buffer): boolean {
  let asks = false;
  for (let at = 0; at < run.length; at += 1 + run.readUInt32BE(at + 1))
    if (run[at + KIND_AT] === KEEPALIVE && run[at + REPLY_AT] === 1) asks = true;
  return asks;
}

/** Decodes stream messages into items. */
function* readItems(
  runs: readonly Buffer[],
  mostCellBytes: number,
  toError: (error: unknown) => CrosswalkError,
): Iterable<StreamItem> {
  for (const run of runs) {
    const view = new DataView(run.buffer, run.byteOffset, run.length);
    let end = 0;
    for (let at = 0; at < run.length; at = end) {
      end = at + 1 + view.getUint32(at + 1);
      const kind = run[at + KIND_AT];
      const lsn = view.getBigUint64(at + LSN_AT);
      // The server's clock is ignored: only the local clock counts.
      if (kind === KEEPALIVE) {
        yield { kind: 'keepalive', lsn };
        continue;
      }
      let message: PgoutputMessage;
      try {
        if (kind !== WAL_DATA) throw new Error(`a message of the stream of kind ${kind}, which nobody knows`);
        message = decodeMessage(run, mostCellBytes, at + DATA_AT, end, view);
      } catch (error) {
        throw toError(error);
      }
      yield { kind: 'message', lsn, message };
    }
  }
}

/** Takes the stream's messages from a socket and passes the others to its previous listeners. */
function takeMessages(stream: Duplex, mostCellBytes: number, onRun: (run: Buffer) => void): void {
  const readers = stream.listeners('data') as ((chunk: Buffer) => void)[];
  const cut = createCellCutter(mostCellBytes);
  stream.on('data', (chunk: Buffer) => {
    for (const { bytes, isCopied } of cut(chunk)) {
      if (isCopied) onRun(bytes);
      else for (const read of readers) read(bytes);
    }
  });
  for (const reader of readers) stream.removeListener('data', reader);
}

function toStreamError(error: unknown, what: string, options: { slot: string; publication: string }): CrosswalkError {
  const code = (error as { code?: string } | null)?.code;
  const message = String((error as Error | null)?.message ?? error).split('\n')[0] ?? '';
  if (code === '55006') {
    return new CrosswalkError('slot_busy', `${what}: replication slot ${options.slot} is in use by another connector`, {
      cause: error,
    });
  }
  if (code === '42704' && message.includes('slot')) {
    return new CrosswalkError('slot_invalid.dropped', `${what}: replication slot ${options.slot} does not exist`, {
      cause: error,
    });
  }
  if (code === '42704') {
    return new CrosswalkError('publication_missing', `${what}: ${message}`, { cause: error });
  }
  if (/can no longer (get changes|access)|has been invalidated/.test(message)) {
    return new CrosswalkError('slot_invalid.invalidated', `${what}: ${message}`, { cause: error });
  }
  // Without an LSN the error is not about a change: PostgreSQL has also run out of memory over other transactions'
  // invalidations.
  const place = /[0-9A-F]{1,8}\/[0-9A-F]{1,8}/.exec(String((error as { where?: unknown } | null)?.where))?.[0];
  if (isBeyondServer(error) && place !== undefined) {
    return new CrosswalkError(
      'change_too_large',
      `${what}: the server cannot send the change at ${place}: its old and new row take more than 1 GB as text (${message})`,
      { cause: error },
    );
  }
  return toCrosswalkError(error, what);
}

/** Standby status update: written, flushed and applied up to `lsn`. */
export function toStatusUpdate(lsn: bigint, nowMs: number, asksReply = false): Buffer {
  const update = Buffer.alloc(34);
  update.writeUInt8(0x72, 0);
  update.writeBigUInt64BE(lsn, 1);
  update.writeBigUInt64BE(lsn, 9);
  update.writeBigUInt64BE(lsn, 17);
  update.writeBigInt64BE(BigInt(nowMs - 946_684_800_000) * 1000n, 25);
  update.writeUInt8(asksReply ? 1 : 0, 33);
  return update;
}
