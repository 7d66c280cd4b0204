import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellOf, type Relation, type Row, toChanges } from '../../changes/change.ts';
import { decodeMessage, type RelationMessage } from '../../changes/pgoutput.ts';
import { UNCHANGED } from '../../changes/sent-row.ts';
import { register as registerRelation } from '../../connectors/encoders.ts';
import type { Config } from '../../runtime/config.ts';
import { createDecoder } from '../../schemas/avro/decode.ts';
import { createEncoder } from '../../schemas/avro/encode.ts';
import { toFloat4Text, toFloat8Text } from '../../schemas/avro/float-text.ts';
import { createRegistry, type Registry, RegistryError } from '../../schemas/avro/registry.ts';
import { toKeySchema, toValueSchema } from '../../schemas/avro/relation-schema.ts';
import { schemaIdOf } from '../../schemas/avro/wire.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';
import { VALUES, WITHOUT_VALUES } from './avro-values.ts';

const TOPIC = `avro${process.pid}.public`;
const context = { timeline: 1, snapshot: 'false', transaction: null, processedMs: 1_700_000_000_000 } as const;
const staticOptions = { serverName: 'legacy', databaseName: 'legacy', connectorVersion: '0.1.0' };

/** What the pipeline asks of its connections; the database's own settings are the opposite. */
const PINNED =
  '-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c bytea_output=hex -c extra_float_digits=1 -c lc_monetary=C';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('avro');
  const hostile = new pg.Client({ connectionString: databases.legacyUrl });
  await hostile.connect();
  const { rows } = await hostile.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  for (const setting of [
    "DateStyle TO 'SQL, DMY'",
    'IntervalStyle TO iso_8601',
    "TimeZone TO 'Asia/Kathmandu'",
    'bytea_output TO escape',
    'extra_float_digits TO -10',
  ]) {
    await hostile.query(`ALTER DATABASE ${rows[0]!.name} SET ${setting}`);
  }
  await hostile.end();
  client = new pg.Client({
    connectionString: databases.legacyUrl,
    options: PINNED,
    types: { getTypeParser: () => (text: string) => text },
  });
  await client.connect();
});

afterAll(async () => {
  await client?.end();
  await databases?.drop();
});

function toTexts(row: Row): (string | null)[] {
  return Array.from({ length: row.length }, (_, position) => cellOf(row, position));
}

function throughAvro(relation: Relation, cells: Row): (string | null)[] {
  const encoder = createEncoder(relation, { ...staticOptions, topic: TOPIC, ids: { key: 1, value: 2 } });
  const place = { commitLsn: 1n, lsn: 1n, ordinal: 0, xid: 1, commitMicros: 1n };
  const message = encoder.encodeValue({ relation, op: 'c', before: null, after: cells, ...place }, context);
  const row = createDecoder(JSON.stringify(toValueSchema(relation, TOPIC))).decode(message).after!;
  return relation.columns.map((column) => row[column.name]!);
}

function toRelation(message: RelationMessage, key: string[]): Relation {
  const columns = message.columns.map((column) => ({ ...column, typeName: String(column.typeOid) }));
  return { oid: message.oid, schema: message.schema, table: message.table, columns, key };
}

/** What the slot holds: decoded messages, up to now. */
async function readSlot(slot: string, publication: string) {
  const { rows } = await client.query<{ data: string }>(
    `SELECT encode(data, 'hex') AS data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL,
       'proto_version', '1', 'publication_names', $2, 'messages', 'true')`,
    [slot, publication],
  );
  return rows.map((row) => decodeMessage(Buffer.from(row.data, 'hex')));
}

