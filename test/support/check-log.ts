import type pg from 'pg';
import type { TextRow } from '../../schemas/avro/decode.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import type { Boundary, LogRecord } from './read-log.ts';

/** The rows of every table as the log tells them: replayed in order of offset, which is the order of each key. */
export function replay(log: readonly LogRecord[]): Map<string, Map<string, TextRow>> {
  const tables = new Map<string, Map<string, TextRow>>();
  for (const { key, value } of log) {
    if (value === null) continue;
    let rows = tables.get(value.source.table);
    if (rows === undefined) {
      rows = new Map();
      tables.set(value.source.table, rows);
    }
    if (value.op === 'd') rows.delete(key);
    else rows.set(key, value.after!);
  }
  return tables;
}

/**
 * Where the replayed log and the tables differ, as text; empty when they are the same in every column. The client must have the
 * connector's pinned settings and return text.
 */
export async function findDifferences(
  client: pg.Client,
  log: readonly LogRecord[],
  tables: readonly string[],
): Promise<string[]> {
  const replayed = replay(log);
  const differences: string[] = [];
  for (const table of tables) {
    const { rows: keys } = await client.query<{ name: string }>(
      `SELECT a.attname AS name FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
       WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY k.position`,
      [quoteIdent(table)],
    );
    const { rows } = await client.query<TextRow>(`SELECT * FROM ${quoteIdent(table)}`);
    const left = new Map(replayed.get(table));
    for (const row of rows) {
      const key = JSON.stringify(Object.fromEntries(keys.map(({ name }) => [name, row[name]])));
      const found = left.get(key);
      left.delete(key);
      if (found === undefined) differences.push(`${table} ${key}: not in the log`);
      else {
        const names = new Set([...Object.keys(row), ...Object.keys(found)]);
        for (const name of names)
          if (row[name] !== found[name]) differences.push(`${table} ${key}: column ${name} differs`);
      }
    }
    for (const key of left.keys()) differences.push(`${table} ${key}: only in the log`);
  }
  return differences;
}

/**
 * What is wrong with the log as a log, as text: changes twice, out of order within a key, a delete without its tombstone, a key in two
 * partitions, ordinals with gaps, and boundaries that do not count what is there.
 */
export function findFaults(log: readonly LogRecord[], boundaries: readonly Boundary[]): string[] {
  const faults: string[] = [];
  const identities = new Set<string>();
  const lastOfKey = new Map<string, LogRecord>();
  const transactions = new Map<string, { orders: number[]; ordinals: number[]; collections: Record<string, number> }>();
  for (const record of log) {
    const { topic, key, value } = record;
    const name = `${topic} ${key}`;
    const last = lastOfKey.get(name);
    lastOfKey.set(name, record);
    if (last !== undefined && last.partition !== record.partition) faults.push(`${name}: in two partitions`);
    if (last?.value?.op === 'd' && value !== null) faults.push(`${name}: a delete without its tombstone`);
    if (value === null) {
      if (last?.value?.op !== 'd') faults.push(`${name}: a tombstone without its delete`);
      continue;
    }
    const { source, transaction, op } = value;
    if (last?.value != null && !isBefore(last.value.source, source)) faults.push(`${name}: out of order`);
    const isRead = source.snapshot !== 'false';
    if (last?.value === null && op !== 'c' && !isRead) faults.push(`${name}: ${op} after a delete`);
    if (record.timestampMs !== String(source.tsUs / 1000n)) faults.push(`${name}: not at its commit's time`);
    if (op === 'r' || isRead) {
      // A delete that is read tells of a key that was looked for.
      if (transaction !== null || source.snapshot !== 'incremental') faults.push(`${name}: a read that looks streamed`);
      if (op !== 'r' && op !== 'd') faults.push(`${name}: ${op} looks read`);
      continue;
    }
    const identity = `${source.timeline} ${source.commitLsn} ${source.ordinal}`;
    if (identities.has(identity)) faults.push(`${name}: twice, ${identity}`);
    identities.add(identity);
    if (transaction === null) {
      faults.push(`${name}: without its transaction`);
      continue;
    }
    const of = transactions.get(transaction.id) ?? { orders: [], ordinals: [], collections: {} };
    transactions.set(transaction.id, of);
    of.orders.push(transaction.totalOrder);
    of.ordinals.push(source.ordinal);
    const collection = `${source.schema}.${source.table}`;
    of.collections[collection] = (of.collections[collection] ?? 0) + 1;
    if (transaction.id !== `${source.txId}:${source.commitLsn}`) faults.push(`${name}: another transaction's id`);
  }
  for (const [name, { value }] of lastOfKey)
    if (value?.op === 'd') faults.push(`${name}: a delete without its tombstone`);

  const states = new Map<string, string>();
  for (const { status, id, eventCount, collections } of boundaries) {
    if (status === 'BEGIN' ? states.has(id) : states.get(id) !== 'BEGIN') faults.push(`${id}: ${status} twice`);
    states.set(id, status);
    if (status === 'BEGIN') continue;
    const of = transactions.get(id);
    if (of?.orders.length !== eventCount)
      faults.push(`${id}: ${of?.orders.length ?? 0} events in the log, ${eventCount} said`);
    else if (!isDeepEqual(of.collections, collections)) faults.push(`${id}: other counts by table`);
  }
  for (const [id, { orders, ordinals }] of transactions) {
    if (states.get(id) !== 'END') faults.push(`${id}: no end`);
    if (!isRange(orders, 1)) faults.push(`${id}: total orders are not 1 to ${orders.length}`);
    if (!isRange(ordinals, 0)) faults.push(`${id}: ordinals are not 0 to ${ordinals.length - 1}`);
  }
  return faults;
}

interface Place {
  readonly commitLsn: bigint;
  readonly ordinal: number;
}
function isBefore(left: Place, right: Place): boolean {
  return left.commitLsn < right.commitLsn || (left.commitLsn === right.commitLsn && left.ordinal < right.ordinal);
}

function isRange(numbers: readonly number[], first: number): boolean {
  return [...numbers].sort((a, b) => a - b).every((number, index) => number === first + index);
}

function isDeepEqual(left: Readonly<Record<string, number>>, right: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}
