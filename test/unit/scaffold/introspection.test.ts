import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { introspect } from '../../../scaffold/introspection.ts';
import type { LegacyCatalog } from '../../../scaffold/legacy-table.ts';
import { createUserFolder, STRICT, typeCheck, type UserFolder, writeAll } from '../../support/type-check.ts';
import { catalogOf, columnOf, tableOf, typeOf } from './catalog-of.ts';

const options = { targetSchema: 'app', tenantColumn: 'tenant_id', firstMigration: 1 };
const make = (catalog: LegacyCatalog) => {
  const { files, tables } = introspect(catalog, options);
  const text = (path: string) =>
    files.find((file) => file.path === path)?.text ?? `no ${path}: ${files.map((file) => file.path)}`;
  return { files, tables, text };
};
/** The line of a property, or of a column. */
const lineOf = (text: string, begin: string) =>
  text
    .split('\n')
    .find((line) => line.trimStart().startsWith(begin))
    ?.trim();

describe('the type of a row', () => {
  const mood = typeOf('public.mood', {
    schema: 'public',
    kind: 'e',
    labels: ["it's", 'back\\slash', 'line\nend', '*/'],
  });
  const tone = typeOf('public.tone', {
    ...{ schema: 'public', kind: 'd', base: { oid: 'character varying', modifier: 24, name: 'character varying(20)' } },
    checks: ["CHECK (((VALUE)::text = ANY ((ARRAY['loud'::character varying, 'low'::character varying])::text[])))"],
  });
  const fieldOf = (column: ReturnType<typeof columnOf>, checks: string[] = []) => {
    const table = tableOf('t', [columnOf('id', 'integer'), column], { checks });
    return lineOf(
      make(catalogOf([table], [mood, tone, typeOf('public.citext', { schema: 'public' })])).text('legacy/t.ts'),
      'readonly x:',
    );
  };

  test('has text, or null where the column may', () => {
    expect(fieldOf(columnOf('x'))).toBe('readonly x: Cell;');
    expect(fieldOf(columnOf('x', 'text', { notNull: true }))).toBe('readonly x: string;');
  });

  test('has the members of an enum, of a domain, of a constraint, and what they share', () => {
    expect(fieldOf(columnOf('x', 'public.mood'))).toBe(
      String.raw`readonly x: 'it\'s' | 'back\\slash' | 'line\u{a}end' | '*/' | null;`,
    );
    expect(fieldOf(columnOf('x', 'public.tone', { notNull: true }))).toBe("readonly x: 'loud' | 'low';");
    expect(fieldOf(columnOf('x', 'public.tone'), ["CHECK (((x)::text = 'low'::text))"])).toBe(
      "readonly x: 'low' | null;",
    );
    expect(fieldOf(columnOf('x', 'integer'), ['CHECK ((x = ANY (ARRAY[1, 2])))'])).toBe(
      "readonly x: '1' | '2' | null;",
    );
  });

  test('fills members of character(n) up with blanks, as its cells are', () => {
    const check = ["CHECK ((x = ANY (ARRAY['a'::bpchar, 'bcd '::bpchar])))"];
    expect(fieldOf(columnOf('x', 'character', { modifier: 7 }), check)).toBe("readonly x: 'a  ' | 'bcd' | null;");
    expect(fieldOf(columnOf('x', 'character'), check)).toBe('readonly x: Cell;');
  });

  test('is any text where equal values have several', () => {
    expect(fieldOf(columnOf('x', 'numeric'), ['CHECK ((x = ANY (ARRAY[1, 2])))'])).toBe('readonly x: Cell;');
    expect(fieldOf(columnOf('x', 'text', { isDeterministic: false }), ["CHECK ((x = 'a'::text))"])).toBe(
      'readonly x: Cell;',
    );
    expect(fieldOf(columnOf('x', 'text'), ['CHECK (((x)::integer = 1))'])).toBe('readonly x: Cell;');
    expect(fieldOf(columnOf('x'), ["CHECK ((y = 'a'::text))"])).toBe('readonly x: Cell;');
    expect(fieldOf(columnOf('x', 'public.citext'), ["CHECK ((x = 'a'::public.citext))"])).toBe('readonly x: Cell;');
  });

  test('leaves out what is not in the log', () => {
    const table = tableOf('t', [
      columnOf('id', 'integer'),
      columnOf('x', 'text', { generated: 's' }),
      columnOf('y', 'text', { generated: 'v' }),
    ]);
    const old = make(catalogOf([table], [], { sendsGenerated: false })).text('legacy/t.ts');
    expect(lineOf(old, 'readonly x')).toBeUndefined();
    expect(old).toContain(' * Not in the log: "x", which is computed.\n');
    const sent = make(catalogOf([table])).text('legacy/t.ts');
    expect(lineOf(sent, 'readonly x')).toBe('readonly x: Cell;');
    expect(sent).toContain(' * Not in the log: "y", which is computed when it is read.\n');
  });
});