describe('every value of PostgreSQL comes back in its own text', () => {
  test('each built-in type is covered', async () => {
    const { rows } = await client.query<{ typname: string }>(
      `SELECT typname FROM pg_type
       WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A'
       UNION SELECT unnest(ARRAY['int2vector', 'oidvector'])`,
    );
    expect([...Object.keys(VALUES), ...WITHOUT_VALUES].sort()).toEqual(rows.map((row) => row.typname).sort());
  });

  test('streamed through pgoutput: all types, their arrays, enums, composites and domains', async () => {
    await client.query(`CREATE TYPE mood AS ENUM ('sad', 'größe'); CREATE TYPE pair AS (a int, b timestamptz);
      CREATE DOMAIN positive AS int8 CHECK (VALUE > 0)`);
    const columns = Object.keys(VALUES).map((type) => {
      const quoted = `pg_catalog.${pg.escapeIdentifier(type)}`;
      return { type, name: type, sqlType: quoted, values: VALUES[type]! };
    });
    const own = [
      { type: 'mood', name: 'an enum', sqlType: 'mood', values: ['sad', 'größe'] },
      { type: 'pair', name: 'a-pair', sqlType: 'pair', values: ['(1,"2025-01-01 00:00:00+02")'] },
      { type: 'positive', name: 'a_pair', sqlType: 'positive', values: ['9223372036854775807'] },
      {
        type: 'ts[]',
        name: '__proto__',
        sqlType: 'timestamptz[]',
        values: ['{NULL,"2025-01-01 00:00:00+02",infinity}'],
      },
      { type: 'text[]', name: 'class', sqlType: 'text[]', values: ['{}', '{{a,b},{"NULL",NULL}}', '[0:1]={x,"y,"}'] },
    ];
    const all = [...columns, ...own];
    const definitions = all.map(({ name, sqlType }) => `${pg.escapeIdentifier(name)} ${sqlType}`).join(', ');
    await client.query(`CREATE TABLE everything (row_number int PRIMARY KEY, ${definitions})`);
    await client.query('CREATE PUBLICATION everything FOR TABLE everything');
    await client.query('ALTER TABLE everything REPLICA IDENTITY FULL');
    const slot = `avro_${process.pid}`;
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);

    const height = Math.max(...all.map(({ values }) => values.length)) + 1;
    const names = all.map(({ name }) => pg.escapeIdentifier(name)).join(', ');
    const parameters = all.map((_, index) => `$${index + 2}`).join(', ');
    for (let row = 0; row < height; row++) {
      await client.query(`INSERT INTO everything (row_number, ${names}) VALUES ($1, ${parameters})`, [
        row,
        ...all.map(({ values }) => values[row] ?? null),
      ]);
    }
    const { rows } = await client.query({ text: 'SELECT * FROM everything ORDER BY row_number', rowMode: 'array' });

    const messages = await readSlot(slot, 'everything');
    const described = messages.find((message) => message.kind === 'relation')!;
    const relation = toRelation(described, ['row_number']);
    expect(described.replicaIdentity).toBe('f');
    const inserts = messages.filter((message) => message.kind === 'insert');
    expect(inserts.length).toBe(height);
    for (const [row, insert] of inserts.entries()) {
      const place = { commitLsn: 1n, lsn: 1n, ordinal: 0, xid: 1, commitMicros: 1n };
      const { after } = toChanges(insert, relation, place)[0]!;
      expect(toTexts(after!)).toEqual(rows[row]);
      expect(throughAvro(relation, after!)).toEqual(rows[row]);
    }
    await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
  });

  test('pgoutput as a server sends it: places, moved keys, values that were not sent, truncate, logical messages', async () => {
    await client.query(`CREATE TABLE notes (id int PRIMARY KEY, body text, n int);
      ALTER TABLE notes ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
      CREATE PUBLICATION notes FOR TABLE notes`);
    const slot = `avro_notes_${process.pid}`;
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
    const { rows: before } = await client.query<{ xid: string; micros: string }>(
      `INSERT INTO notes VALUES (1, repeat('long', 5000), 1)
       RETURNING pg_current_xact_id()::text AS xid, (extract(epoch FROM now()) * 1000000)::int8::text AS micros`,
    );
    await client.query('UPDATE notes SET n = 2; UPDATE notes SET id = 5; DELETE FROM notes');
    await client.query(`TRUNCATE notes RESTART IDENTITY; SELECT pg_logical_emit_message(true, 'mark', 'täxt')`);
    const messages = await readSlot(slot, 'notes');

    expect(messages.map((message) => message.kind).filter((kind) => kind !== 'begin' && kind !== 'commit')).toEqual([
      'relation',
      'insert',
      'update',
      'update',
      'delete',
      'relation',
      'truncate',
      'message',
    ]);
    const begin = messages.find((message) => message.kind === 'begin')!;
    const commit = messages.find((message) => message.kind === 'commit')!;
    expect(begin.xid).toBe(Number(BigInt.asUintN(32, BigInt(before[0]!.xid))));
    expect(begin.finalLsn).toBe(commit.commitLsn);
    expect(commit.endLsn > commit.commitLsn).toBe(true);
    const delay = begin.commitMicros - BigInt(before[0]!.micros);
    expect(delay >= 0n && delay < 60_000_000n).toBe(true);

    const relation = toRelation(messages.find((message) => message.kind === 'relation')!, ['id']);
    const place = { commitLsn: 1n, lsn: 1n, ordinal: 0, xid: 1, commitMicros: 1n };
    const long = 'long'.repeat(5000);
    const updates = messages.filter((message) => message.kind === 'update');
    expect(updates[0]!.after.cell(1)).toBe(UNCHANGED);
    const told = (update: (typeof updates)[number]) =>
      toChanges(update, relation, place).map(({ op, before, after, ordinal }) => {
        return [op, ordinal, before && toTexts(before), after && toTexts(after)];
      });
    expect(told(updates[0]!)).toEqual([['u', 0, ['1', long, '1'], ['1', long, '2']]]);
    expect(told(updates[1]!)).toEqual([
      ['d', 0, ['1', long, '2'], null],
      ['c', 1, null, ['5', long, '2']],
    ]);
    expect(messages.find((message) => message.kind === 'truncate')).toMatchObject({
      restartIdentity: true,
      cascade: false,
    });
    const mark = messages.find((message) => message.kind === 'message')!;
    expect([mark.prefix, mark.transactional, mark.content.toString()]).toEqual(['mark', true, 'täxt']);
    await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
  });

  test("floats have PostgreSQL's digits, at random and where the shortest decimal lies halfway", async () => {
    const doubles: number[] = [];
    const floats: number[] = [];
    const bits = new DataView(new ArrayBuffer(8));
    for (let index = 0; index < 20_000; index++) {
      for (const half of [0, 4]) bits.setUint32(half, Math.floor(Math.random() * 2 ** 32));
      doubles.push(bits.getFloat64(0));
      floats.push(bits.getFloat32(0));
      // Few digits times a power of ten, and whatever is next to it, are where halfway decimals are.
      const round = Math.ceil(Math.random() * 10 ** (1 + (index % 17))) * 10 ** (index % 40);
      bits.setFloat64(0, round);
      const neighbour = bits.getBigInt64(0) + BigInt(index % 3) - 1n;
      bits.setBigInt64(0, neighbour);
      doubles.push(round, bits.getFloat64(0), 2 ** ((index % 2000) - 1000), Math.random() * 10 ** (index % 30));
      floats.push(
        Math.fround(round % 3e38),
        Math.fround(2 ** ((index % 270) - 145)),
        Math.fround(Math.random() * 10 ** (index % 20)),
      );
    }
    const finite = (values: number[]) => values.filter((value) => Number.isFinite(value));
    for (const [type, values, toText] of [
      ['float8', finite(doubles), toFloat8Text],
      ['float4', finite(floats), toFloat4Text],
    ] as const) {
      const { rows } = await client.query<{ text: string }>(
        `SELECT value::text AS text FROM unnest($1::text[]) WITH ORDINALITY AS input(text, place),
           LATERAL (SELECT input.text::${type} AS value) AS given ORDER BY place`,
        [values.map((value) => (Object.is(value, -0) ? '-0' : String(value)))],
      );
      const wrong = values.filter((value, index) => toText(value) !== rows[index]!.text);
      expect(wrong).toEqual([]);
    }
  });
});

