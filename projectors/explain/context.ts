import type pg from 'pg';
import type { Position } from '../../connectors/position.ts';
import type { Config } from '../../runtime/config.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { addressOf, connect, inTransaction } from '../../runtime/postgres.ts';
import type { Registry } from '../../schemas/avro/registry.ts';
import { createChangeDecoder } from '../decode.ts';
import { defineProjection, type Projection, type Tenants } from '../projection.ts';
import { readPosition } from '../read-position.ts';
import { liveNamespace, searchPathOption } from '../session.ts';
import { type ChainOptions, createEventChain, type EventChain } from './event-chain.ts';
import { type RowsByTable, toAppendedRows, toHistoryInput } from './implied-rows.ts';
import { partitionOfKey, rangeOf, readChanges, readTableLog, type TableLog, toWantedKey } from './read-changes.ts';
import type { Consumption } from './read-target.ts';
import type { SeenValues } from './seen-values.ts';

/** The sources of an explanation. Read-only. */
export interface ExplainContext {
  readonly config: Config;
  readonly kafka: Kafka;
  readonly registry: Registry;
  /** The projections of the working tree. */
  readonly projections: readonly Projection[];
  readonly tenants: Tenants;
  /** Table of rejected values, if there is one. */
  readonly rejects: string | undefined;
  /** Alternative values of each tenant setting, used to find what depends on a setting. */
  readonly otherSettings: Readonly<Record<string, readonly unknown[]>>;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface ExplainOptions {
  readonly unmask: boolean;
  /** Reads everything, even if that is much. */
  readonly full: boolean;
  /** Only changes committed since then, in milliseconds since 1970. */
  readonly sinceMs: number | null;
  /** Most events of a chain, and most rows of a list, in the output. */
  readonly limit: number;
}

/** Runs `work` on one snapshot of the target database. Throws a CrosswalkError that names the database. */
export async function withSnapshot<T>(config: Config, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  const url = config.targetUrl();
  try {
    const client = await connect(url, 'explain', searchPathOption(liveNamespace(config.targetSchema)));
    try {
      return await inTransaction(client, () => work(client), 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    } finally {
      await client.end();
    }
  } catch (error) {
    throw toCrosswalkError(error, `target database ${addressOf(url)}`);
  }
}

/** The connector's stored position. Throws a CrosswalkError that names Kafka. */
export async function readLogEnd({ kafka, config }: ExplainContext): Promise<Position | null> {
  return await readPosition(kafka, config).catch((error: unknown) => {
    throw toCrosswalkError(error, `Kafka ${kafka.brokers}`);
  });
}

/** Finds the log of a legacy table. Throws a CrosswalkError. */
export async function findLog(
  context: ExplainContext,
  table: string,
  position: Position | null,
  { sinceMs }: ExplainOptions,
): Promise<TableLog> {
  return await readTableLog(context, table, position, sinceMs).catch((error: unknown) => {
    throw toCrosswalkError(error, `Kafka ${context.kafka.brokers}`);
  });
}

/** A legacy key whose events are to be read, and what to find out about them. */
export interface ChainRequest {
  readonly legacyKey: string;
  readonly consumption: Consumption;
  readonly impliedBy: (row: Parameters<Projection['map']>[0] | null) => RowsByTable;
  /** Histories whose additions are included. */
  readonly histories: readonly {
    readonly projection: Projection;
    readonly only?: (rows: RowsByTable) => RowsByTable;
  }[];
  readonly isWanted: ChainOptions['isWanted'];
}

/** A chain with the range it was read from. */
export interface ReadChain {
  readonly legacyTable: string;
  readonly legacyKey: string;
  readonly chain: EventChain;
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
  readonly isWhole: boolean;
}

/** Most events kept in all chains together. */
const MOST_EVENTS = 20_000;

/** Reads the chains of keys of one legacy table, in one pass over the partitions that they hash to. */
export async function readChains(
  context: ExplainContext,
  log: TableLog,
  requests: readonly ChainRequest[],
  options: ExplainOptions,
  seen: SeenValues,
): Promise<ReadChain[]> {
  const { kafka, registry, tenants, signal, onProgress } = context;
  const limit = Math.max(1, Math.min(options.limit, Math.floor(MOST_EVENTS / Math.max(1, requests.length))));
  const keys = requests.map(({ legacyKey }) => toWantedKey(log, [legacyKey]));
  const chains = requests.map((request, index): ReadChain => {
    const partition = partitionOfKey(log, keys[index]!);
    const { from, to } = rangeOf(log, partition);
    const isWhole = from === 0n && log.bounds[partition]!.low === 0n;
    const chain = createEventChain({
      limit,
      unmask: options.unmask,
      isWhole,
      progressOf: request.consumption.progressOf,
      impliedBy: request.impliedBy,
      appendedBy: (change, previous) => {
        const input = toHistoryInput(change, previous);
        const all = request.histories.flatMap(({ projection, only }) => {
          // Neither a repair nor the first read of a row adds to a history.
          if (change.repair !== null || (change.op === 'r' && !previous)) return [];
          const rows = toAppendedRows(projection, tenants, input);
          return [...(only?.(rows) ?? rows)];
        });
        return new Map(all);
      },
      isWanted: request.isWanted,
    });
    return { legacyTable: log.table, legacyKey: keys[index]!.legacyKey, chain, partition, from, to, isWhole };
  });
  await readChanges(kafka, log, keys, {
    decoder: createChangeDecoder(readerOf(log.table), registry),
    signal,
    onChange: (index, change) => {
      seen.add(change.before);
      seen.add(change.after);
      chains[index]!.chain.add(change);
    },
    onSample: (change) => seen.add(change.after ?? change.before),
    onProgress,
  });
  return chains;
}

/** A projection that requires nothing: an event is shown even if a column that the mapping needs is missing. */
function readerOf(table: string): Projection {
  return defineProjection({
    ...{ name: 'explain', version: '', source: table, requires: [], reads: [], owned: [], aggregates: [] },
    map: () => ({ rows: {}, contributions: [] }),
  });
}
