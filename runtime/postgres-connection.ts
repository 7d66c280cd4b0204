import type { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls';
import pg from 'pg';
import { CrosswalkError } from './errors.ts';
import type { PostgresAddress } from './postgres-address.ts';

/** What the library's connection is made of, as far as it is changed here. */
interface LibraryConnection extends EventEmitter {
  stream: Socket;
  _connecting: boolean;
  _ending: boolean;
  attachListeners(stream: Socket): void;
  startup(settings: unknown): void;
}
const Library = pg.Connection as unknown as new (config: object) => LibraryConnection;

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const ALPN = 'postgresql';

/** One try: in plain text, in TLS, or in TLS where the server has it. */
type Way = 'plain' | 'tls' | 'tls if there';
const waysOf = {
  disable: ['plain'],
  allow: ['plain', 'tls if there'],
  prefer: ['tls if there', 'plain'],
  require: ['tls'],
  'verify-ca': ['tls'],
  'verify-full': ['tls'],
} as const satisfies Record<string, readonly Way[]>;

interface Message {
  message?: string;
  readonly mechanisms?: readonly string[];
}

/**
 * A connection that agrees on TLS with the server as libpq does, before the library's client, which is told of none, sends its first message. `allow` and `prefer` try the other way, on a new
 * socket, when a handshake fails or the server refuses the session before it is authenticated. Serves one client, once.
 */
export class NegotiatedConnection extends Library {
  readonly #address: PostgresAddress;
  readonly #tls: ConnectionOptions | null;
  #ways: Way[] = [];
  #open: (socket: Socket) => void = () => undefined;
  #inHandshake = false;
  #startup: unknown;
  #refusal: string | null = null;
  #binding: 'none' | 'offered' | 'proven' | 'refused' = 'none';

  constructor(address: PostgresAddress, tls: ConnectionOptions | null) {
    super({});
    this.#address = address;
    this.#tls = tls;
    this.emit = (name: string | symbol, ...values: unknown[]) => this.#emitBeforeSession(name, values);
  }

  /** Called by the client, with a port and a host or with the path of a Unix socket, which TLS is never used on. */
  connect(port: number | string, host?: string): void {
    this._connecting = true;
    this.#ways = typeof port === 'string' ? ['plain'] : [...waysOf[this.#address.tls.mode]];
    this.#open = (socket) =>
      typeof port === 'string' ? socket.connect(port) : socket.connect({ port, ...(host ? { host } : {}) });
    this.#tryNext();
  }

  override startup(settings: unknown): void {
    this.#startup = settings;
    super.startup(settings);
  }

  #tryNext(): void {
    const way = this.#ways.shift()!;
    this.#inHandshake = false;
    this.stream.destroy();
    const socket = new Socket();
    this.#listen(socket);
    socket.setNoDelay(true);
    socket.once('connect', () => {
      const { keepAlive, keepAliveIdleMs, tls } = this.#address;
      if (keepAlive) socket.setKeepAlive(true, keepAliveIdleMs);
      if (way === 'plain') this.#begin(socket);
      else if (tls.negotiation === 'direct') this.#secure(socket);
      else {
        socket.once('data', (answer) => this.#answered(socket, way, answer));
        socket.write(SSL_REQUEST);
      }
    });
    this.#open(socket);
  }

  /** Only the stream in use is heard: what became of an earlier one is no news. */
  #listen(stream: Socket): void {
    this.stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (stream !== this.stream) return;
      if (this.#inHandshake && this.#ways.length > 0 && !this._ending) {
        this.#refusal = error.message;
        this.#tryNext();
      } else if (!(this._ending && (error.code === 'ECONNRESET' || error.code === 'EPIPE'))) this.emit('error', error);
    });
    stream.on('close', () => {
      if (stream === this.stream) this.emit('end');
    });
  }

  /** Exactly one byte, S or N: anything behind it would have been put there by somebody in between. */
  #answered(socket: Socket, way: Way, answer: Buffer): void {
    const text = answer.toString('latin1');
    if (text === 'S') this.#secure(socket);
    else if (text === 'N' && way === 'tls if there') {
      this.#ways = [];
      this.#begin(socket);
    } else {
      const why =
        text === 'N'
          ? 'The server does not support SSL connections'
          : 'Connection terminated: the server answered something else when asked for TLS';
      socket.destroy(new Error(why));
    }
  }

  #secure(socket: Socket): void {
    const isDirect = this.#address.tls.negotiation === 'direct';
    this.#inHandshake = true;
    const stream = connectTls({ ...this.#tls, socket, ...(isDirect ? { ALPNProtocols: [ALPN] } : {}) });
    this.#listen(stream);
    stream.once('secureConnect', () => {
      this.#inHandshake = false;
      if (!isDirect || stream.alpnProtocol === ALPN) this.#begin(stream);
      else
        stream.destroy(
          new Error(
            'The server does not support SSL connections that begin without a question (sslnegotiation=direct)',
          ),
        );
    });
  }

  #begin(stream: Socket): void {
    this.attachListeners(stream);
    if (this.#startup === undefined) this.emit('connect');
    else super.startup(this.#startup);
  }

  /** Looks at what the server says until the session is authenticated; from then on nothing stands in between. */
  #emitBeforeSession(name: string | symbol, values: unknown[]): boolean {
    const message = (values[0] ?? {}) as Message;
    if (name === 'errorMessage') {
      if (this.#ways.length > 0) {
        this.#refusal = message.message ?? null;
        this.#tryNext();
        return true;
      }
      if (this.#refusal !== null && this.#refusal !== message.message)
        message.message = `${this.#refusal}; ${this.stream instanceof TLSSocket ? 'with' : 'without'} TLS: ${message.message}`;
    }
    // What came with the refused message is not heard either: it may end with the news that the session is ready.
    if (this.#binding === 'refused' && name !== 'error' && name !== 'end') return true;
    if (this.#address.channelBinding === 'require' && typeof name === 'string' && name.startsWith('authentication')) {
      if (message.mechanisms?.includes('SCRAM-SHA-256-PLUS')) this.#binding = 'offered';
      else if (name === 'authenticationSASLFinal' && this.#binding === 'offered') this.#binding = 'proven';
      if (this.#binding === 'none' || (name === 'authenticationOk' && this.#binding !== 'proven')) {
        this.#binding = 'refused';
        this.stream.destroy(
          new CrosswalkError(
            'auth_failed.channel_binding',
            'channel_binding=require, and the server authenticates without channel binding',
          ),
        );
        return true;
      }
    }
    if (name === 'authenticationOk') Reflect.deleteProperty(this, 'emit');
    return super.emit(name, ...values);
  }
}
