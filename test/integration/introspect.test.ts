// Types, projections and migrations that are made from a real catalog: of every kind of table, column, type and name that made some other generator write what does not compile,
// or what is not so. Rows are then read as the engine reads them, and held against their types and against their new tables.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LegacyRow, NewRow, Projection } from '../../projectors/projection.ts';
import { connect } from '../../runtime/postgres.ts';
import { readLegacyCatalog } from '../../scaffold/catalog.ts';
import { toTsText } from '../../scaffold/names.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import { runCli } from '../support/cli.ts';
import { createDatabases } from '../support/stack.ts';
import { createUserFolder, STRICT, typeCheck, type UserFolder, writeAll } from '../support/type-check.ts';

const LEGACY = String.raw`
  CREATE SCHEMA "Other Schema";
  CREATE TYPE "Other Schema"."Mood" AS ENUM ('ok', 'it''s', 'back\slash', '*/', '');
  CREATE TYPE mood AS ENUM ('of public');
  CREATE TYPE pair AS (a int, b text);
  CREATE TYPE floats AS RANGE (subtype = float8);
  CREATE DOMAIN email AS text NOT NULL CHECK (VALUE LIKE '%@%');
  CREATE DOMAIN size AS varchar(3) CHECK (VALUE IN ('s', 'm', 'l'));
  CREATE DOMAIN shirt_size AS size CHECK (VALUE IN ('m', 'l', 'xl'));
  CREATE DOMAIN key_number AS bigint;
  CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

  CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL,
    gone text,
    status text NOT NULL CHECK (status IN ('new', 'paid')),
    kind varchar(10) CHECK (kind IN ('a', 'b')),
    code char(4) CHECK (code IN ('x', 'yz')),
    either text CHECK (either IS NULL OR either = 'this' OR either = 'that'),
    level smallint CHECK (level IN (1, 2, -3)),
    big bigint CHECK (big IN (1, 9007199254740993)),
    loose text CHECK (loose IN ('a', NULL)),
    folded text COLLATE any_case CHECK (folded IN ('a')),
    price numeric(10, 2) CHECK (price IN (1, 2)),
    later text CHECK (later IN ('a', 'b')) NOT ENFORCED,
    mood "Other Schema"."Mood" NOT NULL,
    other_mood mood,
    moods "Other Schema"."Mood"[],
    some_moods "Other Schema"."Mood" CHECK (some_moods IN ('ok', '*/')),
    email email,
    size size NOT NULL,
    shirt shirt_size,
    pair pair,
    pairs pair[],
    span int4range,
    spans floats,
    numbers int[][],
    made_at timestamptz NOT NULL DEFAULT now(),
    until interval,
    data jsonb,
    raw bytea,
    bits bit(3),
    cost money,
    one "char",
    class regclass,
    deleted_at timestamptz,
    doubled numeric GENERATED ALWAYS AS (price * 2) STORED
  );
  ALTER TABLE orders DROP COLUMN gone;
  INSERT INTO orders (tenant_id, status, kind, code, either, level, big, loose, folded, price, later, mood, other_mood, moods, some_moods, email, size, shirt, pair, pairs, span, spans, numbers, until, data, raw, bits, cost, one, class, deleted_at) VALUES
    ('t1', 'new', 'a', 'x', 'this', 1, 9007199254740993, 'anything', 'A', 1, 'never', 'it''s', 'of public', '{ok,"it''s",NULL}', '*/', 'a@b', 's', 'm', '(1,"x, y")', ARRAY[(1, 'x')::pair], '[1,5)', '[0.5,1)', '{{1,2},{3,NULL}}', '1 day 02:03', '{"a": [1, null]}', '\x00ff', '101', '1.50', 'c', 'pg_class', now()),
    ('t2', 'paid', NULL, 'yz', NULL, -3, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, 'c@d', 'l', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  ALTER TABLE orders ADD COLUMN old_check text;
  UPDATE orders SET old_check = 'of before';
  ALTER TABLE orders ADD CHECK (old_check IN ('a', 'b')) NOT VALID;
  ALTER TABLE orders ADD COLUMN old_null text;
  ALTER TABLE orders ADD CONSTRAINT later_not_null NOT NULL old_null NOT VALID;

  CREATE TABLE "Order Items" ("Order No" int, line key_number, "Größe" text, "class" text NOT NULL, "a""b'c\d" text, note text, "NOTE" text,
    PRIMARY KEY (line, "Order No") INCLUDE (note));
  INSERT INTO "Order Items" VALUES (1, 2, 'g', 'c', 'q', 'n', 'N');
  CREATE TABLE numbered (number key_number PRIMARY KEY, "user" text);
  INSERT INTO numbered VALUES (7, 'u');
  CREATE TABLE events (at date NOT NULL, id uuid NOT NULL, kind text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id);
  CREATE TABLE events_2026_all PARTITION OF events_2026 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
  INSERT INTO events VALUES ('2026-02-03', 'A0000000-0000-4000-8000-00000000000A', 'k');
  CREATE TABLE keyless (note text);
  CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
  CREATE TABLE computed (id int PRIMARY KEY, shown text GENERATED ALWAYS AS ('x' || id) VIRTUAL);
  CREATE TABLE empty ();
  CREATE VIEW some_orders AS SELECT * FROM orders;
  CREATE TABLE "Other Schema".lonely (id int PRIMARY KEY);
`;

