import { describe, expect, test } from 'vitest';
import type { Facts } from '../../../assess/facts.ts';
import { type Finding, judge, type ReadTables, toSound, toVerdict } from '../../../assess/judge.ts';
import type { MappingSummary } from '../../../assess/mapping.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { CAPTURE, NO_MAPPING, soundFacts, soundServer, soundTable } from '../../support/assess-facts.ts';

const people = { name: 'people', source: 'people' } as Projection;

function findingsOf(
  facts: Facts,
  mapping: MappingSummary = NO_MAPPING,
  read: ReadTables = {},
  tables: readonly string[] = facts.tables.map(({ name }) => name),
): Finding[] {
  return judge(facts, { capture: { ...CAPTURE, tables }, projections: [people], mapping, read });
}

const ofLevel = (findings: readonly Finding[], level: Finding['level']) =>
  findings.filter((finding) => finding.level === level).map(({ what, remedy }) => `${what} | ${remedy}`);

test('nothing is said of a database that is as it must be', () => {
  expect(findingsOf(soundFacts())).toEqual([]);
  expect(toVerdict([])).toBe('ready');
});

test('what is as it must be is said, and nothing else is said of', () => {
  const ok = { area: 'source', name: 'capacity', state: 'ok', what: '1 of 10 slots', remedy: null } as const;
  expect(toSound(soundFacts({ checks: [ok] }))).toEqual([
    '1 of 10 slots',
    'wal_level is logical',
    'role connector may stream changes',
    'role connector may read the tables',
    'no transaction has been open for ten minutes',
    'there are no prepared transactions',
  ]);
  const { role } = soundServer();
  const server = soundServer({
    role: { ...role, mayReplicate: false, unreadable: ['people'], seesOthers: false },
    prepared: { count: 1, oldestSeconds: 1 },
  });
  expect(toSound(soundFacts({ server, checks: [{ ...ok, state: 'failing' }] }, {}, { walLevel: 'replica' }))).toEqual(
    [],
  );
});

test('what crosswalk sets up itself leaves a database ready, in the order of what matters', () => {
  const found = findingsOf(
    soundFacts(
      { server: soundServer({ role: { ...soundServer().role, isSuperuser: true } }) },
      { people: { identity: 'd' } },
      { publication: null },
    ),
  );
  expect(ofLevel(found, 'setup')).toEqual([
    expect.stringContaining('is a superuser'),
    expect.stringMatching(/^Not REPLICA IDENTITY FULL: people/),
    expect.stringMatching(/^The legacy database has no publication crosswalk/),
  ]);
  expect(toVerdict(found)).toBe('ready');
  const levels = findingsOf(
    soundFacts({ server: soundServer({ isStandby: true, encoding: 'SQL_ASCII' }), others: [soundTable('other')] }),
  ).map(({ level }) => level);
  expect(levels).toEqual(['blocked', 'work', 'note']);
});

