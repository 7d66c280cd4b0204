// The verdict on a chaos run: the log against the database's own history, the new tables against the SQL oracle and against verify.
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { topicOf } from '../../runtime/config.ts';
import type { History, HistoryChange } from '../oracle/log-history.ts';
import { compareLog } from '../oracle/log-history-compare.ts';
import { compareRows } from '../support/compare-rows.ts';
import { startCli } from '../support/connector-process.ts';
import { forEachLogRecord, type LogRecord } from '../support/read-log.ts';
import type { World } from './world.ts';

export interface LogVerdict {
  /** Changes that the database's history tells of. */
  readonly changes: number;
  /** Changes that a reader of committed records finds. */
  readonly events: number;
  /** Changes under a type that the registry refused, before their table was read again: not in the log. */
  readonly passedOver: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  /** In the log and not in the history, or with other cells. */
  readonly wrong: number;
  readonly details: readonly string[];
}

/** Where the registry refuses a table: changes committed behind `from`, and no later than `until`. */
export interface RefusedType {
  readonly table: string;
  readonly from: bigint;
  readonly until: bigint;
}

export interface TableVerdict {
  readonly rowsThatDiffer: number;
  readonly details: readonly string[];
}

/** Waits until everything committed by now is applied. Throws after `timeoutSeconds`. */
export async function untilApplied(world: World, timeoutSeconds: number): Promise<void> {
  const wait = startCli(['wait', '--timeout', String(timeoutSeconds)], world.direct.env);
  const code = await wait.ended;
  if (code !== 0) throw new Error(`not everything is applied: ${wait.stderr().trim()}`);
}

/** Compares every row of the new tables, twice: by SQL that shares no code with the mapping, and by `crosswalk verify`. Both sides must be at rest. */
export async function judgeTables(world: World): Promise<TableVerdict> {
  const { legacyUrl, targetUrl, env } = world.direct;
  const differences = await compareRows({ legacyUrl, targetUrl });
  const details = differences.map(({ table, id, kind, column }) => `${table} ${id}: ${kind} ${column ?? ''}`);
  const verify = startCli(['verify', '--json'], env);
  const code = await verify.ended;
  if (code !== 0) details.push(`crosswalk verify ends with ${code} ${verify.stderr().trim()}`);
  return { rowsThatDiffer: details.length, details };
}

/**
 * Compares the log with the history, change by change and cell by cell. Hours of changes do not fit into the memory: they are compared between
 * one of `marks` and the next. Order is looked at over all of them.
 */
export async function judgeLog(
  world: World,
  history: History,
  marks: readonly bigint[],
  refused: readonly RefusedType[],
): Promise<LogVerdict> {
  const { env } = world.direct;
  const addresses = { kafkaBrokers: env.KAFKA_BROKERS!, registryUrl: env.SCHEMA_REGISTRY_URL! };
  const topics = world.config.tables.map((table) => topicOf(world.config, table));
  const bounds = [...marks, history.until];
  const files = bounds.map((_, index) => join(world.dir, `log-${index}`));
  const outputs = files.map((file) => createWriteStream(file));
  const total = { changes: 0, events: 0, passedOver: 0, lost: 0, doubled: 0, outOfOrder: 0, wrong: 0 };
  const details: string[] = [];
  const isRefused = ({ table, commitEnd }: HistoryChange) =>
    refused.some((over) => over.table === table && commitEnd > over.from && commitEnd <= over.until);

  const lastOfPartition = new Map<string, { commitLsn: bigint; ordinal: number }>();
  await forEachLogRecord(addresses, topics, (record) => {
    if (record.value === null || record.value.op === 'r') return;
    const { commitLsn, ordinal } = record.value.source;
    const name = `${record.topic}/${record.partition}`;
    const last = lastOfPartition.get(name);
    if (
      last !== undefined &&
      (commitLsn < last.commitLsn || (commitLsn === last.commitLsn && ordinal < last.ordinal))
    ) {
      total.outOfOrder += 1;
      if (details.length < 20) details.push(`out of order: ${name} offset ${record.offset}`);
    }
    lastOfPartition.set(name, { commitLsn, ordinal });
    const part = bounds.findIndex((bound) => commitLsn < bound);
    outputs[part < 0 ? bounds.length - 1 : part]!.write(`${toLine(record)}\n`);
  });
  await Promise.all(outputs.map((output) => new Promise<void>((resolve) => output.end(resolve))));

  for (const [index, file] of files.entries()) {
    const records: LogRecord[] = [];
    for await (const line of createInterface({ input: createReadStream(file) })) records.push(toRecord(line));
    const from = index === 0 ? 0n : bounds[index - 1]!;
    const found = await compareLog(history, records, { from, until: bounds[index]!, isRefused });
    total.changes += found.changes;
    total.events += found.records;
    total.passedOver += found.passedOver;
    total.lost += found.lost;
    total.doubled += found.doubled;
    total.wrong += found.invented + found.differing;
    details.push(...found.first);
    rmSync(file);
  }
  return { ...total, details };
}

function toLine(record: LogRecord): string {
  const text = JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'bigint' ? { bigint: String(value) } : value,
  );
  return text.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

function toRecord(line: string): LogRecord {
  return JSON.parse(line, (_, value: unknown) => {
    const text = (value as { bigint?: unknown } | null)?.bigint;
    return typeof text === 'string' && Object.keys(value as object).length === 1 ? BigInt(text) : value;
  }) as LogRecord;
}
