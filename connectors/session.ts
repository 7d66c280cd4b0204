import type pg from 'pg';
import { type Config, deadLetterTopicOf, positionTopicOf, topicOf } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import { createSourceDeadLetters } from './dead-letters.ts';
import { moveSlot, type Owned, ownSlot } from './own-slot.ts';
import type { Position } from './position.ts';
import { createPublisher, type Publisher } from './publish.ts';
import { createResources, type Session } from './session-resources.ts';
import { type Formats, openServers, prepareFormats } from './session-servers.ts';
import { streamSession } from './session-streaming.ts';
import type { ConnectorStatus } from './status.ts';

/** Returns the position to store, and whether to advance the slot to it. `stored` is null if none was ever stored. */
export type Amendment = (
  stored: Position | null,
  control: pg.ClientBase,
) => Promise<{ position: Omit<Position, 'offsets'>; movesSlot: boolean }>;

/**
 * One session: waits for the servers and the slot, reads the stored position, and streams from there, or only amends
 * it, until the signal aborts or something fails.
 */
export async function runSession(
  config: Config,
  status: ConnectorStatus,
  options: { log: Log; signal: AbortSignal; amend?: Amendment },
): Promise<void> {
  const { log, signal, amend } = options;
  const ending = new AbortController();
  const abort = () => ending.abort(new Error('stopped'));
  signal.addEventListener('abort', abort, { once: true });
  const resources = createResources();
  resources.add(async () => signal.removeEventListener('abort', abort));
  const session: Session = { config, status, log, ending, resources };
  try {
    const servers = await openServers(session);
    const { control } = servers;
    const formats = await prepareFormats(session, servers);
    const owned = await ownSlot(session, servers, formats.limits);
    const { stream, found, stored } = owned;
    const publisher = openPublisher(config, formats, owned);
    const deadLetters = createSourceDeadLetters(owned.openKeys, deadLetterTopicOf(config));
    status.deadLettersOpen = deadLetters.open();
    if (amend !== undefined) {
      const { position, movesSlot } = await amend(found, control);
      await publisher.commit(position);
      if (movesSlot) {
        await stream.close();
        await moveSlot(control, config.slot, position.lsn, ending.signal);
      }
      return;
    }
    // Stored before the first event, so that events without a position always mean a lost position.
    if (found === null) await publisher.commit(stored);
    await streamSession(session, { servers, formats, stream, stored, publisher, deadLetters });
    if (ending.signal.aborted && !signal.aborted) throw ending.signal.reason;
  } finally {
    ending.abort(new Error('session ended'));
    await resources.release();
  }
}

/** Appends to the log from the stored position on. */
function openPublisher(config: Config, { limits, slabs }: Formats, { writer, stored }: Owned): Publisher {
  const emptyOffsets = Array.from({ length: config.partitions }, () => '0');
  const offsets = {
    ...Object.fromEntries(config.tables.map((table) => [topicOf(config, table), emptyOffsets])),
    // Includes tables that are not captured now: a table that is captured again continues there.
    ...stored.offsets,
  };
  return createPublisher(writer, {
    positionTopic: positionTopicOf(config),
    positionKey: config.slot,
    offsets,
    limits,
    timeoutMs: config.transactionTimeoutMs,
    slabs,
  });
}
