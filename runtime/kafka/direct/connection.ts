import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { KafkaSettings } from '../../config.ts';
import { KafkaConnectionError } from './broker-errors.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { Api } from './requests.ts';
import { logIn } from './sasl.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const CONNECT_MS = 5000;
const KEEP_ALIVE_MS = 60_000;
/** A larger length is not a Kafka response: the first bytes of a TLS broker look like such a number. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
const SMALL_BYTES = 16_384;
const CLIENT_ID = 'crosswalk';

interface Waiting {
  readonly decode: (reader: ByteReader) => unknown;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** A connection to one broker. Responses come in the order of requests. After any failure it is closed, and all pending requests are rejected with a KafkaConnectionError. */
export class Connection {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #head = Buffer.alloc(4);
  #headBytes = 0;
  #frame: Buffer | null = null;
  #frameBytes = 0;
  #lastId = 0;
  #failure: Error | null = null;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('Closed connection')));
  }

  /** Opens a connection and logs in; both together must not take longer than `CONNECT_MS`. */
  static async open({ host, port }: Address, settings: KafkaSettings): Promise<Connection> {
    const name = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
    // The certificate is checked against the host, which cannot be sent as a server name if it is an IP address.
    const socket = settings.tls
      ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) })
      : connectTcp({ host, port });
    const opened = Promise.withResolvers<void>();
    socket.once(settings.tls ? 'secureConnect' : 'connect', () => opened.resolve());
    socket.once('error', opened.reject);
    socket.once('close', () => opened.reject(new Error('Closed connection')));
    const timer = setTimeout(() => socket.destroy(new Error('Connection timeout')), CONNECT_MS);
    try {
      await opened.promise;
      const connection = new Connection(socket, name);
      if (settings.sasl) await logIn((api, asked) => connection.ask(api, asked, CONNECT_MS), settings.sasl);
      return connection;
    } catch (error) {
      socket.on('error', () => undefined);
      socket.destroy();
      throw error instanceof KafkaConnectionError || (error as { type?: unknown }).type !== undefined
        ? error
        : toConnectionError(name, error);
    } finally {
      clearTimeout(timer);
    }
  }

  get isOpen(): boolean {
    return this.#failure === null;
  }

  /** Rejects with a KafkaConnectionError if there is no response within `timeoutMs`: the outcome of earlier pending requests is then unknown, too. */
  ask<A, R>(api: Api<A, R>, asked: A, timeoutMs: number): Promise<R> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#lastId = (this.#lastId + 1) & 0x7fffffff;
    const id = this.#lastId;
    const writer = new ByteWriter();
    writer.int16(api.key).int16(api.version).int32(id).text(CLIENT_ID);
    api.encode(writer, asked);
    return new Promise<R>((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new Error(`no answer for ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.set(id, { decode: api.decode, resolve: resolve as (answer: unknown) => void, reject, timer });
      this.#write(writer.finish());
    });
  }

  close(): void {
    this.#fail(new Error('Closed connection'));
  }

  /** Sends in one piece if that costs less than several. */
  #write(parts: readonly Buffer[]): void {
    if (parts.reduce((sum, { length }) => sum + length, 0) <= SMALL_BYTES) {
      this.#socket.write(Buffer.concat(parts));
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  #read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && this.#failure === null; ) {
      if (this.#frame === null) {
        const taken = chunk.copy(this.#head, this.#headBytes, at);
        at += taken;
        this.#headBytes += taken;
        if (this.#headBytes < 4) return;
        this.#headBytes = 0;
        const size = this.#head.readInt32BE();
        if (size < 4 || size > MAX_ANSWER_BYTES) {
          this.#fail(new Error('the answer is not of Kafka without TLS: does the broker want TLS?'));
          return;
        }
        this.#frame = Buffer.allocUnsafeSlow(size);
        this.#frameBytes = 0;
      }
      const taken = chunk.copy(this.#frame, this.#frameBytes, at);
      at += taken;
      this.#frameBytes += taken;
      if (this.#frameBytes === this.#frame.length) {
        const frame = this.#frame;
        this.#frame = null;
        this.#answer(frame);
      }
    }
  }

  #answer(frame: Buffer): void {
    const id = frame.readInt32BE();
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      this.#fail(new Error('an answer to no request'));
      return;
    }
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    try {
      waiting.resolve(waiting.decode(new ByteReader(frame, 4)));
    } catch (error) {
      waiting.reject(toConnectionError(this.#name, error));
      this.#fail(error as Error);
    }
  }

  #fail(cause: Error): void {
    if (this.#failure !== null) return;
    this.#failure = toConnectionError(this.#name, cause);
    this.#socket.destroy();
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(this.#failure);
    }
    this.#waiting.clear();
    this.#frame = null;
  }
}

function toConnectionError(name: string, cause: unknown): KafkaConnectionError {
  return new KafkaConnectionError(`${name}: ${(cause as Error).message || (cause as { code?: string }).code}`, cause);
}
