import type pg from 'pg';
import { toLsnText } from '../changes/lsn.ts';
import { toMostCellBytes } from '../changes/row-bytes.ts';
import { type Config, positionTopicOf, topicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import type { LogWriter } from '../runtime/kafka.ts';
import { pause, untilUp } from '../runtime/retry.ts';
import { readCatalog, readSlot } from './catalog.ts';
import { readOpenKeys } from './dead-letters.ts';
import type { Position } from './position.ts';
import { createReplicationStream, type ReplicationStream } from './replication.ts';
import type { Session } from './session-resources.ts';
import type { Servers } from './session-servers.ts';
import { ensureSlot, readIdentity, readServerState } from './slot.ts';
import { captureOf } from './source-state.ts';
import { readStoredPosition } from './stored-position.ts';

/** How often a standby connector checks whether the slot is free. */
const STAND_BY_MS = 100;

/** Resources that only the owner of the slot has. */
export interface Owned {
  readonly writer: LogWriter;
  readonly stream: ReplicationStream;
  /** The stored position; null if none was ever stored. */
  readonly found: Position | null;
  /** The position to continue from: the stored one, or the first one. */
  readonly stored: Position;
  /** Keys of the open dead letters. */
  readonly openKeys: readonly string[];
}

/**
 * Acquires the slot; stands by while another connector holds it. The order matters: the owner of the slot first fences
 * older writers, and only then is the position it reads final. `limits`: `max.message.bytes` by topic.
 */
export async function ownSlot(session: Session, servers: Servers, limits: ReadonlyMap<string, number>): Promise<Owned> {
  const { config, log, ending, resources } = session;
  const { control, kafka, bound } = servers;
  await untilAborted(ensureSlot(control, kafka, config, bound, log), ending.signal);
  const writer = await untilUp(
    `Kafka ${kafka.brokers}`,
    () => kafka.createLogWriter(`crosswalk.${config.topicPrefix}.${config.slot}`, config.transactionTimeoutMs),
    { log, signal: ending.signal },
  );
  // An open transaction would block readers until the broker times it out.
  resources.add(async () => {
    await writer.abort().catch(() => undefined);
    await writer.close();
  });
  const stream = await openStream(session, control, limits);
  resources.add(() => stream.close());
  await reach?.('position.before');
  await fence(writer, config);
  const readServer = async () => {
    await assertUnchanged(config, servers);
    return readServerState(control, config.slot);
  };
  const reading = readServer();
  const [server, found, openKeys] = await Promise.all([
    reading,
    readStoredPosition(kafka, config, bound, reading),
    readOpenKeys(kafka, config),
  ]);
  await reach?.('position.after');
  const first: Position = {
    bound,
    lsn: server.confirmedLsn,
    sourceMicros: BigInt(Date.now()) * 1000n,
    unseenXids: [],
    snapshot: {},
    offsets: {},
  };
  return { writer, stream, found, stored: found ?? first, openKeys };
}

/**
 * Opens the stream once the slot is free. Polls for that, because each refused start would be an error in the server's
 * log.
 */
async function openStream(
  session: Session,
  control: pg.Client,
  limits: ReadonlyMap<string, number>,
): Promise<ReplicationStream> {
  const { config, status } = session;
  const { slot, publication } = config;
  const mostCellBytes = toMostCellBytes(config.tables.flatMap((table) => limits.get(topicOf(config, table)) ?? []));
  const onPart = () => {
    status.lastProgressMs = performance.now();
  };
  const { rows } = await control.query(`SELECT FROM pg_settings WHERE name = 'transaction_timeout'`);
  // Servers before PostgreSQL 17 reject a session that sets it.
  const settings = rows.length > 0 ? '-c transaction_timeout=0' : '';
  for (;;) {
    if ((await readSlot(control, slot))?.active !== true) {
      try {
        const url = config.legacyUrl();
        return await createReplicationStream({ url, slot, publication, settings, mostCellBytes, onPart });
      } catch (error) {
        if (!(error instanceof CrosswalkError) || error.code !== 'slot_busy') throw error;
      }
    }
    await standBy(session);
  }
}

async function standBy({ config, status, log, ending }: Session): Promise<void> {
  if (status.state !== 'standing by') log.info({ slot: config.slot }, 'another connector has the slot: standing by');
  status.state = 'standing by';
  await pause(STAND_BY_MS, ending.signal);
  ending.signal.throwIfAborted();
}

/**
 * Fences every earlier writer by writing a record after everything they committed: once it is acknowledged, readers see
 * everything before it. A broker that has crashed may briefly show less, and an older position would be taken for the
 * last one.
 */
async function fence(writer: LogWriter, config: Config): Promise<void> {
  const key = Buffer.from(`${config.slot}.fence`);
  const timestampMs = String(Date.now());
  await writer.begin();
  await writer.send(
    new Map([[positionTopicOf(config), [{ partition: 0, key, value: Buffer.from('{}'), timestampMs }]]]),
  );
  await writer.commit();
}

/**
 * Rechecks what was read before the stream was open: the address may point to another server by now, or the wait for
 * the slot may have been long.
 */
async function assertUnchanged(config: Config, { control, identity, relations }: Servers): Promise<void> {
  const now = await Promise.all([readIdentity(config.legacyUrl()), readCatalog(control, captureOf(config))]);
  if (JSON.stringify(now) === JSON.stringify([identity, relations])) return;
  throw new CrosswalkError('columns_changed.start', 'The tables, or the server, changed while this connector started');
}

/**
 * Advances a slot past changes that are not to be sent. Without a stream nothing is decoded into text, so text that the
 * server cannot produce is no problem.
 */
export async function moveSlot(control: pg.Client, slot: string, lsn: bigint, signal: AbortSignal): Promise<void> {
  while ((await readSlot(control, slot))?.active === true) {
    await pause(STAND_BY_MS, signal);
    signal.throwIfAborted();
  }
  await control.query('SELECT pg_replication_slot_advance($1, $2::pg_lsn)', [slot, toLsnText(lsn)]);
}

/** Waits for work that takes no signal. Throws immediately on abort; releasing its connection ends the work. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  work.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  await Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}
