import type pg from 'pg';
import { waitUntil } from './wait-until.ts';

/** Waits until no session reads a slot: the server ends a session a moment after its client has gone. */
export async function untilSlotIsFree(client: Pick<pg.ClientBase, 'query'>, slot: string): Promise<void> {
  await waitUntil(`slot ${slot} is free`, async () => {
    const { rows } = await client.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND active', [slot]);
    return rows.length === 0;
  });
}
