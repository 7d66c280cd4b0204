import pg from 'pg';
import { type Config, positionTopicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { clientConfig } from '../runtime/postgres.ts';
import { readSlot } from './catalog.ts';

/** Creates the slot the first time. A slot that is gone while a position is stored means lost changes. */
export async function ensureSlot(client: pg.ClientBase, kafka: Kafka, config: Config, log: Log): Promise<void> {
  const slot = await readSlot(client, config.slot);
  if (slot !== null) {
    if (slot.plugin !== 'pgoutput')
      throw new CrosswalkError(
        'slot_invalid',
        `Replication slot ${config.slot} uses ${slot.plugin}`,
        'Choose another name in CROSSWALK_SLOT.',
      );
    if (slot.walStatus === 'lost')
      throw new CrosswalkError(
        'slot_invalid',
        `Replication slot ${config.slot} was invalidated: the server has removed changes that it needs`,
        'docs/operations.md, "A lost slot".',
      );
    return;
  }
  if ((await kafka.readLast(positionTopicOf(config))) !== null) {
    throw new CrosswalkError(
      'slot_invalid',
      `Replication slot ${config.slot} is gone, and a position is stored for it`,
      'Changes since then are lost: docs/operations.md, "A lost slot".',
    );
  }
  log.info({ slot: config.slot }, 'creating the replication slot; this waits for transactions that are open now');
  await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [config.slot]);
}

/** System identifier, timeline and database through the replication protocol: any replication role may ask. */
export async function readIdentity(url: string): Promise<{ systemId: string; timeline: number; database: string }> {
  const client = new pg.Client({ ...clientConfig(url, 'identity'), replication: 'database' } as pg.ClientConfig);
  await client.connect();
  try {
    const { rows } = await client.query<{ systemid: string; timeline: string; dbname: string }>('IDENTIFY_SYSTEM');
    return { systemId: rows[0]!.systemid, timeline: Number(rows[0]!.timeline), database: rows[0]!.dbname };
  } finally {
    await client.end();
  }
}