describe('a table', () => {
  const keyless = (changes: object) =>
    soundFacts({ tables: [soundTable('people', { primaryKey: [], ...changes })] }, { people: { key: '' } });

  test('without a key is blocked', () => {
    const found = findingsOf(keyless({}));
    expect(ofLevel(found, 'blocked')).toEqual([
      expect.stringMatching(/^Table people has no primary key, and no unique index .*GENERATED ALWAYS AS IDENTITY/),
    ]);
    expect(toVerdict(found)).toBe('blocked');
  });

  test('without a key but with an index that can be one needs work, with the statement', () => {
    const found = findingsOf(
      keyless({ candidates: [{ index: 'People by no', columns: ['no'], nullable: [], isConstraint: false }] }),
    );
    expect(ofLevel(found, 'work')).toEqual([
      expect.stringContaining('ALTER TABLE public.people ADD PRIMARY KEY USING INDEX "People by no";'),
    ]);
    expect(toVerdict(found)).toBe('needs work');
  });

  test('whose index has columns that may be null is blocked, and told which', () => {
    const found = findingsOf(
      keyless({ candidates: [{ index: 'x', columns: ['a', 'b'], nullable: ['b'], isConstraint: false }] }),
    );
    expect(ofLevel(found, 'blocked')).toEqual([expect.stringContaining('ALTER b SET NOT NULL')]);
  });

  test.each(['foreign', 'view', 'materialised view'] as const)('that is a %s is blocked', (kind) => {
    const found = findingsOf(soundFacts({ tables: [soundTable('people', { kind, primaryKey: [] })] }));
    expect(ofLevel(found, 'blocked')).toEqual([expect.stringContaining('its changes are not in the log')]);
  });

  test('that is not there, or not captured and read, is blocked', () => {
    expect(ofLevel(findingsOf(soundFacts(), NO_MAPPING, {}, ['people', 'gone']), 'blocked')).toEqual([
      expect.stringContaining('has no table gone'),
    ]);
    const other = soundFacts({ tables: [soundTable('other')] });
    expect(ofLevel(findingsOf(other), 'blocked')).toEqual([
      expect.stringContaining('Projections read tables that are not captured: people'),
    ]);
  });

  test('that is unlogged needs work', () => {
    const found = findingsOf(soundFacts({}, { people: { persistence: 'u' } }));
    expect(ofLevel(found, 'work')).toEqual([expect.stringContaining('SET LOGGED')]);
  });

  test('with columns that are computed when read is blocked', () => {
    expect(ofLevel(findingsOf(soundFacts({}, { people: { generated: ['v'] } })), 'blocked')).toHaveLength(1);
  });

  test('that hides rows needs work', () => {
    const found = findingsOf(soundFacts({}, { people: { hidesRows: true } }));
    expect(ofLevel(found, 'work')).toEqual([expect.stringContaining('ALTER ROLE connector BYPASSRLS')]);
  });
});

describe('the server', () => {
  test('is told by what its provider has in the place of a superuser', () => {
    const signs = { ...soundServer().signs, roles: ['rds_superuser'] };
    const role = { ...soundServer().role, mayReplicate: false };
    const found = findingsOf(
      soundFacts({ server: soundServer({ signs, role }) }, { people: { hidesRows: true } }, { walLevel: 'replica' }),
    );
    expect(found.map(({ level, remedy }) => [level, remedy])).toEqual([
      ['work', expect.stringContaining('rds.logical_replication = 1')],
      ['work', expect.stringContaining("member of the tables' owner")],
      ['setup', expect.stringContaining('GRANT rds_replication TO connector;')],
    ]);
  });

  test.each([
    [[], 'Run ALTER SYSTEM SET x.'],
    [['azure_pg_admin'], 'Run ALTER SYSTEM SET x. On Azure Database it is among the parameters of the server'],
  ])('of a provider takes no ALTER SYSTEM', (roles, remedy) => {
    const server = soundServer({ signs: { ...soundServer().signs, roles } });
    const checks = [
      { area: 'source', name: 'idle', state: 'warning', what: 'idle', remedy: 'Run ALTER SYSTEM SET x.' } as const,
    ];
    const [found] = findingsOf(soundFacts({ server, checks }));
    expect(found!.remedy).toMatch(new RegExp(`^${remedy}`));
  });

  test('that is too old is blocked, whatever else', () => {
    const server = soundServer({ version: '14.9', versionNumber: 140_009 });
    expect(toVerdict(findingsOf(soundFacts({ server, source: null })))).toBe('blocked');
  });

  test.each([
    ['transactions', { transactions: { count: 1, oldestSeconds: 5000 } }, 'work', 'has been open for 83 minutes'],
    ['prepared ones', { prepared: { count: 2, oldestSeconds: 90_000 } }, 'work', 'the oldest for 25 hours'],
    ['slots', { idleSlots: [{ name: 'old', retainedBytes: 5e9 }] }, 'note', 'old (5.0 GB)'],
    ['sessions unseen', { role: { ...soundServer().role, seesOthers: false } }, 'note', 'could not be seen'],
    [
      'a log that outgrows its limit',
      { wal: { ...soundServer().wal!, bytesPerSecond: 10e6, slotLimitBytes: 3e9 } },
      'work',
      'down for 5 minutes loses its slot',
    ],
  ] as const)('is told of by its %s', (_, changes, level, text) => {
    expect(ofLevel(findingsOf(soundFacts({ server: soundServer(changes) })), level)).toEqual([
      expect.stringContaining(text),
    ]);
  });

  test('takes what doctor finds of it, but not what is said of the tables already', () => {
    const check = (name: string, state: 'warning' | 'failing' | 'ok' | 'note') => ({
      ...({ area: 'source', name, state, what: name, remedy: 'do' } as const),
    });
    const found = findingsOf(
      soundFacts({
        checks: [
          check('version', 'warning'),
          check('capacity', 'failing'),
          check('wal', 'warning'),
          check('failover', 'ok'),
          ...['rights', 'capture', 'changes'].map((name) => check(name, 'failing')),
          check('columns', 'failing'),
          check('columns', 'note'),
        ],
      }),
    );
    expect(found.map(({ level, what }) => `${level} ${what}`)).toEqual([
      'blocked columns',
      'work version',
      'work capacity',
      'setup wal',
      'note columns',
    ]);
  });
});

