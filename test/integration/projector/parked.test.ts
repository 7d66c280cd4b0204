import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { createProjectorPool, projections } from '../../support/crm.ts';
import { pollUntil } from '../../support/poll.ts';
import { contactRow, createScriptedLog, optionRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';
import type { createDatabases } from '../../support/stack.ts';
import { PROJECTED_TABLES } from '../../support/target-database.ts';

const [A, B, C, D] = [1, 2, 3, 4].map((n) => `a0000000-0000-4000-8000-00000000000${n}`) as [
  string,
  string,
  string,
  string,
];

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let log: ScriptedLog;
const open: { close(): Promise<void> }[] = [];

useScriptedTarget('parked', 6, (target) => {
  ({ databases, client, log } = target);
});
afterEach(async () => {
  for (const retry of open.splice(0)) await retry.close();
});

function retryParked(source: string, loaded?: () => boolean) {
  const retry = log.retryParked(source, loaded);
  open.push(retry);
  return retry;
}
const parked = async () =>
  (
    await client.query<{ legacy_key: string; reason: string }>(
      'SELECT legacy_key, reason FROM crosswalk.parked_change ORDER BY topic, partition, record_offset',
    )
  ).rows;
const dead = async () =>
  (
    await client.query<{ legacy_key: string; reason: string }>(
      'SELECT legacy_key, reason FROM crosswalk.dead_letter WHERE resolved_at IS NULL ORDER BY legacy_key',
    )
  ).rows;
const phones = async () => {
  const { rows } = await client.query<{ id: string; phone_number: string | null }>(
    `SELECT id, phone_number FROM crm.contacts WHERE deleted_at IS NULL`,
  );
  return Object.fromEntries(rows.map((row) => [row.id, row.phone_number]));
};
const untilNothingParked = () => pollUntil(parked, (rows) => rows.length === 0);

describe('a change whose cause is on its way', () => {
  it('waits for its parent while its partition goes on, and is applied once the parent is there', async () => {
    const outcome = await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }), contactRow(B));
    expect(outcome).toMatchObject({ parked: 1, defects: [] });
    expect(await parked()).toEqual([{ legacy_key: A, reason: '23503 leads leads_lead_status_id_fkey' }]);
    expect(Object.keys(await phones())).toEqual([B]);
    await log.deliver('status_options', 0, optionRow('5'));
    retryParked('contacts');
    await untilNothingParked();
    expect(Object.keys(await phones()).sort()).toEqual([A, B]);
    expect(await dead()).toEqual([]);
  });

  it('holds back the later changes of its row, which are applied after it and in order', async () => {
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5', phone_number: '1' }));
    await log.deliver('contacts', 0, contactRow(A, { phone_number: '2', opted_out: 't' }));
    await log.deliver('contacts', 0, contactRow(A, { phone_number: '3' }));
    expect(await parked()).toEqual([
      { legacy_key: A, reason: '23503 leads leads_lead_status_id_fkey' },
      { legacy_key: A, reason: 'behind a parked change' },
      { legacy_key: A, reason: 'behind a parked change' },
    ]);
    expect(await phones()).toEqual({});
    retryParked('contacts');
    await untilNothingParked();
    expect(await phones()).toEqual({ [A]: '3' });
    // What the contact said on the way counts too.
    expect((await client.query('SELECT identity FROM crm.dnc_list WHERE deleted_at IS NULL')).rows).toEqual([
      { identity: '2' },
    ]);
  });

  it('is applied in the order of the log, also where one transaction changed the row many times', async () => {
    const numbers = Array.from({ length: 12 }, (_, n) =>
      contactRow(A, { lead_status_id: '5', phone_number: String(n) }),
    );
    await log.deliver('contacts', 0, ...numbers);
    expect(await parked()).toHaveLength(12);
    await log.deliver('status_options', 0, optionRow('5'));
    retryParked('contacts');
    await untilNothingParked();
    expect(await phones()).toEqual({ [A]: '11' });
  });

  it('is left to rest until the initial load is done, however long that takes', async () => {
    let loaded = false;
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }));
    let asked = 0;
    retryParked('contacts', () => {
      asked++;
      return loaded;
    });
    await pollUntil(
      async () => asked,
      (times) => times > 6,
    );
    expect(await parked()).toHaveLength(1);
    expect(await dead()).toEqual([]);
    loaded = true;
    await untilNothingParked();
    expect(await dead()).toEqual([
      { legacy_key: A, reason: '23503 leads leads_lead_status_id_fkey, with everything before it applied' },
    ]);
  });

  it('is left to rest in a shadow while a projection that is not rebuilt has not applied everything, or holds what it waits for', async () => {
    await client.query(`SELECT crosswalk.create_shadow('parked', 'crm', $1, true)`, [PROJECTED_TABLES]);
    const shadowPool = createProjectorPool(databases.targetUrl, 'projector', 2, ['crosswalk_shadow_parked']);
    const held = () => client.query('SELECT FROM crosswalk_shadow_parked.parked_change');
    const failed = () => client.query('SELECT FROM crosswalk_shadow_parked.dead_letter');
    let asked = 0;
    const untilAskedAgain = async () => {
      const from = asked;
      await pollUntil(
        async () => asked,
        (times) => times > from + 6,
      );
    };
    try {
      const rebuilt = projections.filter(({ name }) => name !== 'order_contacts');
      const replayed = await createScriptedLog(shadowPool, undefined, rebuilt);
      await client.query(`DELETE FROM crosswalk_shadow_parked.consumer_offset WHERE projection <> 'contacts'`);
      await replayed.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }));
      replayed.append('status_options', 0, optionRow('5'));
      const retry = replayed.retryParked('contacts', () => ++asked > 0);
      try {
        await untilAskedAgain();
        expect([(await held()).rowCount, (await failed()).rowCount]).toEqual([1, 0]);
        await client.query(
          `INSERT INTO crosswalk.parked_change (projection, topic, partition, record_offset, legacy_key, source_lsn, record_key, reason) VALUES ('status_options', 't', 0, 0, '5', '0/1', '', '23505 status_options')`,
        );
        await client.query(
          `UPDATE crosswalk.consumer_offset SET next_offset = 1 WHERE projection IN ('status_options', 'order_contacts')`,
        );
        await untilAskedAgain();
        expect([(await held()).rowCount, (await failed()).rowCount]).toEqual([1, 0]);
        await client.query('DELETE FROM crosswalk.parked_change');
        await pollUntil(failed, ({ rowCount }) => rowCount === 1);
      } finally {
        await retry.close();
      }
    } finally {
      await shadowPool.end();
      await client.query(`SELECT crosswalk.drop_shadow('parked')`);
    }
  });

  it('is left to rest while the log holds what has not been applied', async () => {
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }));
    const late = log.append('status_options', 0, optionRow('5'));
    let asked = 0;
    retryParked('contacts', () => ++asked > 0);
    await pollUntil(
      async () => asked,
      (times) => times > 6,
    );
    expect(await dead()).toEqual([]);
    await log.apply('status_options', 0, late);
    await untilNothingParked();
    expect(await dead()).toEqual([]);
    expect(Object.keys(await phones())).toEqual([A]);
  });

  it('is left to rest while its cause is parked itself, in another projection', async () => {
    await log.deliver('status_options', 0, optionRow('5', 'Taken'));
    // 6 takes the name from 5, whose own change is late.
    await log.deliver('status_options', 1, optionRow('6', 'Taken'));
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '6' }));
    let asked = 0;
    retryParked('contacts', () => ++asked > 0);
    await pollUntil(
      async () => asked,
      (times) => times > 6,
    );
    expect(await dead()).toEqual([]);
    await log.deliver('status_options', 0, optionRow('5', 'Other'));
    retryParked('status_options');
    await untilNothingParked();
    expect(await dead()).toEqual([]);
    expect(Object.keys(await phones())).toEqual([A]);
  });

  it.each([
    ['of an earlier transaction', false],
    ['of the same transaction', true],
  ])('is left to rest while its cause waits for a third one, %s', async (_, isOne) => {
    const message = { id: B, contact_id: A, direction: 'inbound', channel: 'sms', sent_at: '2024-03-01 10:00:00+00' };
    const contact = log.append('contacts', 0, contactRow(A, { lead_status_id: '5' }));
    const messages = log.append('messages', 0, message);
    await log.apply('contacts', 0, contact);
    await log.apply(
      'messages',
      0,
      isOne ? messages.map((change) => ({ ...change, lineage: contact[0]!.lineage })) : messages,
    );
    // The projector of contacts is held up. Nothing else is on its way.
    let asked = 0;
    retryParked('messages', () => ++asked > 0);
    await pollUntil(
      async () => asked,
      (times) => times > 8,
    );
    expect(await dead()).toEqual([]);
    await log.deliver('status_options', 0, optionRow('5'));
    retryParked('contacts');
    await untilNothingParked();
    expect(await dead()).toEqual([]);
    expect((await client.query('SELECT FROM crm.lead_activities')).rowCount).toBe(1);
  });

  it('is a dead letter in the end where two wait for rows that never come', async () => {
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }));
    const message = { id: B, contact_id: C, direction: 'inbound', channel: 'sms', sent_at: '2024-03-01 10:00:00+00' };
    await log.deliver('messages', 0, message);
    retryParked('messages');
    retryParked('contacts');
    await untilNothingParked();
    expect((await dead()).map(({ legacy_key }) => legacy_key)).toEqual([A, B]);
  });

  it('is found by another process when the one that parked it has ended', async () => {
    // It has seen that nothing is parked, and nobody wakes it.
    let asked = 0;
    retryParked('contacts', () => ++asked > 0);
    await pollUntil(
      async () => asked,
      (times) => times > 0,
    );
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '5' }));
    await log.deliver('status_options', 0, optionRow('5'));
    await untilNothingParked();
    expect(Object.keys(await phones())).toEqual([A]);
  });
});