describe('the schema registry', () => {
  const { registryUrl } = stackAddresses();
  const registry = createRegistry({ baseUrl: registryUrl });
  afterAll(() => registry.close());

  const table = (name: string, columns: [string, number][]): Relation => ({
    oid: 1,
    schema: 'public',
    table: name,
    key: ['id'],
    columns: columns.map(([column, typeOid]) => ({ name: column, typeOid, typeName: '', typeModifier: -1 })),
  });
  const register = (relation: Relation) => {
    const topic = `${TOPIC}.${relation.table}`;
    return registry.register(`${topic}-value`, toValueSchema(relation, topic));
  };

  test('the same schema has the same id, another table another one', async () => {
    const relation = table('same', [
      ['id', 23],
      ['a', 25],
    ]);
    const id = await register(relation);
    expect(await register(structuredClone(relation))).toBe(id);
    expect(
      await register(
        table('same2', [
          ['id', 23],
          ['a', 25],
        ]),
      ),
    ).not.toBe(id);
    const topic = `${TOPIC}.same`;
    const keyId = await registry.register(`${topic}-key`, toKeySchema(relation, topic)!);
    expect(await registry.register(`${topic}-key`, toKeySchema(relation, topic)!)).toBe(keyId);
  });

  test('a registry that answered before it had read its storage is asked again, whether it takes the schema or not', async () => {
    const columns: [string, number][] = [
      ['id', 23],
      ['n', 23],
    ];
    const config = { topicPrefix: TOPIC, legacySchema: 'public' } as Config;
    const registerAt = (relation: Relation, at: Registry) => registerRelation(relation, at, config, 'legacy');
    await registerAt(table('starting', columns), registry);
    await registerAt(table('starting', [...columns, ['a-b', 25]]), registry);
    /** Knows no version the first time, as after a restart. */
    const starting = (): Registry => {
      const asked = new Set<string>();
      const versionsOf: Registry['versionsOf'] = async (subject) => {
        if (asked.has(subject)) return registry.versionsOf(subject);
        asked.add(subject);
        return [];
      };
      return { ...registry, versionsOf };
    };
    const waits = { code: 'server_down', message: expect.stringContaining('had not yet read all versions') };
    const bigint: [string, number][] = [
      ['id', 23],
      ['n', 20],
    ];
    await expect(registerAt(table('starting', bigint), starting())).rejects.toMatchObject(waits);
    await expect(registerAt(table('starting', bigint), registry)).rejects.toMatchObject({
      code: 'schema_incompatible',
    });
    const others: [string, number][] = [...columns, ['a_b', 25]];
    await expect(registerAt(table('starting', others), starting())).rejects.toMatchObject(waits);
  });

  test('what it keeps decodes what was encoded, by the id in the message', async () => {
    const relation = table('kept', [
      ['id', 20],
      ['größe', 1184],
    ]);
    const encoder = createEncoder(relation, {
      ...staticOptions,
      topic: `${TOPIC}.kept`,
      ids: { key: 1, value: await register(relation) },
    });
    const place = { commitLsn: 1n, lsn: 1n, ordinal: 0, xid: 1, commitMicros: 1n };
    const after = ['9223372036854775807', '2025-01-01 00:00:00.5+00'];
    const message = encoder.encodeValue({ relation, op: 'c', before: null, after, ...place }, context);
    const decoder = createDecoder(await registry.schemaById(schemaIdOf(message)));
    expect(decoder.decode(message).after).toEqual({ id: after[0], größe: after[1] });
  });

  test('columns come and go, each shape against all before it; a new type is refused with the remedy', async () => {
    const ids = [
      await register(
        table('evolving', [
          ['id', 23],
          ['a', 25],
        ]),
      ),
      await register(
        table('evolving', [
          ['id', 23],
          ['a', 25],
          ['b', 1184],
        ]),
      ),
      await register(table('evolving', [['id', 23]])),
      await register(
        table('evolving', [
          ['id', 23],
          ['b', 1184],
          ['c', 17],
        ]),
      ),
    ];
    expect(new Set(ids).size).toBe(4);
    // Two versions back, so that only a transitive rule sees it.
    const error = await register(
      table('evolving', [
        ['id', 23],
        ['a', 16],
      ]),
    ).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ retry: false });
    expect((error as Error).message).toMatch(/evolving-value.*another type.*new topic prefix/);
    expect(
      await register(
        table('evolving', [
          ['id', 23],
          ['a', 25],
        ]),
      ),
    ).toBe(ids[0]);
  });

  test('an id it does not know, and a schema that is none', async () => {
    const impatient = createRegistry({ baseUrl: registryUrl, unknownMs: 0 });
    await expect(impatient.schemaById(2_000_000_000)).rejects.toMatchObject({ retry: false });
    await expect(registry.register(`${TOPIC}.none-value`, { type: 'nonsense' })).rejects.toMatchObject({
      retry: false,
    });
  });

  test('an id that it does not know yet, for it has just been started', async () => {
    const id = await register(table('late', [['id', 23]]));
    let asked = 0;
    const starting = createHttpServer(async ({ url = '' }, answer) => {
      asked += 1;
      const response = asked < 3 ? null : await fetch(new URL(registryUrl).origin + url);
      answer.writeHead(response?.status ?? 404).end((await response?.text()) ?? '{}');
    });
    starting.listen(0, '127.0.0.1');
    await once(starting, 'listening');
    const { port } = starting.address() as AddressInfo;
    const address = registryUrl.replace(new URL(registryUrl).host, `127.0.0.1:${port}`);
    try {
      expect(await createRegistry({ baseUrl: address }).schemaById(id)).toBe(await registry.schemaById(id));
    } finally {
      starting.close();
    }
  });

  test('what is known is looked up, and nothing is written', async () => {
    const asked: string[] = [];
    const counting = createHttpServer(async (request, answer) => {
      const { method = '', url = '', headers } = request;
      asked.push(`${method} ${url.split('/').slice(4).join('/').replaceAll(TOPIC, 't')}`);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = method === 'GET' ? {} : { body: Buffer.concat(chunks) };
      const response = await fetch(new URL(registryUrl).origin + url, {
        method,
        headers: { 'content-type': headers['content-type']! },
        ...body,
      });
      answer.writeHead(response.status).end(await response.text());
    });
    counting.listen(0, '127.0.0.1');
    await once(counting, 'listening');
    const { port } = counting.address() as AddressInfo;
    const through = createRegistry({ baseUrl: registryUrl.replace(new URL(registryUrl).host, `127.0.0.1:${port}`) });
    const shape = (...more: string[]) =>
      toValueSchema(
        table(
          'looked',
          ['id', ...more].map((name) => [name, 25] as [string, number]),
        ),
        `${TOPIC}.looked`,
      );
    try {
      await through.register(`${TOPIC}.looked-value`, shape());
      const [lookUp, add] = ['POST subjects/t.looked-value', 'POST subjects/t.looked-value/versions'];
      expect(asked.splice(0)).toEqual([lookUp, 'PUT config/t.looked-value', add]);
      const id = await through.register(`${TOPIC}.looked-value`, shape('a'));
      expect(asked.splice(0)).toEqual([lookUp, add]);
      expect(await through.register(`${TOPIC}.looked-value`, shape('a'))).toBe(id);
      expect(asked.splice(0)).toEqual([lookUp]);
    } finally {
      through.close();
      counting.close();
    }
  });

  test('a schema is fetched once', async () => {
    const id = await register(table('once', [['id', 23]]));
    expect(registry.schemaById(id)).toBe(registry.schemaById(id));
    expect(JSON.parse(await registry.schemaById(id))).toEqual(
      toValueSchema(table('once', [['id', 23]]), `${TOPIC}.once`),
    );
  });

  test('one that is down, silent or closed: an error in time that says whether to try again, without the password', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const address = `http://user:pa55word@127.0.0.1:${port}/apis/ccompat/v7`;
    const patient = createRegistry({ baseUrl: address, timeoutMs: 200 });
    const failure = async (call: Promise<unknown>) => (await call.catch((reason: unknown) => reason)) as RegistryError;

    const late = await failure(patient.schemaById(1));
    expect(late).toMatchObject({ name: 'RegistryError', retry: true });
    expect(late.message).toContain('200 ms');
    const waiting = createRegistry({ baseUrl: address });
    const closed = failure(waiting.schemaById(1));
    waiting.close();
    expect(await closed).toMatchObject({ retry: false });
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
    const down = await failure(patient.schemaById(1));
    expect(down).toMatchObject({ retry: true });
    for (const error of [late, down, await closed]) {
      expect(`${error.stack} ${(error.cause as Error)?.stack}`).not.toContain('pa55word');
    }
  });

  test('a wrong path is not worth another try', async () => {
    const wrong = createRegistry({ baseUrl: `${registryUrl}/no-such-place` });
    await expect(wrong.register('a-value', { type: 'string' })).rejects.toMatchObject({ retry: false });
  });
});
