import type { LogRecord } from '../support/read-log.ts';
import type { History, HistoryChange } from './log-history.ts';

/** What differs between the log and the database's own history; `first` names some of it and is empty only when all counts of faults are 0. */
export interface LogComparison {
  /** Changes in the history, and in the log: reads of the initial load and tombstones are not among them. */
  readonly changes: number;
  /** Of these, changes that need not be in the log, and are not. */
  readonly passedOver: number;
  readonly records: number;
  /** In the history and not in the log. */
  readonly lost: number;
  /** Again in the log under the same place. */
  readonly doubled: number;
  /** Before an earlier change of its partition or its key, or in another partition than its key's. */
  readonly disordered: number;
  /** In the log and not in the history. */
  readonly invented: number;
  /** In both, with another table, key, kind or cell. */
  readonly differing: number;
  readonly first: readonly string[];
}

type Streamed = LogRecord & { readonly value: NonNullable<LogRecord['value']> };

const NAMED = 20;

/**
 * Compares the changes of the log, in the order of its partitions, with the history. `from`, `until`: positions as `mark` answers them; what
 * was committed outside is left out of both. By default everything until the history ends. Where connector and second slot began at
 * different moments under traffic, `from` must be a mark made after both exist. `tables` leaves others out of both. `isRefused`: a change under a type that the registry
 * refuses: the log must have a delete of it without the old row, and nothing else; what is there of its transaction is numbered without the rest.
 */
export async function compareLog(
  history: History,
  log: readonly LogRecord[],
  options: {
    readonly from?: bigint;
    readonly until?: bigint;
    readonly tables?: readonly string[];
    readonly isRefused?: (change: HistoryChange) => boolean;
  } = {},
): Promise<LogComparison> {
  const { from = 0n, until = history.until } = options;
  const isWanted = (table: string) => options.tables === undefined || options.tables.includes(table);
  const counts = {
    changes: 0,
    passedOver: 0,
    records: 0,
    lost: 0,
    doubled: 0,
    disordered: 0,
    invented: 0,
    differing: 0,
  };
  const first: string[] = [];
  const report = (fault: 'lost' | 'doubled' | 'disordered' | 'invented' | 'differing', name: string, text = '') => {
    counts[fault] += 1;
    if (first.length < NAMED) first.push(`${fault}: ${name}${text === '' ? '' : `: ${text}`}`);
  };

  const commits = new Map<bigint, Map<number, Streamed>>();
  const lastOfPartition = new Map<string, Streamed>();
  const lastOfKey = new Map<string, Streamed>();
  for (const record of log) {
    if (!isStreamed(record) || !isWanted(record.value.source.table)) continue;
    const { commitLsn, ordinal } = record.value.source;
    if (commitLsn < from || commitLsn >= until) continue;
    counts.records += 1;
    let ordinals = commits.get(commitLsn);
    if (ordinals === undefined) {
      ordinals = new Map();
      commits.set(commitLsn, ordinals);
    }
    if (ordinals.has(ordinal)) {
      report('doubled', nameOfRecord(record));
      continue;
    }
    ordinals.set(ordinal, record);
    const partition = `${record.topic}/${record.partition}`;
    const key = `${record.topic} ${record.key}`;
    const sameKey = lastOfKey.get(key);
    if (sameKey !== undefined && sameKey.partition !== record.partition)
      report('disordered', nameOfRecord(record), `its key is in partition ${sameKey.partition} too`);
    else if (isBefore(record, lastOfPartition.get(partition)) || isBefore(record, sameKey))
      report('disordered', nameOfRecord(record), `after a later change`);
    lastOfPartition.set(partition, record);
    lastOfKey.set(key, record);
  }

  const inOrder = [...commits.keys()].sort((left, right) => (left < right ? -1 : 1));
  const invent = (ordinals: Iterable<Streamed>, why: string) => {
    for (const record of ordinals) report('invented', nameOfRecord(record), why);
  };
  let next = 0;
  let previousEnd = 0n;
  let open: { end: bigint; found: Map<number, Streamed>; passedOver: number } | null = null;
  const close = () => {
    if (open === null) return;
    invent(open.found.values(), 'not in its transaction');
    previousEnd = open.end;
    open = null;
  };
  /** The log's part of the transaction whose commit record ends there; what the log holds before it belongs to none. */
  const begin = (change: HistoryChange): Map<number, Streamed> => {
    let found: Map<number, Streamed> | null = null;
    for (; next < inOrder.length && inOrder[next]! < change.commitEnd; next++) {
      const lsn = inOrder[next]!;
      const ordinals = commits.get(lsn)!;
      const [any] = ordinals.values();
      const isIt = found === null && lsn >= previousEnd && lsn > change.lsn && xidOf(any!) === change.xid;
      if (isIt) found = ordinals;
      else invent(ordinals.values(), 'no such commit');
    }
    return found ?? new Map();
  };

  for await (const change of history.changes()) {
    if (change.commitEnd <= from || change.commitEnd > until) continue;
    if (open === null || (open as { end: bigint }).end !== change.commitEnd) {
      close();
      open = { end: change.commitEnd, found: begin(change), passedOver: 0 };
    }
    if (!isWanted(change.table)) continue;
    counts.changes += 1;
    const transaction = open as { found: Map<number, Streamed>; passedOver: number };
    const isRefused = options.isRefused?.(change) ?? false;
    if (isRefused && change.op !== 'd') {
      counts.passedOver += 1;
      transaction.passedOver += 1;
      continue;
    }
    const { found } = transaction;
    const ordinal = change.ordinal - transaction.passedOver;
    const record = found.get(ordinal);
    if (record === undefined) {
      report('lost', nameOfChange(change));
      continue;
    }
    found.delete(ordinal);
    const differences = findDifferences(isRefused ? { ...change, before: null } : change, record);
    if (differences.length > 0) report('differing', nameOfChange(change), differences.join(', '));
  }
  close();
  for (; next < inOrder.length; next++) invent(commits.get(inOrder[next]!)!.values(), 'no such commit');
  return { ...counts, first };
}