describe('the skeleton of a projection', () => {
  const write = (columns: ReturnType<typeof columnOf>[], key: string[]) => {
    const made = make(catalogOf([tableOf('t', columns, { key })]));
    return { ...made, projection: made.text('projections/t.ts'), sql: made.text('migrations/001_t.up.sql') };
  };

  test.each(['uuid', 'smallint', 'integer', 'bigint'])('carries a key of type %s over', (type) => {
    const { projection, sql } = write([columnOf('no', type), columnOf('name')], ['no']);
    expect(projection).toContain("scope: { column: 'id', of: (legacyKey) => legacyKey }");
    expect(lineOf(projection, 'id: ')).toBe('id: row.no,');
    expect(projection).not.toContain('no: row.no');
    expect(lineOf(sql, 'id ')).toMatch(new RegExp(`^id ${type} PRIMARY KEY`));
  });

  test('derives the id from any other key, as the engine spells it', () => {
    const single = write([columnOf('code')], ['code']);
    expect(lineOf(single.projection, 'const toId')).toBe(
      `const toId = (legacyKey: string) => uuid5(\`t:\${legacyKey}\`);`,
    );
    expect(lineOf(single.projection, 'id: ')).toBe('id: toId(row.code),');
    expect(lineOf(single.sql, 'id ')).toBe('id uuid PRIMARY KEY DEFAULT gen_random_uuid(),');
    const composite = write([columnOf('a', 'integer'), columnOf('b', 'integer')], ['b', 'a']);
    expect(lineOf(composite.projection, 'id: ')).toBe('id: toId(JSON.stringify([row.b, row.a])),');
  });

  test('requires what its type says is never null', () => {
    const { projection } = write(
      [columnOf('id', 'integer'), columnOf('a', 'text', { notNull: true }), columnOf('b')],
      ['id'],
    );
    expect(projection).toContain("requires: ['id', 'a'],");
    expect(projection).toContain("reads: ['id', 'a', 'b'],");
  });

  test('gives way to the columns of the engine', () => {
    const { projection, sql, tables } = write(
      [columnOf('code'), columnOf('id'), columnOf('deleted_at'), columnOf('legacy_id')],
      ['code'],
    );
    expect(projection).toContain(
      "columns: ['id', 'tenant_id', 'code', 'legacy_id_2', 'legacy_deleted_at', 'legacy_id'],",
    );
    expect(lineOf(projection, 'legacy_id_2:')).toBe('legacy_id_2: row.id,');
    expect(lineOf(sql, 'legacy_deleted_at')).toBe('legacy_deleted_at text,');
    expect(tables[0]!.notes).toContain('"deleted_at" becomes legacy_deleted_at');
  });

  test('takes the tenant from its column, and says where there is none', () => {
    const of = write([columnOf('id', 'integer'), columnOf('tenant_id', 'integer')], ['id']);
    expect(lineOf(of.projection, 'tenant_id:')).toBe('tenant_id: toTenantId(row.tenant_id),');
    expect(lineOf(of.projection, 'tenant:')).toBe("tenant: { column: 'tenant_id' },");
    expect(of.sql.match(/tenant_id/g)).toHaveLength(1);
    const without = write([columnOf('id', 'integer')], ['id']);
    expect(lineOf(without.projection, 'tenant_id:')).toMatch(/^tenant_id: 'main',/);
    expect(without.tables[0]!.notes.join()).toContain('no column tenant_id');
  });

  test('makes text of types that the new database does not have', () => {
    const types = [
      typeOf('public.mood', { schema: 'public', kind: 'e', labels: ['a'] }),
      typeOf('public.mood[]', { schema: 'public', element: 'public.mood' }),
      typeOf('integer[]', { element: 'integer' }),
      typeOf('public.area', { schema: 'public', delimiter: ';' }),
      typeOf('public.area[]', { schema: 'public', element: 'public.area' }),
      typeOf('public.pair', { schema: 'public', kind: 'c' }),
      typeOf('public.short', {
        schema: 'public',
        kind: 'd',
        base: { oid: 'character varying', modifier: 24, name: 'character varying(20)' },
      }),
    ];
    const of = {
      m: 'public.mood',
      ms: 'public.mood[]',
      ns: 'integer[]',
      as: 'public.area[]',
      p: 'public.pair',
      s: 'public.short',
      r: 'regclass',
    };
    const columns = Object.entries(of).map(([name, type]) => columnOf(name, type));
    const sql = make(catalogOf([tableOf('t', [columnOf('id', 'integer'), ...columns])], types)).text(
      'migrations/001_t.up.sql',
    );
    expect([...sql.matchAll(/^ {2}(\w+) (.*),$/gm)].map((match) => [match[1], match[2]]).slice(2)).toEqual([
      ...[
        ['m', 'text'],
        ['ms', 'text[]'],
        ['ns', 'integer[]'],
        ['as', 'text'],
        ['p', 'text'],
        ['s', 'character varying(20)'],
        ['r', 'text'],
      ],
    ]);
  });

  test('ends its migration with crosswalk.adopt, and quotes what needs it', () => {
    const made = make(catalogOf([tableOf('user', [columnOf('id', 'integer'), columnOf('order')])]));
    const sql = made.text('migrations/001_user.up.sql');
    expect(sql).toContain('CREATE TABLE app."user" (');
    expect(lineOf(sql, '"order"')).toBe('"order" text,');
    expect(sql.trimEnd().split('\n').at(-1)).toBe(`SELECT crosswalk.adopt('app."user"', 0);`);
    expect(made.text('migrations/001_user.down.sql')).toBe('DROP TABLE app."user";\n');
  });
});