describe('a unique value', () => {
  it('may be swapped between rows of two partitions', async () => {
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'x' }));
    await log.deliver('contacts', 1, contactRow(B, { phone_number: 'y' }));
    expect(await log.deliver('contacts', 0, contactRow(A, { phone_number: 'y' }))).toMatchObject({ parked: 1 });
    expect(await log.deliver('contacts', 1, contactRow(B, { phone_number: 'x' }))).toMatchObject({ parked: 1 });
    retryParked('contacts');
    await untilNothingParked();
    expect(await phones()).toEqual({ [A]: 'y', [B]: 'x' });
    expect(await dead()).toEqual([]);
  });

  it('may go round in a circle of three, beside rows that can never be applied', async () => {
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'x' }));
    await log.deliver('contacts', 1, contactRow(B, { phone_number: 'y' }));
    await log.deliver('contacts', 2, contactRow(C, { phone_number: 'z' }));
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'y' }));
    await log.deliver('contacts', 3, contactRow(D, { lead_status_id: '404' }));
    await log.deliver('contacts', 1, contactRow(B, { phone_number: 'z' }));
    await log.deliver('contacts', 2, contactRow(C, { phone_number: 'x' }));
    expect(await parked()).toHaveLength(4);
    retryParked('contacts');
    await untilNothingParked();
    expect(await phones()).toEqual({ [A]: 'y', [B]: 'z', [C]: 'x' });
    expect(await dead()).toMatchObject([{ legacy_key: D }]);
  });

  it('may go round in a circle while another row claims a value that is taken for good', async () => {
    const E = 'a0000000-0000-4000-8000-000000000005';
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'x' }));
    await log.deliver('contacts', 1, contactRow(B, { phone_number: 'y' }));
    await log.deliver('contacts', 3, contactRow(D, { phone_number: 'w' }));
    await log.deliver('contacts', 2, contactRow(E, { phone_number: 'w' }));
    await log.deliver('contacts', 0, contactRow(A, { phone_number: 'y' }));
    await log.deliver('contacts', 1, contactRow(B, { phone_number: 'x' }));
    retryParked('contacts');
    await untilNothingParked();
    expect(await phones()).toEqual({ [A]: 'y', [B]: 'x', [D]: 'w' });
    expect(await dead()).toMatchObject([{ legacy_key: E }]);
  });
});

describe('a change whose cause never comes', () => {
  it('becomes a dead letter, which a later version of its row that can be applied resolves', async () => {
    await log.deliver('contacts', 0, contactRow(A, { lead_status_id: '404' }));
    retryParked('contacts');
    await untilNothingParked();
    expect(await dead()).toHaveLength(1);
    expect(await phones()).toEqual({});
    await log.deliver('contacts', 0, contactRow(A, { phone_number: '1' }));
    expect(await phones()).toEqual({ [A]: '1' });
    expect(await dead()).toEqual([]);
    const { rows } = await client.query('SELECT resolution FROM crosswalk.dead_letter');
    expect(rows).toEqual([{ resolution: 'a later version was applied' }]);
  });
});
