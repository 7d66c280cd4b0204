import { toLsnText } from '../changes/lsn.ts';
import { type Config, positionTopicOf } from '../runtime/config.ts';
import { type CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { createKafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { createPatience, pause } from '../runtime/retry.ts';
import { CONNECTOR, recordStop, stopTopicOf } from '../runtime/stop-records.ts';
import { decodePosition } from './position.ts';
import { type Amendment, runSession } from './session.ts';
import { type ConnectorStatus, createConnectorStatus } from './status.ts';
import { topicSpecs } from './topics.ts';

const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 5000;

/**
 * Runs one connector until the signal aborts. Streams, and restarts from the stored position after any failure that may
 * pass. Throws a CrosswalkError if an operator must act.
 */
export async function runConnector(
  config: Config,
  status: ConnectorStatus,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  let waitMs = FIRST_WAIT_MS;
  const patience = createPatience();
  while (!signal.aborted) {
    const startedAtMs = performance.now();
    status.failedRead = null;
    try {
      await runSession(config, status, options);
    } catch (thrown) {
      if (signal.aborted) break;
      const error = toCrosswalkError(thrown, 'connector');
      const end = patience.failed(error, ...toProgress(status));
      if (end !== null) {
        await noteStop(config, end, log);
        throw end;
      }
      const standingBy = error.code === 'slot_busy';
      if (status.state !== 'standing by' || !standingBy)
        log.warn({ code: error.code, err: error.code === 'unexpected' ? thrown : undefined }, error.message);
      status.state = standingBy ? 'standing by' : 'starting';
      // A session that ran for a while restarts with a short wait; repeated immediate failures back off.
      if (standingBy || performance.now() - startedAtMs > LAST_WAIT_MS) waitMs = FIRST_WAIT_MS;
      await pause(waitMs, signal);
      waitMs = Math.min(waitMs * 2, LAST_WAIT_MS);
    }
  }
  status.state = 'stopped';
}

/** Records why this process stopped, for `status`. */
async function noteStop(config: Config, error: CrosswalkError, log: Log): Promise<void> {
  // Without configuration there is no Kafka to write to.
  if (error.code === 'config_invalid') return;
  const kafka = createKafka(config.kafka(), log);
  const readProgress = async () => {
    // A first start may fail before the other topics exist.
    await kafka.ensureTopics(topicSpecs(config).filter(({ topic }) => topic === stopTopicOf(config)));
    const record = await kafka.readLast(positionTopicOf(config), config.slot);
    return toLsnText(record?.value == null ? 0n : decodePosition(record.value).lsn);
  };
  await recordStop(kafka, config, { process: CONNECTOR, error, readProgress, log });
}

/**
 * Progress so far and its place. The stream continues while a table cannot be read, so a read failure is measured by
 * rows read.
 */
function toProgress(status: ConnectorStatus): [progress: string, place: string] {
  const lsn = `LSN ${toLsnText(status.lsn)}`;
  const { failedRead } = status;
  if (failedRead === null) return [lsn, lsn];
  const { table, rows } = failedRead;
  return [`${table} ${rows}`, `table ${table}, ${rows} rows read`];
}

/** Replaces the stored position, as the owner of the slot. Waits while a connector holds the slot. */
export async function amendPosition(
  config: Config,
  amend: Amendment,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  await runSession(config, createConnectorStatus(config.tables), { ...options, amend });
}
