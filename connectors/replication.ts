import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { addressOf, clientConfig, sourceOptions } from '../runtime/postgres.ts';
import { quoteIdent, quoteLiteral } from '../schemas/quote.ts';
import { createCellCutter } from './cell-cutter.ts';
import { parseLsn } from './lsn.ts';
import { decodeMessage, MOST_CELL_BYTES, type PgoutputMessage } from './pgoutput.ts';
import { isBeyondServer } from './row-bytes.ts';

/** What the stream delivers, in the order of the server. `lsn` of a keepalive: everything before it has been sent. */
export type StreamItem =
  | { readonly kind: 'message'; readonly lsn: bigint; readonly message: PgoutputMessage }
  | { readonly kind: 'keepalive'; readonly lsn: bigint };

/** A logical replication stream with manual acknowledgement. */
export interface ReplicationStream {
  /** All items received and not taken yet, at least one; null once closed. Throws what broke the stream, after the items before it. */
  take(): Promise<readonly StreamItem[] | null>;
  /** Whether `take` would answer at once. */
  hasItems(): boolean;
  /** The only place that confirms: everything before `lsn` is in Kafka, and so is a position that says so. */
  confirm(lsn: bigint): void;
  close(): Promise<void>;
}

/** Bytes received and not taken, above which the socket is left unread: as much again is being handled meanwhile. */
const PAUSE_ABOVE_BYTES = 4 * 1024 * 1024;
/** What an item takes in memory beside what was received. */
const ITEM_BYTES = 256;
const STATUS_EVERY_MS = 1000;
/** How long the server keeps the slot for a reader that says nothing: a frozen connector gives it up after that. */
const SENDER_TIMEOUT_MS = 5000;

/** The parts of the library that it keeps to itself and that manual acknowledgement needs. */
interface Internals {
  _connection: {
    stream: { pause(): void; resume(): void; bytesRead: number };
    sendCopyFromChunk(chunk: Buffer): void;
  } | null;
}

/**
 * Starts streaming `slot` from its confirmed position. Resolves once the server streams: then this process owns the slot.
 * Throws `slot_busy` (retry) while another reader has it.
 */
export async function createReplicationStream(options: {
  url: string;
  slot: string;
  publication: string;
  /** Of cells whose text takes more only the size is read. */
  mostCellBytes?: number;
  /** Called every second in which a part of a message came, and no whole one. */
  onPart?: () => void;
}): Promise<ReplicationStream> {
  // With a timeout of 0 the library's own timer never runs: it would confirm what was received, not what was handled.
  const service = new LogicalReplicationService(
    clientConfig(
      options.url,
      `connector-${options.slot}`,
      `${sourceOptions} -c wal_sender_timeout=${SENDER_TIMEOUT_MS}`,
    ),
    {
      acknowledge: { auto: false, timeoutSeconds: 0 },
    },
  );
  const internals = service as unknown as Internals;
  const { mostCellBytes = MOST_CELL_BYTES } = options;
  const what = `legacy database ${addressOf(options.url)}`;

  let items: StreamItem[] = [];
  let bytes = 0;
  let paused = false;
  let failure: unknown = null;
  let closed = false;
  let confirmed = 0n;
  let wake: () => void = () => undefined;

  let bytesRead = 0;
  let hasPushed = false;
  const push = (item: StreamItem, size: number) => {
    items.push(item);
    hasPushed = true;
    bytes += size + ITEM_BYTES;
    if (!paused && bytes > PAUSE_ABOVE_BYTES) {
      paused = true;
      internals._connection?.stream.pause();
    }
    wake();
  };
  // The first failure decides: nothing behind it may be handled, or a later confirmation would cover what was lost.
  const fail = (error: unknown) => {
    failure ??= error;
    wake();
  };
  const sendStatus = () => {
    if (!closed) internals._connection?.sendCopyFromChunk(toStatusUpdate(confirmed, Date.now()));
  };

  const plugin = {
    name: 'pgoutput',
    options: {},
    parse: (buffer: Buffer) => {
      try {
        return { message: decodeMessage(buffer, mostCellBytes), size: buffer.length };
      } catch (error) {
        return { error, size: 0 };
      }
    },
    start: (client: pg.Client, slot: string) => {
      // Here nothing is on its way: the server is asked for the stream in the next line.
      cutCells((client as unknown as { connection: { stream: Duplex } }).connection.stream, mostCellBytes);
      return client.query(
        `START_REPLICATION SLOT ${quoteIdent(slot)} LOGICAL 0/0 (proto_version '1', publication_names ${quoteLiteral(quoteIdent(options.publication))}, messages 'true')`,
      );
    },
  } as unknown as Parameters<LogicalReplicationService['subscribe']>[0];

  service.on('data', (lsn: string, parsed: { message?: PgoutputMessage; error?: unknown; size: number }) => {
    if (failure !== null) return;
    if (parsed.message === undefined) fail(parsed.error);
    else push({ kind: 'message', lsn: parseLsn(lsn), message: parsed.message }, parsed.size);
  });
  // The server's time is left alone: the library of this version gives it a week early.
  service.on('heartbeat', (lsn: string, _serverTimeMs: number, shouldRespond: boolean) => {
    if (failure === null) push({ kind: 'keepalive', lsn: parseLsn(lsn) }, 0);
    if (shouldRespond) sendStatus();
  });
  service.on('error', fail);

  await new Promise<void>((resolve, reject) => {
    service.once('start', resolve);
    service.subscribe(plugin, options.slot, '0/0').then(
      () =>
        fail(
          closed
            ? null
            : new CrosswalkError('server_down', `${what}: the server ended the stream`, 'It is opened again.'),
        ),
      (error: unknown) => {
        fail(error);
        // A refused start leaves the library's connection open: one would pile up for each attempt of a standby.
        if (!closed) void service.stop().catch(() => undefined);
        reject(toStreamError(error, what, options));
      },
    );
  });
  const timer = setInterval(() => {
    sendStatus();
    const received = internals._connection?.stream.bytesRead ?? 0;
    if (!hasPushed && received > bytesRead) options.onPart?.();
    bytesRead = received;
    hasPushed = false;
  }, STATUS_EVERY_MS);

  return {
    async take() {
      while (items.length === 0) {
        if (closed) return null;
        if (failure !== null) throw toStreamError(failure, what, options);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const taken = items;
      items = [];
      bytes = 0;
      if (paused) {
        paused = false;
        internals._connection?.stream.resume();
      }
      return taken;
    },
    hasItems: () => items.length > 0,
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
      if (paused) internals._connection?.stream.resume();
      wake();
      await service.stop().catch(() => undefined);
      service.removeAllListeners();
    },
  };
}

