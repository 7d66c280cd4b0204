import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type ColumnTypes, readColumnTypes } from './insert-rows.ts';
import { createRandom } from './random.ts';
import type { PlantedReject } from './rows/row.ts';
import type { Transaction } from './traffic/change.ts';
import { type KnownRows, moveOn, observe } from './traffic/known-rows.ts';
import { nextAction } from './traffic/next-action.ts';
import { readKnownRows } from './traffic/read-known-rows.ts';
import { createRejectLedger, type RejectLedger } from './traffic/reject-ledger.ts';
import { countChange, createTally, parseLsn, type Tally, type TrafficReport } from './traffic/report.ts';
import { writeChange } from './traffic/write-changes.ts';

export type { TrafficReport } from './traffic/report.ts';

const TABLES = [
  'workspaces',
  'status_options',
  'contacts',
  'quotes',
  'messages',
  'appointments',
  'opportunities',
  'orders',
  'campaigns',
  'campaign_subscribers',
  'clients',
  'leads',
];

// unique_violation, foreign_key_violation, deadlock_detected, serialization_failure: a conflict with another writer.
const CONFLICTS = ['23505', '23503', '40P01', '40001'];

/** Options of the simulated legacy application. */
export interface TrafficOptions {
  /** The legacy database, with a role that may write: a URL, or a function that returns the connection settings. */
  readonly url: string | (() => pg.ClientConfig);
  readonly seed: string | number;
  /** Average rate over all connections in row changes per second; Infinity: as fast as possible. */
  readonly changesPerSecond: number;
  /** Stops after at least this many row changes. */
  readonly stopAfter?: { readonly changes: number };
  /** Uses only these workspaces and creates none. */
  readonly tenants?: readonly string[];
  /** Number of parallel connections, 2 by default. */
  readonly connections?: number;
  /** Maximum number of rows that one bulk statement changes, 500 by default. */
  readonly largestTransaction?: number;
  /** Plant values in new rows that must be rejected; off by default. */
  readonly plantRejects?: boolean;
  /** The rejects that the database already holds. The report states which remain. */
  readonly planted?: readonly PlantedReject[];
  /** Name of the run: the same seed, run and starting rows produce the same actions. The start time by default. */
  readonly run?: string;
}

/** A running legacy application. */
export interface Traffic {
  /** Resolves when the traffic ends or is stopped; rejects when it fails. */
  readonly done: Promise<TrafficReport>;
  /** Lets running transactions finish, starts no more, and resolves with the report. */
  stop(): Promise<TrafficReport>;
  /** Committed changes so far. */
  progress(): { readonly rowChanges: number; readonly transactions: number };
}

interface Run {
  readonly options: TrafficOptions;
  readonly types: ReadonlyMap<string, ColumnTypes>;
  readonly tally: Tally;
  readonly ledger: RejectLedger;
  readonly stopping: AbortSignal;
}

/** Starts the legacy application on any database with the legacy schema, empty or not. */
export function startTraffic(options: TrafficOptions): Traffic {
  const tally = createTally();
  const stopping = new AbortController();
  const done = work(options, tally, stopping);
  // A caller that only calls stop() later still gets the failure; until then it must not end the process.
  done.catch(() => undefined);
  return {
    done,
    stop: () => {
      stopping.abort();
      return done;
    },
    progress: () => ({ rowChanges: tally.rowChanges, transactions: tally.transactions }),
  };
}

