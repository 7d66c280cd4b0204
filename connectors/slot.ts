import pg from 'pg';
import { parseLsn } from '../changes/lsn.ts';
import { type Config, positionTopicOf } from '../runtime/config.ts';
import type { PlainCode } from '../runtime/error-codes.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf, clientConfig } from '../runtime/postgres.ts';
import { quoteIdent } from '../schemas/quote.ts';
import { type Binding, decodePosition, type ServerState, type TimelineSwitch } from './position.ts';
import { parseTimelineHistory } from './timeline.ts';

/** First version that can synchronize a slot to standbys. */
const FAILOVER_VERSION = 170_000;

/** A row of `pg_replication_slots`; versions before 17 lack the optional columns. */
interface SlotRow {
  readonly slot_type: 'logical' | 'physical';
  readonly plugin: string | null;
  readonly database: string | null;
  readonly active: boolean;
  readonly confirmed_flush_lsn: string | null;
  readonly wal_status: string | null;
  readonly failover?: boolean;
  readonly invalidation_reason?: string | null;
}

/** Creates the slot on the first start. A missing slot with a stored position means lost changes. */
export async function ensureSlot(
  client: pg.ClientBase,
  kafka: Kafka,
  config: Config,
  bound: Binding,
  log: Log,
): Promise<void> {
  const slot = await readSlotRow(client, config.slot);
  const canFailOver = (await readVersion(client)) >= FAILOVER_VERSION;
  if (slot !== null) {
    assertUsable(slot, config.slot, bound.database);
    if (canFailOver && slot.failover === false && !slot.active && (await enableFailover(config)))
      log.info({ slot: config.slot }, 'the replication slot is kept on standbys from now on');
    return;
  }
  const record = await kafka.readLast(positionTopicOf(config), config.slot);
  if (record?.value != null) {
    const stored = decodePosition(record.value);
    const failedOver = stored.bound.systemId === bound.systemId && stored.bound.timeline !== bound.timeline;
    throw new CrosswalkError(
      failedOver ? 'slot_invalid.failed_over' : 'slot_invalid.gone',
      failedOver
        ? `Replication slot ${config.slot} is not on this server of timeline ${bound.timeline}; the stored position was reached on timeline ${stored.bound.timeline}: the standby was promoted before it had the slot`
        : `Replication slot ${config.slot} is gone, and a position is stored for it`,
    );
  }
  log.info({ slot: config.slot }, 'creating the replication slot; this waits for transactions that are open now');
  await client.query(
    `SELECT pg_create_logical_replication_slot($1, 'pgoutput'${canFailOver ? ', failover => true' : ''})`,
    [config.slot],
  );
}

function assertUsable(slot: SlotRow, name: string, database: string): void {
  const refuse = (code: PlainCode, cause: string) => new CrosswalkError(code, `Replication slot ${name} ${cause}`);
  if (slot.slot_type !== 'logical') throw refuse('slot_invalid.foreign', 'is a physical one');
  if (slot.plugin !== 'pgoutput') throw refuse('slot_invalid.foreign', `uses ${slot.plugin}`);
  if (slot.database !== database)
    throw refuse('slot_invalid.of_another_database', `belongs to database ${slot.database}, this is ${database}`);
  if (slot.wal_status === 'lost' || slot.invalidation_reason != null)
    throw refuse(
      'slot_invalid',
      `was invalidated${slot.invalidation_reason == null ? '' : ` (${slot.invalidation_reason})`}: the server has removed changes that it needs`,
    );
}

/**
 * Enables failover for the slot, which requires the replication protocol. Returns false if the slot has been taken
 * meanwhile.
 */
async function enableFailover(config: Config): Promise<boolean> {
  const client = createReplicationClient(config.legacyUrl());
  await client.connect();
  try {
    await client.query(`ALTER_REPLICATION_SLOT ${quoteIdent(config.slot)} (FAILOVER true)`);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === '55006') return false;
    throw error;
  } finally {
    await client.end();
  }
}

/** The WAL end of the server and the confirmed position of the slot. */
export async function readServerState(client: pg.ClientBase, slot: string): Promise<ServerState> {
  const { rows } = await client.query<{ confirmed: string | null; end: string }>(
    `SELECT (SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1) AS confirmed,
       pg_current_wal_flush_lsn()::text AS end`,
    [slot],
  );
  return { confirmedLsn: parseLsn(rows[0]!.confirmed ?? '0/0'), walEnd: parseLsn(rows[0]!.end) };
}

