// Whether the connector knows all that the legacy database is and holds.

import { setTimeout as sleep } from 'node:timers/promises';
import { captureOf, readSource, toFingerprint } from '../../connectors/source-state.ts';
import { readPosition } from '../../projectors/read-position.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { parseConfig } from '../support/crm.ts';
import type { World } from './world.ts';

const PATIENCE_MS = 600_000;
const ASK_MS = 300;

/**
 * The returned function resolves once everything committed by now is in the log, the source is stored as it is now, and every table that is to be read again is read.
 * It throws after ten minutes.
 */
export function createUntilTold(world: World): () => Promise<void> {
  const { config } = world;
  const capture = captureOf(config);
  const kafka = createKafka(parseConfig(world.direct.env).kafka(), createLog('silent'));

  async function isTold(from: { lsn?: bigint }): Promise<boolean> {
    const legacy = await connect(world.direct.legacyUrl, 'chaos');
    try {
      const source = await readSource(legacy, capture);
      const { rows } = await legacy.query<{ at: string }>(`SELECT (pg_current_wal_insert_lsn() - '0/0')::text AS at`);
      from.lsn ??= BigInt(rows[0]!.at);
      const position = await readPosition(kafka, config);
      return (
        position !== null &&
        position.lsn >= from.lsn &&
        position.reread === undefined &&
        config.tables.every((table) => position.snapshot[table]?.done === true) &&
        JSON.stringify(position.source) === JSON.stringify(toFingerprint(source, position.source))
      );
    } finally {
      await legacy.end().catch(() => undefined);
    }
  }

  return async () => {
    const from = {};
    const deadline = performance.now() + PATIENCE_MS;
    // Servers are crashed meanwhile.
    while (!(await isTold(from).catch(() => false))) {
      if (performance.now() > deadline)
        throw new Error(`the connector does not know the legacy database as it is, ${PATIENCE_MS / 1000} s later`);
      await sleep(ASK_MS);
    }
  };
}