/** Puts the cutter between a socket and those who read it. */
function cutCells(stream: Duplex, mostCellBytes: number): void {
  const readers = stream.listeners('data') as ((chunk: Buffer) => void)[];
  const cut = createCellCutter(mostCellBytes);
  stream.on('data', (chunk: Buffer) => {
    for (const part of cut(chunk)) for (const read of readers) read(part);
  });
  for (const reader of readers) stream.removeListener('data', reader);
}

function toStreamError(error: unknown, what: string, options: { slot: string; publication: string }): CrosswalkError {
  const code = (error as { code?: string } | null)?.code;
  const message = String((error as Error | null)?.message ?? error).split('\n')[0] ?? '';
  if (code === '55006') {
    return new CrosswalkError(
      'slot_busy',
      `${what}: replication slot ${options.slot} is in use by another connector`,
      'This one stands by until the slot is free.',
      error,
    );
  }
  if (code === '42704' && message.includes('slot')) {
    return new CrosswalkError(
      'slot_invalid',
      `${what}: replication slot ${options.slot} does not exist`,
      'If it was dropped, changes may be lost: docs/operations.md, "A lost slot".',
      error,
    );
  }
  if (code === '42704') {
    return new CrosswalkError(
      'publication_missing',
      `${what}: ${message}`,
      'Run `crosswalk migrate up` with LEGACY_OWNER_URL: it creates the publication.',
      error,
    );
  }
  if (/can no longer (get changes|access)|has been invalidated/.test(message)) {
    return new CrosswalkError(
      'slot_invalid',
      `${what}: ${message}`,
      'The slot was invalidated and changes are lost: docs/operations.md, "A lost slot".',
      error,
    );
  }
  // Where no place is named it is not about a change: PostgreSQL has also run out of memory over what other transactions invalidated.
  const place = /[0-9A-F]{1,8}\/[0-9A-F]{1,8}/.exec(String((error as { where?: unknown } | null)?.where))?.[0];
  if (isBeyondServer(error) && place !== undefined) {
    return new CrosswalkError(
      'change_too_large',
      `${what}: the server cannot send the change at ${place}: its old and new row take more than 1 GB as text (${message})`,
      '`crosswalk resnapshot --skip` moves the slot past it, and reads every table again: docs/operations.md, "Rows and transactions that are too large".',
      error,
    );
  }
  return toCrosswalkError(error, what);
}

/** Standby status update: written, flushed and applied up to `lsn`; no reply asked. */
export function toStatusUpdate(lsn: bigint, nowMs: number): Buffer {
  const update = Buffer.alloc(34);
  update.writeUInt8(0x72, 0);
  update.writeBigUInt64BE(lsn, 1);
  update.writeBigUInt64BE(lsn, 9);
  update.writeBigUInt64BE(lsn, 17);
  update.writeBigInt64BE(BigInt(nowMs - 946_684_800_000) * 1000n, 25);
  update.writeUInt8(0, 33);
  return update;
}
