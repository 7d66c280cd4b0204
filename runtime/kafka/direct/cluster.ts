import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaSettings } from '../../config.ts';
import {
  assertDone,
  isRetriable,
  KafkaConnectionClosed,
  KafkaConnectionError,
  KafkaProtocolError,
} from './broker-errors.ts';
import { type Address, Connection } from './connection.ts';
import { type Api, findCoordinator, metadata } from './requests.ts';

export const REQUEST_MS = 30_000;
/** Attempts to find a broker that responds, and the first pause between them. */
const FIND = { tries: 4, pauseMs: 50 };

/** One partition, as last reported by the brokers. `leader`: -1 if there is none. */
export interface PartitionPlace {
  readonly leader: number;
  readonly replicas: number;
}

/** Connections to the brokers for one purpose, opened when needed, and the known topology. */
export class Cluster {
  readonly settings: KafkaSettings;
  readonly #seeds: readonly Address[];
  #brokers = new Map<number, Address>();
  readonly #topics = new Map<string, readonly PartitionPlace[]>();
  /** By broker and purpose: a broker answers the requests of one connection in order, so a long poll needs its own. */
  readonly #connections = new Map<string, Promise<Connection>>();
  /** The broker that responded last: tried first. */
  #answering: Address | null = null;
  #isClosed = false;

  constructor(settings: KafkaSettings) {
    this.settings = settings;
    this.#seeds = settings.brokers.map(parseAddress);
  }

  async askAny<A, R>(api: Api<A, R>, asked: A): Promise<R> {
    let failure: unknown = new KafkaConnectionError('No broker answers');
    for (let attempt = 1; attempt <= FIND.tries && !this.#isClosed; attempt++) {
      const first = this.#answering === null ? [] : [this.#answering];
      for (const address of [...first, ...this.#seeds, ...this.#brokers.values()]) {
        try {
          const answer = await (await this.#connect(address, '')).ask(api, asked, REQUEST_MS);
          this.#answering = address;
          return answer;
        } catch (error) {
          this.#answering = null;
          failure = error;
          if (!isRetriable(error)) throw error;
        }
      }
      if (attempt < FIND.tries) await sleep(FIND.pauseMs * attempt);
    }
    throw this.#isClosed ? new KafkaConnectionClosed() : failure;
  }

  async ask<A, R>(
    broker: number,
    api: Api<A, R>,
    asked: A,
    options: { lane?: string; timeoutMs?: number } = {},
  ): Promise<R> {
    const address = this.#brokers.get(broker);
    if (address === undefined) throw new KafkaConnectionError(`broker ${broker} is not known`);
    const connection = await this.#connect(address, options.lane ?? '');
    return connection.ask(api, asked, options.timeoutMs ?? REQUEST_MS);
  }

  /** Refreshes brokers and topics; null: all topics. */
  async fetchMetadata(topics: readonly string[] | null) {
    const found = await this.askAny(metadata, topics);
    this.#brokers = new Map(found.brokers.map(({ id, host, port }) => [id, { host, port }]));
    for (const { code, topic, partitions } of found.topics) {
      if (code !== 0) continue;
      const inOrder = [...partitions].sort((a, b) => a.partition - b.partition);
      this.#topics.set(topic, inOrder);
    }
    return found;
  }

  /** Partitions of topics in order, each with a leader. Throws the error that the brokers report for a topic, and LEADER_NOT_AVAILABLE if a partition has no leader. */
  async locate(topics: readonly string[], { isFresh = false } = {}): Promise<Map<string, readonly PartitionPlace[]>> {
    const missing = isFresh ? topics : topics.filter((topic) => !this.#topics.has(topic));
    if (missing.length > 0) {
      for (const topic of missing) this.#topics.delete(topic);
      const found = await this.fetchMetadata(missing);
      for (const { code, topic, partitions } of found.topics) {
        assertDone(code, topic);
        if (partitions.some(({ leader }) => leader < 0)) {
          this.#topics.delete(topic);
          throw new KafkaProtocolError(5, { topic });
        }
      }
    }
    return new Map(
      topics.map((topic) => {
        const partitions = this.#topics.get(topic);
        if (partitions === undefined || partitions.length === 0) throw new KafkaProtocolError(3, { topic });
        return [topic, partitions];
      }),
    );
  }

  /** Drops cached data on these topics, so that it is looked up again. */
  forget(topics: readonly string[]): void {
    for (const topic of topics) this.#topics.delete(topic);
  }

  /** Broker that coordinates a group or a transactional id. */
  async findCoordinator(of: 'group' | 'transaction', key: string): Promise<number> {
    const { code, broker } = await this.askAny(findCoordinator, { key, of });
    assertDone(code);
    this.#brokers.set(broker.id, broker);
    return broker.id;
  }

  close(): void {
    this.#isClosed = true;
    for (const opening of this.#connections.values()) {
      opening.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
    this.#connections.clear();
  }

  async #connect(address: Address, lane: string): Promise<Connection> {
    if (this.#isClosed) throw new KafkaConnectionClosed();
    const key = `${address.host}:${address.port} ${lane}`;
    const known = this.#connections.get(key);
    const usable = await known;
    if (usable?.isOpen) return usable;
    // Another caller may have reopened it meanwhile.
    if (known !== this.#connections.get(key)) return this.#connect(address, lane);
    if (this.#isClosed) throw new KafkaConnectionClosed();
    const opening = Connection.open(address, this.settings);
    this.#connections.set(key, opening);
    try {
      const connection = await opening;
      if (this.#isClosed) connection.close();
      return connection;
    } catch (error) {
      if (this.#connections.get(key) === opening) this.#connections.delete(key);
      throw error;
    }
  }
}

/** `host:port`; IPv6 in brackets. */
function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon);
  return { host: host.startsWith('[') ? host.slice(1, -1) : host, port: Number(text.slice(colon + 1)) };
}

/** Partitions under their topics, as requests have them. */
export function groupByTopic<P, T>(
  items: readonly P[],
  topicOf: (item: P) => string,
  toPartition: (item: P) => T,
): { topic: string; partitions: T[] }[] {
  const groups = Map.groupBy(items, topicOf);
  return [...groups].map(([topic, of]) => ({ topic, partitions: of.map(toPartition) }));
}