test('migrations are numbered behind those that are there, by three digits', () => {
  const catalog = catalogOf(['a', 'b'].map((name) => tableOf(name, [columnOf('id', 'integer')])));
  const paths = introspect(catalog, { ...options, firstMigration: 998 }).files.map(({ path }) => path);
  expect(paths.filter((path) => path.endsWith('.up.sql'))).toEqual([
    'migrations/998_a.up.sql',
    'migrations/999_b.up.sql',
  ]);
  expect(() => introspect(catalog, { ...options, firstMigration: 999 })).toThrow(/three digits/);
});

describe('a table that cannot be captured', () => {
  const notes = (table: ReturnType<typeof tableOf>) => make(catalogOf([table])).tables[0]!;

  test('has a type and no projection without a key', () => {
    const made = make(catalogOf([tableOf('t', [columnOf('x')], { key: [] })]));
    expect(made.files.map(({ path }) => path)).toEqual(['legacy/t.ts']);
    expect(made.tables[0]).toMatchObject({ projection: null, notes: [expect.stringContaining('no primary key')] });
  });

  test('is said to be one', () => {
    expect(notes(tableOf('Odd', [columnOf('id')])).notes.join()).toContain('cannot be captured under its name');
    expect(notes(tableOf('t', [columnOf('id')], { isUnlogged: true })).notes.join()).toContain('UNLOGGED');
    expect(notes(tableOf('t', [columnOf('id'), columnOf('v', 'text', { generated: 'v' })])).notes.join()).toContain(
      'computed when read: "v"',
    );
    expect(notes(tableOf('t', [columnOf('id')])).notes.join()).not.toContain('captured');
  });
});