const reader = `introspect_${randomBytes(4).toString('hex')}`;
const SECRET = `secret-${randomBytes(6).toString('hex')}`;
let databases: Awaited<ReturnType<typeof createDatabases>>;
let legacy: pg.Client;
let env: Record<string, string>;
let user: UserFolder;
const out = (...names: string[]) => join(user.path, 'pipeline', ...names);
const introspect = (...args: string[]) => runCli(['introspect', ...args], env);
const tree = (folder: string) =>
  existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String).sort() : [];

beforeAll(async () => {
  databases = await createDatabases('introspect');
  legacy = await connect(databases.legacyUrl, 'test');
  await legacy.query(LEGACY);
  // The catalog is open to everybody: no right to read a single row is needed.
  await legacy.query(`CREATE ROLE ${reader} LOGIN PASSWORD '${SECRET}'`);
  const url = new URL(databases.legacyUrl);
  [url.username, url.password] = [reader, SECRET];
  env = { LEGACY_DATABASE_URL: url.href };
  user = createUserFolder();
  writeAll(user.path, [
    { path: 'tsconfig.json', text: STRICT },
    { path: 'package.json', text: '{ "type": "module" }' },
  ]);
});
afterAll(async () => {
  user?.remove();
  await legacy?.query(`DROP ROLE IF EXISTS ${reader}`).finally(() => legacy.end());
  await databases?.drop();
});

test('the catalog is read in one read-only transaction', async () => {
  const states = new Set<string>();
  const watched = {
    async query(...asked: [string]) {
      const { rows } = await legacy.query<{ state: string }>(
        `SELECT current_setting('transaction_read_only') || ' ' || current_setting('transaction_isolation') || ' ' || (now() = statement_timestamp()) AS state`,
      );
      states.add(rows[0]!.state);
      return await legacy.query(...asked);
    },
  } as unknown as pg.ClientBase;
  expect((await readLegacyCatalog(watched, 'public', [])).tables).toHaveLength(8);
  // Before it begins, and from then on.
  expect([...states]).toEqual(['off read committed true', 'on repeatable read false']);
});

