import pg from 'pg';
import { parseLsn } from '../changes/lsn.ts';
import { type Figures, readFigures } from '../projectors/upkeep.ts';
import type { Config } from '../runtime/config.ts';
import { clientConfig } from '../runtime/postgres.ts';
import { rejectsSql } from '../schemas/rejects.ts';
import type { StoredOffset } from './lag.ts';

/** The replication slot on the legacy server. `retainedBytes`: write-ahead log that it retains. */
export interface SlotState {
  readonly active: boolean;
  readonly walStatus: string | null;
  /** Why the server has made it unusable; null while it is usable, and before PostgreSQL 16. */
  readonly invalidation: string | null;
  readonly retainedBytes: bigint | null;
  readonly confirmedLsn: bigint | null;
}

/** The legacy server: its clock (microseconds since 1970), the end of its log, its slot and its statistics. */
export interface LegacyState {
  readonly flushLsn: bigint;
  readonly nowMicros: bigint;
  readonly slot: SlotState | null;
  readonly estimatedRows: Readonly<Record<string, number | null>>;
}

/** State of the projectors in the target database: offsets, and by projection the waiting and failed changes. */
export interface ProjectorsState {
  readonly offsets: readonly StoredOffset[];
  readonly projections: Readonly<Record<string, { parked: number; parkedSeconds: number; deadLetters: number }>>;
}

/** The target database: the projectors' state, and rejected values. */
export interface TargetState extends ProjectorsState {
  readonly rejects: readonly { readonly table: string | null; readonly reason: string; readonly count: number }[];
  /** Of the dashboard; null: never refreshed. */
  readonly figures: Figures | null;
}

const micros = (expression: string) => `(extract(epoch FROM ${expression}) * 1000000)::bigint::text`;

/** Reads the legacy server's side. Throws what the driver throws. */
export async function readLegacy(url: string, config: Config, signal: AbortSignal): Promise<LegacyState> {
  return withClient(url, signal, async (client) => {
    const { rows: server } = await client.query<{ flush: string; now: string }>(
      `SELECT pg_current_wal_flush_lsn()::text AS flush, ${micros('clock_timestamp()')} AS now`,
    );
    const { rows: slots } = await client.query<{
      active: string;
      wal_status: string | null;
      invalidation: string | null;
      confirmed: string | null;
      retained: string | null;
    }>(
      `SELECT active::text, wal_status, coalesce(to_jsonb(s) ->> 'invalidation_reason', CASE WHEN (to_jsonb(s) ->> 'conflicting')::boolean THEN 'conflict' END) AS invalidation,
         confirmed_flush_lsn::text AS confirmed,
         greatest(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn), 0)::bigint::text AS retained
       FROM pg_replication_slots s WHERE slot_name = $1`,
      [config.slot],
    );
    const { rows: tables } = await client.query<{ table: string; estimate: string }>(
      `SELECT c.relname AS table, c.reltuples::bigint::text AS estimate FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
      [config.legacySchema, config.tables],
    );
    const slot = slots[0];
    return {
      flushLsn: parseLsn(server[0]!.flush),
      nowMicros: BigInt(server[0]!.now),
      slot:
        slot === undefined
          ? null
          : {
              active: slot.active === 'true',
              walStatus: slot.wal_status,
              invalidation: slot.invalidation,
              retainedBytes: slot.retained === null ? null : BigInt(slot.retained),
              confirmedLsn: slot.confirmed === null ? null : parseLsn(slot.confirmed),
            },
      estimatedRows: Object.fromEntries(
        tables.map((row) => [row.table, Number(row.estimate) < 0 ? null : Number(row.estimate)]),
      ),
    };
  });
}

/** Reads the target database's side, in one snapshot. Throws what the driver throws. */
export async function readTarget(config: Config, signal: AbortSignal): Promise<TargetState> {
  return withClient(config.targetUrl(), signal, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return {
      ...(await readProjectorsWith(client)),
      rejects: await readRejects(client, config),
      figures: await readFigures(client),
    };
  });
}

/** Kinds of rejects, the most frequent ones first. */
async function readRejects(
  client: pg.ClientBase,
  { targetSchema, rejectsTables }: Config,
): Promise<TargetState['rejects']> {
  if (rejectsTables.length === 0) return [];
  const { rows } = await client.query<{ table: string | null; reason: string; count: string }>(
    `SELECT legacy_table AS table, reason, count(*)::text FROM ${rejectsSql(rejectsTables, ['legacy_table', 'reason'], targetSchema)} GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2`,
  );
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}

/** Reads the projectors' own state alone. Throws what the driver throws. */
export async function readProjectors(url: string, signal: AbortSignal): Promise<ProjectorsState> {
  return withClient(url, signal, readProjectorsWith);
}

async function readProjectorsWith(client: pg.Client): Promise<ProjectorsState> {
  const { rows: offsets } = await client.query<
    Record<'projection' | 'topic' | 'partition' | 'next', string> & { committed: string | null }
  >(
    `SELECT projection, topic, partition::text, next_offset::text AS next, ${micros('source_committed_at')} AS committed FROM crosswalk.consumer_offset`,
  );
  const { rows: parked } = await client.query<Record<'projection' | 'count' | 'seconds', string>>(
    `SELECT projection, count(*)::text, greatest(extract(epoch FROM clock_timestamp() - min(parked_at)), 0)::text AS seconds
       FROM crosswalk.parked_change GROUP BY 1`,
  );
  const { rows: dead } = await client.query<Record<'projection' | 'count', string>>(
    'SELECT projection, count(*)::text FROM crosswalk.dead_letter WHERE resolved_at IS NULL GROUP BY 1',
  );
  const names = new Set([...parked, ...dead].map((row) => row.projection));
  return {
    offsets: offsets.map((row) => ({
      projection: row.projection,
      topic: row.topic,
      partition: Number(row.partition),
      nextOffset: BigInt(row.next),
      committedMicros: row.committed === null ? null : BigInt(row.committed),
    })),
    projections: Object.fromEntries(
      [...names].map((name) => {
        const waiting = parked.find((row) => row.projection === name);
        return [
          name,
          {
            parked: Number(waiting?.count ?? 0),
            parkedSeconds: Number(waiting?.seconds ?? 0),
            deadLetters: Number(dead.find((row) => row.projection === name)?.count ?? 0),
          },
        ];
      }),
    ),
  };
}

/** A connection for one check. When the signal is raised its socket is destroyed, so that a hanging server does not keep the process from ending. */
async function withClient<T>(url: string, signal: AbortSignal, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...clientConfig(url, 'status', '-c statement_timeout=4500') });
  client.on('error', () => undefined);
  const cut = () => (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  signal.addEventListener('abort', cut, { once: true });
  try {
    await client.connect();
    return await work(client);
  } finally {
    signal.removeEventListener('abort', cut);
    client.end().catch(() => undefined);
  }
}
