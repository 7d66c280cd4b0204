// The field of a column in the log does not depend on its neighbours: a reader of the newest schema finds old cells under the column that they are of.
import avsc from 'avsc';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { topicOf } from '../../../runtime/config.ts';
import { createRegistry } from '../../../schemas/avro/registry.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { readCommitted } from '../../support/read-log.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('fields', {
    tables: ['t'],
    schema: `CREATE TABLE t (id integer PRIMARY KEY, "a-b" text, gone text); INSERT INTO t VALUES (1, 'of a-b', 'of gone')`,
    env: { LOG_LEVEL: 'silent' },
  });
});
afterAll(() => rig?.drop());

/** Every event's row by field, as a foreign reader sees it that resolves into the newest schema. */
async function readResolved(): Promise<Record<string, unknown>[]> {
  const registry = createRegistry({ baseUrl: rig.env.SCHEMA_REGISTRY_URL! });
  const topic = topicOf(rig.config, 't');
  const versions = await registry.versionsOf(`${topic}-value`);
  const long = avsc.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(value);
      return bytes;
    },
    fromJSON: BigInt,
    toJSON: Number,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  });
  const compile = (json: string) =>
    avsc.Type.forSchema(JSON.parse(json), {
      wrapUnions: false,
      registry: { long },
    } as unknown as avsc.ForSchemaOptions);
  const reader = compile(versions.at(-1)!);
  const rows: Record<string, unknown>[] = [];
  for (const { message } of await readCommitted(rig.env.KAFKA_BROKERS!, [topic])) {
    if (message.value === null) continue;
    const schema = await registry.schemaById(message.value.readInt32BE(1));
    const writer = compile(schema);
    const event = reader.fromBuffer(message.value.subarray(5), reader.createResolver(writer)) as { after: object };
    rows.push({ ...event.after });
  }
  registry.close();
  return rows;
}

test('a neighbour whose own name is the adjusted one, of another type, does not take the field', async () => {
  const connector = rig.run();
  await rig.untilCaughtUp();
  await rig.legacy.query(`ALTER TABLE t ADD COLUMN a_b integer; INSERT INTO t VALUES (2, 'of a-b', 'of gone', 7)`);
  await rig.untilCaughtUp();
  expect(await readResolved()).toEqual([
    { id: 1, a_b: 'of a-b', gone: 'of gone', a_b_2: null },
    { id: 2, a_b: 'of a-b', gone: 'of gone', a_b_2: 7 },
  ]);
  await rig.legacy.query(`UPDATE t SET gone = 'written again' WHERE id = 1`);
  await rig.untilCaughtUp();
  expect((await rig.readCheckedLog()).differences).toEqual([]);
  // Nor does a column whose adjusted name is that of one that went.
  await rig.legacy.query(
    `ALTER TABLE t RENAME gone TO "1"; ALTER TABLE t DROP "a-b"; ALTER TABLE t ADD "a b" text; INSERT INTO t VALUES (3, 'of 1', 8, 'of a b')`,
  );
  await rig.untilCaughtUp();
  await connector.stop();
  const again = rig.run();
  await rig.legacy.query(`UPDATE t SET "a b" = 'again' WHERE id = 3`);
  await rig.untilCaughtUp();
  const resolved = await readResolved();
  expect(resolved.filter(({ id }) => id === 3)).toEqual([
    { id: 3, _1: 'of 1', a_b_2: 8, a_b_3: 'of a b' },
    { id: 3, _1: 'of 1', a_b_2: 8, a_b_3: 'again' },
  ]);
  expect(resolved.find(({ id }) => id === 1)).toEqual({ id: 1, _1: null, a_b_2: null, a_b_3: null });
  await again.stop();
});