describe('a dry run', () => {
  test('names what would be written, and writes nothing', async () => {
    const { code, stdout } = await introspect('--out', out(), '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toContain('/pipeline/projections/order-items.ts\n');
    expect(stdout).toContain("  import { orderItems } from './projections/order-items.ts';\n");
    expect(existsSync(out())).toBe(false);
  });
});

describe('the whole schema', () => {
  let result: {
    files: string[];
    tables: { table: string; projection: null | { constant: string; module: string }; notes: string[] }[];
  };
  const notesOf = (table: string) => result.tables.find((row) => row.table === table)!.notes.join('\n');

  beforeAll(async () => {
    const { code, stdout, stderr } = await introspect('--out', out(), '--json');
    expect(`${code} ${stderr}`).toBe('0 ');
    result = JSON.parse(stdout) as typeof result;
  });

  test('is its tables: no views, and no partitions beside their table', () => {
    expect(result.tables.map(({ table }) => table)).toEqual([
      'Order Items',
      'computed',
      'empty',
      'events',
      'keyless',
      'numbered',
      'orders',
      'scratch',
    ]);
    expect(tree(out()).filter((path) => /\.\w+$/.test(path))).toEqual([...result.files].sort());
  });

  test('says of each table why it cannot be captured as it is', () => {
    expect(notesOf('Order Items')).toContain('cannot be captured under its name');
    expect(notesOf('computed')).toContain('computed when read: "shown"');
    expect(notesOf('empty')).toContain('no primary key');
    expect(notesOf('keyless')).toContain('no primary key');
    expect(notesOf('scratch')).toContain('UNLOGGED');
    expect(notesOf('orders')).not.toContain('cannot be captured');
  });

  test('is TypeScript that compiles', () => {
    expect(typeCheck(user.path)).toBe('');
  });

  test.each([
    ['id', 'string'],
    ['status', "'new' | 'paid'"],
    ['kind', "'a' | 'b' | null"],
    ['code', "'x   ' | 'yz  ' | null"],
    ['either', "'this' | 'that' | null"],
    ['level', "'1' | '2' | '-3' | null"],
    ['big', "'1' | '9007199254740993' | null"],
    ['loose', 'Cell'],
    ['folded', 'Cell'],
    ['price', 'Cell'],
    ['later', 'Cell'],
    ['old_check', 'Cell'],
    ['old_null', 'Cell'],
    ['mood', String.raw`'ok' | 'it\'s' | 'back\\slash' | '*/' | ''`],
    ['other_mood', "'of public' | null"],
    ['some_moods', "'ok' | '*/' | null"],
    ['moods', 'Cell'],
    ['email', 'Cell'],
    ['size', "'s' | 'm' | 'l'"],
    ['shirt', "'m' | 'l' | null"],
    ['doubled', 'Cell'],
  ])('has %s as %s', (column, type) => {
    expect(readFileSync(out('legacy/orders.ts'), 'utf8')).toContain(`  readonly ${column}: ${type};\n`);
  });

  test('says of each column what PostgreSQL calls its type, and what the key is', () => {
    const text = readFileSync(out('legacy/order-items.ts'), 'utf8');
    expect(text).toContain('Primary key: "line", "Order No".');
    expect(text).toContain(
      '/** public.key_number; a domain over bigint; key column 1 of 2 */\n  readonly line: string;',
    );
    expect(text).toContain(String.raw`readonly 'a"b\'c\\d': Cell;`);
    expect(readFileSync(out('legacy/orders.ts'), 'utf8')).toContain('/** numeric(10,2) */\n  readonly price:');
  });

  /** Rows as the engine reads them. */
  const rowsOf = async (table: string): Promise<LegacyRow[]> =>
    (await legacy.query<LegacyRow>(`SELECT * FROM public.${quoteIdent(table)}`)).rows;

  test('has types that every row is of, to the letter', async () => {
    let constants = '';
    for (const [table, type, file] of [
      ['orders', 'OrdersRow', 'orders'],
      ['Order Items', 'OrderItemsRow', 'order-items'],
      ['numbered', 'NumberedRow', 'numbered'],
      ['events', 'EventsRow', 'events'],
    ] as const) {
      const rows = (await rowsOf(table)).map((row) => {
        const cells = Object.entries(row).map(
          ([name, cell]) => `[${toTsText(name)}]: ${cell === null ? 'null' : toTsText(cell)}`,
        );
        return `{ ${cells.join(', ')} }`;
      });
      expect(rows.length).toBeGreaterThan(0);
      constants += `import type { ${type} } from './legacy/${file}.ts';\nexport const of${type}: ${type}[] = [${rows.join(', ')}];\n`;
    }
    const wrong = "// @ts-expect-error: no member of the enum\nexport const wrong: OrdersRow['mood'] = 'of public';\n";
    writeFileSync(out('rows.ts'), `${constants}${wrong}`);
    expect(typeCheck(user.path)).toBe('');
  });

  test('has migrations and projections that fit together, and hold every cell', async () => {
    const target = await connect(databases.targetUrl, 'test');
    try {
      await target.query('CREATE SCHEMA app; CREATE SCHEMA crosswalk');
      await target.query(
        "CREATE FUNCTION crosswalk.adopt(projected regclass, stage integer) RETURNS void LANGUAGE sql AS 'SELECT'",
      );
      const ups = tree(out('migrations')).filter((file) => file.endsWith('.up.sql'));
      expect(ups.map((file) => file.slice(0, 3))).toEqual(ups.map((_, at) => String(at + 1).padStart(3, '0')));
      for (const file of ups) await target.query(readFileSync(out('migrations', file), 'utf8'));
      for (const { table, projection: of } of result.tables) {
        if (of === null) continue;
        const module = (await import(out(of.module))) as Record<string, Projection>;
        const projection = module[of.constant]!;
        const [{ table: name, columns }] = projection.owned as [Projection['owned'][number]];
        for (const row of await rowsOf(table)) {
          const mapped = projection.map(row, (() => ({})) as never).rows[name]![0] as NewRow;
          const names = columns.map(quoteIdent).join(', ');
          const parameters = columns.map((_, at) => `$${at + 1}`).join(', ');
          const { rows } = await target.query<NewRow>(
            `INSERT INTO app.${quoteIdent(name)} (${names}) VALUES (${parameters}) RETURNING ${names}`,
            columns.map((column) => mapped[column]),
          );
          expect(rows[0]).toEqual(mapped);
        }
      }
      const { rows } = await target.query<{ id: string; tenant_id: string; legacy_deleted_at: string }>(
        'SELECT id, tenant_id, legacy_deleted_at FROM app.orders ORDER BY id',
      );
      expect(rows.map(({ tenant_id }) => tenant_id)).toEqual(['t1', 't2']);
      expect(rows[0]!.legacy_deleted_at).not.toBeNull();
      for (const file of ups.reverse())
        await target.query(readFileSync(out('migrations', file.replace('.up.', '.down.')), 'utf8'));
      const { rows: left } = await target.query(`SELECT FROM pg_class WHERE relnamespace = 'app'::regnamespace`);
      expect(left).toEqual([]);
    } finally {
      await target.end();
    }
  });

  test('is not written a second time: files that exist are named, and none is touched', async () => {
    writeFileSync(out('legacy/orders.ts'), '// mine\n');
    const before = tree(user.path);
    const { code, stdout, stderr } = await introspect('orders', '--out', out());
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /Nothing is written: \S*legacy\/orders\.ts, \S*projections\/orders\.ts exist already\. Move what is there away/,
    );
    expect(tree(user.path)).toEqual(before);
    expect(readFileSync(out('legacy/orders.ts'), 'utf8')).toBe('// mine\n');
    const dry = await introspect('orders', '--out', out(), '--dry-run', '--json');
    expect(dry.code).toBe(1);
    expect(JSON.parse(dry.stdout)).toMatchObject({
      written: false,
      existing: ['legacy/orders.ts', 'projections/orders.ts'],
    });
  });
});