// Each of these broke the output of some other generator.
const NAMES = [
  ...[
    'order',
    'class',
    'delete',
    'default',
    'await',
    'eval',
    'constructor',
    '__proto__',
    'toString',
    'Cell',
    'row',
    'legacy',
    'uuid5',
  ],
  ...[
    'Order Details',
    'order_details',
    'OrderDetails',
    'order-details',
    '1example',
    '0000',
    '42',
    '_',
    '__',
    '$',
    'a"b',
    "it's",
    'back\\slash',
  ],
  ...[
    `\`tick\${x}\``,
    'star*/end',
    '// slash',
    'new\nline',
    'para\u2029graph',
    'zero\u200bwidth',
    'größe',
    '数量',
    'é',
    'e\u0301',
    '🙂',
    'X'.repeat(63),
  ],
  ...['a_1', 'a1', 'A1', 'deleted_at', 'tenant', 'origin'],
];

describe('names of every kind', () => {
  let folder: UserFolder;
  const columns = [
    columnOf('id', 'integer'),
    ...NAMES.map((name) => columnOf(name, 'text', { notNull: name.length % 2 === 0 })),
  ];
  const made = make(
    catalogOf([
      ...NAMES.map((name) => tableOf(name, columns)),
      ...NAMES.map((name) => tableOf(`key ${name}`, [columnOf(name), columnOf('other')], { key: [name] })),
      tableOf('keyless', columns, { key: [] }),
    ]),
  );
  beforeAll(() => {
    folder = createUserFolder();
    const modules = made.tables.flatMap(({ projection }) => (projection === null ? [] : [projection]));
    const all = modules.map(({ constant, module }) => `import { ${constant} } from '${module}';`);
    writeAll(folder.path, [
      ...made.files,
      {
        path: 'all.ts',
        text: `${all.join('\n')}\nexport const all = [${modules.map(({ constant }) => constant).join(', ')}];\n`,
      },
      { path: 'tsconfig.json', text: STRICT },
      { path: 'package.json', text: '{ "type": "module" }' },
    ]);
  });
  afterAll(() => folder.remove());

  test('become TypeScript that compiles', () => {
    expect(typeCheck(folder.path)).toBe('');
  });

  test('become files and constants that are apart on every disk', () => {
    const paths = made.files.map(({ path }) => path.toLowerCase());
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of paths) expect(path).toMatch(/^[a-z]+\/[a-z0-9_.-]+$/);
  });

  test('become projections that load, under names for metrics and columns that are distinct', async () => {
    const { all } = (await import(`${folder.path}/all.ts`)) as {
      all: {
        name: string;
        owned: { columns: string[] }[];
        map: (row: object, tenants: () => object) => { rows: Record<string, object[]> };
      }[];
    };
    expect(all).toHaveLength(made.tables.length - 1);
    for (const projection of all) {
      expect(projection.name).toMatch(/^[a-z][a-z0-9_]{0,40}$/);
      const [{ columns: declared }] = projection.owned as [{ columns: string[] }];
      expect(new Set(declared).size).toBe(declared.length);
      const rows = projection.map({ id: '1' }, () => ({})).rows[projection.name]!;
      expect(Object.keys(rows[0]!).sort()).toEqual([...declared].sort());
    }
  });

  test('say nothing that a comment would end at', () => {
    for (const { path, text } of made.files.filter((file) => file.path.endsWith('.sql')))
      for (const line of text.split(/[\n\r\u2028\u2029]/))
        expect(`${path}: ${line}`).toMatch(/: (-- .*|CREATE TABLE .*|DROP TABLE .*|SELECT crosswalk\..*| {2}.*|\);|)$/);
  });
});