function isStreamed(record: LogRecord): record is Streamed {
  return record.value !== null && record.value.op !== 'r';
}

/** 32 bits, as in the history. */
function xidOf({ value }: Streamed): number | null {
  return value.source.txId === null ? null : Number(BigInt.asUintN(32, BigInt(value.source.txId)));
}

function isBefore(record: Streamed, other: Streamed | undefined): boolean {
  if (other === undefined) return false;
  const [left, right] = [record.value.source, other.value.source];
  return left.commitLsn < right.commitLsn || (left.commitLsn === right.commitLsn && left.ordinal < right.ordinal);
}

function findDifferences(change: HistoryChange, { key, value }: Streamed): string[] {
  const differences: string[] = [];
  const { source, op } = value;
  if (source.schema !== change.schema || source.table !== change.table)
    return [`table ${source.schema}.${source.table}`];
  if (op !== change.op) differences.push(`op ${op}`);
  if (key !== change.key) differences.push(`key ${key}`);
  differences.push(...findCells('before', change, value), ...findCells('after', change, value));
  return differences;
}

/** Columns whose cells differ; values are not named, and a column that one side lacks is a difference only where it is not null. */
function findCells(side: 'before' | 'after', change: HistoryChange, value: Streamed['value']): string[] {
  const told = change[side];
  const found = value[side];
  if (told === null || found === null) return (told === null) === (found === null) ? [] : [side];
  const isLeftOut = (name: string) => found[name] === undefined && change.generated.has(name);
  return [...new Set([...told.keys(), ...Object.keys(found)])]
    .filter((name) => (told.get(name) ?? null) !== (found[name] ?? null) && !isLeftOut(name))
    .map((name) => `${side}.${name}`);
}

function nameOfRecord({ topic, partition, offset, key, value }: Streamed): string {
  const { commitLsn, ordinal } = value.source;
  return `${topic}/${partition} offset ${offset}, ${value.op} ${key} at ${toText(commitLsn)}/${ordinal}`;
}

function nameOfChange({ commitEnd, ordinal, schema, table, op, key }: HistoryChange): string {
  return `${op} ${schema}.${table} ${key}, ordinal ${ordinal} of the transaction that ends at ${toText(commitEnd)}`;
}

function toText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}