describe('the schema of the new tables', () => {
  const schemaOf = async (more: Record<string, string>) => {
    const to = out(`../schema-${Object.keys(more).length}`);
    const { code, stderr } = await runCli(['introspect', 'numbered', '--out', to], { ...env, ...more });
    expect(`${code} ${stderr}`).toBe('0 ');
    return /CREATE TABLE (\w+)\./.exec(readFileSync(join(to, 'migrations/001_numbered.up.sql'), 'utf8'))?.[1];
  };

  test('is that of the pipeline, and app where there is none but the shipped one', async () => {
    writeAll(user.path, [
      {
        path: 'own.ts',
        text: `import { definePipeline } from 'crosswalk';
          export default definePipeline({ name: 'own', folder: import.meta.dirname, targetSchema: 'own_schema', sources: ['numbered'], projections: [], migrations: 'migrations',
            tenants: { file: 'tenants.json', parse: () => () => ({}) }, stages: ['all'] });\n`,
      },
    ]);
    expect(await schemaOf({ CROSSWALK_CONFIG: join(user.path, 'own.ts') })).toBe('own_schema');
    expect(await schemaOf({})).toBe('app');
  });
});

describe('tables that are named', () => {
  test('are read from their schema, and numbered behind the migrations that are there', async () => {
    writeAll(out(), [{ path: '../second/migrations/041_mine.up.sql', text: '' }]);
    const { code, stderr } = await introspect(
      'lonely',
      '--schema',
      'Other Schema',
      '--target-schema',
      'select',
      '--out',
      out('../second'),
    );
    expect(`${code} ${stderr}`).toBe('0 ');
    expect(tree(out('../second'))).toContain('migrations/042_lonely.up.sql');
    expect(readFileSync(out('../second/migrations/042_lonely.up.sql'), 'utf8')).toContain(
      'CREATE TABLE "select".lonely (',
    );
  });

  test.each([
    [['nothing'], 'The legacy database has no table public.nothing. Write its name as it is in the catalog'],
    [['ORDERS'], 'The legacy database has no table public.ORDERS.'],
    [['some_orders'], 'public.some_orders is a view, which has no changes of its own. Name the tables'],
    [['events_2026_all'], 'public.events_2026_all is a partition of public.events. Name public.events in its place.'],
    [['--schema', 'nowhere'], 'The legacy database has no table in schema nowhere. Name the schema that has them'],
  ])('%s: refused in one line', async (args, line) => {
    const { code, stderr, stdout } = await introspect(...args, '--out', out('../third'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(line);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain(SECRET);
    expect(existsSync(out('../third'))).toBe(false);
  });
});
