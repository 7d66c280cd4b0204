// A legacy database in another encoding: the log is UTF-8 all the same. One that says nothing of its bytes must not put wrong letters into it.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CrosswalkError } from '../../../runtime/errors.ts';
import { createConnectorRig } from '../../support/connector.ts';
import { untilSlotIsFree } from '../../support/slot.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { openTextOracle } from './text-oracle.ts';
import { createHistory } from './value-history.ts';
import { findValueFaults, readValueEvents } from './value-log.ts';

let admin: pg.Client;
let name: string;
let url: URL;
beforeEach(async () => {
  url = new URL(stackAddresses().legacyAdminUrl);
  admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  name = `encoding_${randomBytes(4).toString('hex')}`;
  url.pathname = `/${name}`;
});
afterEach(async () => {
  await admin.query(
    `SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE database = $1 AND active_pid IS NOT NULL`,
    [name],
  );
  await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1', [name]);
  await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await admin.end();
});
const createDatabase = (encoding: string) =>
  admin.query(
    `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc`,
  );

test('LATIN1: values and names arrive as they are', async () => {
  await createDatabase('LATIN1');
  const rig = await createConnectorRig('latin', {
    legacyUrl: url.href,
    tables: ['words'],
    schema: `CREATE TYPE "Größe" AS ENUM ('größer', 'kleiner'); CREATE TABLE words (id int PRIMARY KEY, "größe" text, "Maß" "Größe", j jsonb, c char(9), a text[])`,
  });
  try {
    const oracle = await openTextOracle(url.href);
    const history = createHistory(oracle);
    const table = 'public.words';
    const values = `'größe ÿ' || chr(160) || chr(128), 'größer', '{"ä": "\\u00e9"}', 'ü', '{ß,NULL,"é,"}'`;
    await history.change(table, 'r', [`INSERT INTO ${table} VALUES (1, ${values})`]);
    const connector = rig.run();
    await waitUntil('it streams', () => connector.status.state === 'streaming');
    await rig.untilCaughtUp();
    await history.change(table, 'c', [`INSERT INTO ${table} VALUES (2, ${values})`]);
    await history.change(table, 'c', [`UPDATE ${table} SET "größe" = 'ÄÖÜ' WHERE id = 1`]);
    await history.change(table, 'c', [`DELETE FROM ${table} WHERE id = 1`]);
    await rig.untilCaughtUp();
    await connector.stop();
    const events = await readValueEvents(rig, new Map([['words', await oracle.columnsOf(table)]]));
    await oracle.client.end();
    expect(findValueFaults(events, 'words', history.expected(table))).toEqual([]);
    expect(events.map(({ op }) => op).sort()).toEqual(['c', 'd', 'r', 'u']);
  } finally {
    await rig.drop();
  }
});

test('SQL_ASCII with bytes that are no UTF-8: it stops, says so without the bytes, and the log holds no wrong letters', async () => {
  await createDatabase('SQL_ASCII');
  const rig = await createConnectorRig('ascii', {
    legacyUrl: url.href,
    tables: ['words'],
    schema: 'CREATE TABLE words (id int PRIMARY KEY, word text)',
  });
  try {
    const writer = new pg.Client({ connectionString: url.href });
    writer.on('error', () => undefined);
    await writer.connect();
    await writer.query(`SET client_encoding TO 'SQL_ASCII'`);
    const connector = rig.run();
    await waitUntil('it streams', () => connector.status.state === 'streaming');
    await rig.untilCaughtUp();
    await writer.query(`INSERT INTO words VALUES (1, 'plain')`);
    await rig.untilCaughtUp();
    await writer.query(`INSERT INTO words VALUES (2, convert_from('\\xe4f6', 'SQL_ASCII'))`);
    const error = (await connector.ended) as CrosswalkError;
    expect(error).toMatchObject({ code: 'text_unreadable', waits: false });
    expect(`${error.stack} ${error.remedy} ${error.cause}`).not.toMatch(/0xe4|0xf6|\ufffd/i);
    const events = await readValueEvents(rig, new Map([['words', ['id', 'word']]]));
    expect(events.map(({ after }) => after)).toEqual([{ id: '1', word: 'plain' }]);
    // The initial load meets the same text.
    await untilSlotIsFree(writer, rig.config.slot);
    await writer.query(`SELECT pg_drop_replication_slot($1)`, [rig.config.slot]);
    const again = rig.run({
      CROSSWALK_SLOT: `${rig.config.slot}_again`,
      CROSSWALK_TOPIC_PREFIX: `${rig.config.topicPrefix}_again`,
    });
    expect(await again.ended).toMatchObject({ code: 'text_unreadable' });
    await writer.end();
  } finally {
    await rig.drop();
  }
});