/**
 * System identifier, timeline with history, and database, through the replication protocol, which any replication role
 * may use. Throws `server_down` (retry) on a standby, whose timeline would change on promotion.
 */
export async function readIdentity(
  url: string,
): Promise<Pick<Binding, 'systemId' | 'timeline' | 'history' | 'database'>> {
  const client = createReplicationClient(url);
  await client.connect();
  try {
    const { rows: standby } = await client.query<{ is: string }>('SELECT pg_is_in_recovery()::text AS is');
    if (standby[0]!.is === 'true')
      throw new CrosswalkError('server_down.standby', `legacy database ${addressOf(url)}: the server is a standby`);
    const { rows } = await client.query<{ systemid: string; timeline: string; dbname: string }>('IDENTIFY_SYSTEM');
    const { systemid, timeline, dbname } = rows[0]!;
    return {
      systemId: systemid,
      timeline: Number(timeline),
      history: await readTimelineHistory(client, Number(timeline)),
      database: dbname,
    };
  } finally {
    await client.end();
  }
}

async function readTimelineHistory(client: pg.Client, timeline: number): Promise<TimelineSwitch[] | undefined> {
  if (timeline === 1) return [];
  try {
    const { rows } = await client.query<{ content: string }>(`TIMELINE_HISTORY ${timeline}`);
    return parseTimelineHistory(rows[0]!.content);
  } catch (error) {
    if ((error as { code?: string }).code === '58P01') return undefined;
    throw error;
  }
}

/** What would prevent the connector from continuing after a failover to a standby; empty if no standby has a slot. */
export async function findFailoverGaps(
  client: pg.ClientBase,
  slot: string,
): Promise<{ readonly what: string; readonly remedy: string }[]> {
  const { rows } = await client.query<{ name: string; active: string }>(
    `SELECT slot_name AS name, active::text FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary ORDER BY 1`,
  );
  if (rows.length === 0) return [];
  const found: { what: string; remedy: string }[] = [];
  const doc = 'docs/operations.md, "Failover".';
  if ((await readVersion(client)) < FAILOVER_VERSION)
    return [
      {
        what: 'This PostgreSQL does not keep logical replication slots on standbys',
        remedy: `After a failover the log is started anew; PostgreSQL 17 and later can go on: ${doc}`,
      },
    ];
  if ((await readSlotRow(client, slot))?.failover === false)
    found.push({
      what: `Replication slot ${slot} is not kept on standbys`,
      remedy: `Restart the connector, which sets it: ${doc}`,
    });
  const { rows: settings } = await client.query<{ names: string }>(
    `SELECT current_setting('synchronized_standby_slots') AS names`,
  );
  const waitedFor = settings[0]!.names
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter((name) => name !== '');
  if (waitedFor.length === 0)
    found.push({
      what: 'The stream may run ahead of the standbys: after a failover the log could hold changes that the new primary does not have',
      remedy: `Run as a superuser, with the slots of those standbys that may be promoted: ALTER SYSTEM SET synchronized_standby_slots = '${rows.map(({ name }) => name).join(', ')}'; SELECT pg_reload_conf(); ${doc}`,
    });
  for (const name of waitedFor)
    if (!rows.some((row) => row.name === name && row.active === 'true'))
      found.push({
        what: `The stream waits for a standby that is not connected: slot ${name} of synchronized_standby_slots`,
        remedy: `Start that standby, or take the slot out of synchronized_standby_slots: ${doc}`,
      });
  return found;
}

async function readSlotRow(client: pg.ClientBase, slot: string): Promise<SlotRow | null> {
  const { rows } = await client.query<{ slot: string }>(
    'SELECT to_jsonb(s)::text AS slot FROM pg_replication_slots s WHERE slot_name = $1',
    [slot],
  );
  return rows[0] === undefined ? null : (JSON.parse(rows[0].slot) as SlotRow);
}

async function readVersion(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
  return Number(rows[0]!.version);
}

function createReplicationClient(url: string): pg.Client {
  const client = new pg.Client({ ...clientConfig(url, 'identity'), replication: 'database' } as pg.ClientConfig);
  // An error after the last query must not end the process.
  client.on('error', () => undefined);
  return client;
}