async function work(options: TrafficOptions, tally: Tally, stopping: AbortController): Promise<TrafficReport> {
  const connections = options.connections ?? 2;
  const clients = Array.from({ length: connections }, () => createClient(options.url));
  const startMs = performance.now();
  try {
    await Promise.all(clients.map((client) => client.connect()));
    const first = clients[0]!;
    const types = await readColumnTypes(first, TABLES);
    const clock = await first.query<{ us: string }>(
      `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS us`,
    );
    const clockUs = Number(clock.rows[0]!.us);
    const known = await readKnownRows(first, {
      seed: String(options.seed),
      run: options.run ?? String(clockUs),
      connections,
      tenants: options.tenants ?? null,
      plantRejects: options.plantRejects ?? false,
      largestTransaction: options.largestTransaction ?? 500,
      clockUs,
    });
    const ledger = createRejectLedger(options.planted ?? []);
    const run: Run = { options, types, tally, ledger, stopping: stopping.signal };
    const lanes = clients.map((client, lane) =>
      workLane(run, client, known[lane]!, shareOf(options.stopAfter?.changes, lane, connections), connections),
    );
    // One failed connection stops the others. None is closed while it still writes.
    for (const lane of lanes) lane.catch(() => stopping.abort());
    await Promise.allSettled(lanes);
    await Promise.all(lanes);
    const end = await first.query<{ lsn: string }>(`SELECT pg_current_wal_lsn()::text AS lsn`);
    return {
      ...tally,
      plantedRejects: ledger.all(),
      lastLsn: parseLsn(end.rows[0]!.lsn),
      elapsedMs: performance.now() - startMs,
    };
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
}

async function workLane(run: Run, client: pg.Client, known: KnownRows, most: number, lanes: number): Promise<void> {
  const { options, tally, stopping } = run;
  const random = createRandom(known.setting.seed);
  const changesPerMs = options.changesPerSecond / 1000 / lanes;
  const largest = known.largestTransaction;
  const startMs = performance.now();
  let changes = 0;
  while (!stopping.aborted && changes < most) {
    known.largestTransaction = Math.max(1, Math.min(largest, most - changes));
    const action = nextAction(random, known);
    let committed = 0;
    for (const transaction of action.transactions) {
      const rows = await runTransaction(run, client, known, transaction);
      if (rows === null) break;
      committed++;
      changes += rows;
      // Due times count from the start, not from the last change: a late transaction does not lower the rate.
      const waitMs = startMs + changes / changesPerMs - performance.now();
      if (waitMs > 0) await sleep(waitMs, undefined, { signal: stopping }).catch(() => undefined);
    }
    if (committed === action.transactions.length) tally.actions[action.name] = (tally.actions[action.name] ?? 0) + 1;
    moveOn(known, action);
  }
}

/** Runs and counts one transaction. Returns its row changes, or null if it was rolled back. */
async function runTransaction(
  run: Run,
  client: pg.Client,
  known: KnownRows,
  { changes, rollback }: Transaction,
): Promise<number | null> {
  const { tally, ledger, types } = run;
  const rows: number[] = [];
  try {
    await client.query('BEGIN');
    for (const change of changes) rows.push(await writeChange(client, types, change));
    await client.query(rollback ? 'ROLLBACK' : 'COMMIT');
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !CONFLICTS.includes(error.code ?? '')) {
      throw new Error(`legacy traffic: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    await client.query('ROLLBACK');
    tally.conflicts++;
    return null;
  }
  if (rollback) {
    tally.rolledBack++;
    return null;
  }
  tally.transactions++;
  for (const [i, change] of changes.entries()) {
    countChange(tally, change, rows[i]!);
    observe(known, change);
    ledger.apply(change);
  }
  return rows.reduce((sum, count) => sum + count, 0);
}

function createClient(url: TrafficOptions['url']): pg.Client {
  const config = typeof url === 'string' ? { connectionString: url, application_name: 'legacy traffic' } : url();
  const client = new pg.Client(config);
  // A lost connection fails the pending query. Without a listener, the error event would end the process.
  client.on('error', () => undefined);
  return client;
}

function shareOf(changes: number | undefined, lane: number, lanes: number): number {
  if (changes === undefined) return Number.POSITIVE_INFINITY;
  return Math.floor(changes / lanes) + (lane < changes % lanes ? 1 : 0);
}