test('settings of tenants that are not as the legacy database names them are told of, without their values', () => {
  const hints = [{ tenantId: 'north', setting: 'country', legacy: 'FR', pinned: 'US' }];
  const [found] = findingsOf(soundFacts({ hints }));
  expect(found).toMatchObject({ level: 'setup', what: expect.stringMatching(/: country of north$/) });
  expect(JSON.stringify(found)).not.toMatch(/FR|US/);
});

describe('rows', () => {
  const mapped = (changes: Partial<MappingSummary['tables'][number]>): MappingSummary => ({
    ...NO_MAPPING,
    tables: [
      {
        ...{ table: 'people', rows: 1000, rejectedRows: 0, rejects: [], throws: [], targets: [], contributions: 0 },
        ...changes,
      },
    ],
  });

  test('that cannot be mapped need work', () => {
    const throws = [{ projection: 'people', reason: 'map threw TypeError', count: 3 }];
    expect(ofLevel(findingsOf(soundFacts(), mapped({ throws })), 'work')).toEqual([
      expect.stringContaining('cannot map 3 of 1,000 rows of people (map threw TypeError)'),
    ]);
  });

  test.each([
    [100, 'note'],
    [101, 'work'],
  ] as const)('of which %i of 1,000 are rejected: %s', (rejectedRows, level) => {
    const rejects = [{ path: 'score', reason: 'out of range', count: rejectedRows }];
    expect(ofLevel(findingsOf(soundFacts(), mapped({ rejectedRows, rejects })), level)).toEqual([
      expect.stringContaining('score: out of range'),
    ]);
  });

  test.each([
    [99, 0],
    [100, 1],
  ])('%i that merge into one are told of: %i', (contributions, times) => {
    const merge = {
      ...{ aggregate: 'customers', tables: ['people'], contributions: 1000, keys: 10, isExact: true, buckets: [] },
      largest: [{ contributions, shape: 'a:+9' }],
    };
    const found = findingsOf(soundFacts(), { ...NO_MAPPING, merges: [merge] });
    expect(ofLevel(found, 'work')).toHaveLength(times);
  });

  test('that could not be read need work', () => {
    const read = { people: { rows: 5, isWhole: false, tooLarge: 1, problem: 'it took longer than 60 s' } };
    expect(ofLevel(findingsOf(soundFacts(), NO_MAPPING, read), 'work')).toEqual([
      expect.stringContaining('could not be read: it took longer than 60 s'),
      expect.stringContaining('too large for any topic: 1'),
    ]);
  });
});
