import { findShortcomings, type Shortcoming } from '../connectors/source-requirements.ts';
import type { CaptureOptions } from '../connectors/source-state.ts';
import type { Projection } from '../projectors/projection.ts';
import type { Facts, ServerFacts, TableFacts } from './facts.ts';
import type { MappingSummary } from './mapping.ts';
import { type Provider, toPooler, toProvider } from './provider.ts';
import type { RowsRead } from './read-rows.ts';

/**
 * Severity of a finding. `blocked`: cannot be captured or projected as it is; requires a decision. `work`: requires work on the legacy side first.
 * `setup`: a setup step that crosswalk or its guide covers. `note`: worth knowing.
 */
export type Level = 'blocked' | 'work' | 'setup' | 'note';
export const LEVELS: readonly Level[] = ['blocked', 'work', 'setup', 'note'];

export interface Finding {
  readonly level: Level;
  readonly about: 'server' | 'tables' | 'rows';
  readonly what: string;
  readonly remedy: string;
}

export type Verdict = 'ready' | 'needs work' | 'blocked';

/** The oldest version with row filters, column lists and schemas of publications. */
export const OLDEST_VERSION = 150_000;
/** Contributions to one merged row from which it is reported. */
const LARGE_MERGE = 100;
/** Fraction of rows with rejects above which the mapping needs review. */
const MANY_REJECTED = 0.1;
const LONG_SECONDS = 600;
const SHORT_SECONDS = 4 * 3600;
const MOST_NAMES = 8;

/** The rows read, by table. */
export type ReadTables = Readonly<Record<string, RowsRead>>;

/** All findings, most severe first. Pure function. */
export function judge(
  facts: Facts,
  options: {
    readonly capture: CaptureOptions;
    readonly projections: readonly Projection[];
    readonly mapping: MappingSummary;
    readonly read: ReadTables;
  },
): Finding[] {
  const provider = toProvider(facts.server.signs);
  const found = [
    ...judgeServer(facts, provider, options.capture),
    ...judgeTables(facts, provider, options.capture, options.projections),
    ...judgeTenants(facts),
    ...judgeRows(options.mapping, options.read),
  ];
  return LEVELS.flatMap((level) => found.filter((finding) => finding.level === level));
}

/** The most severe finding decides. */
export function toVerdict(findings: readonly Finding[]): Verdict {
  if (findings.some(({ level }) => level === 'blocked')) return 'blocked';
  return findings.some(({ level }) => level === 'work') ? 'needs work' : 'ready';
}

/** Everything that was checked and is in order. */
export function toSound({ server, source, checks }: Facts): string[] {
  const { role, transactions, prepared } = server;
  return [
    ...checks
      .filter(({ name, state }) => state === 'ok' && ['version', 'capacity', 'columns'].includes(name))
      .map(({ what }) => what),
    ...(source?.walLevel === 'logical' ? ['wal_level is logical'] : []),
    ...(role.mayReplicate ? [`role ${role.name} may stream changes`] : []),
    ...(role.mayUseSchema && role.unreadable.length === 0 ? [`role ${role.name} may read the tables`] : []),
    ...(role.seesOthers && transactions.oldestSeconds < LONG_SECONDS
      ? ['no transaction has been open for ten minutes']
      : []),
    ...(prepared.count === 0 ? ['there are no prepared transactions'] : []),
  ];
}

function judgeServer({ server, checks, checksProblem }: Facts, provider: Provider, capture: CaptureOptions): Finding[] {
  const found: Finding[] = [];
  const add = (level: Level, what: string, remedy: string) => found.push({ level, about: 'server', what, remedy });
  if (server.versionNumber < OLDEST_VERSION)
    add('blocked', `PostgreSQL ${server.version}`, 'The legacy server must be PostgreSQL 15 or later: upgrade it.');
  if (server.isStandby)
    add(
      'blocked',
      'The server is a standby, or a reader',
      'Have LEGACY_DATABASE_URL name the primary: only there can changes be captured.',
    );
  const pooler = toPooler(server.signs);
  const isHosted = provider.sign !== null;
  const hosted = ` On ${provider.name} it is among the parameters of the server, and no statement sets it.`;
  if (pooler !== null) add('work', pooler.what, pooler.remedy);
  if (server.encoding === 'SQL_ASCII')
    add(
      'work',
      'The encoding of the database is SQL_ASCII: nothing says that its texts are UTF-8',
      'Correct texts that are not: the connector stops at the first.',
    );
  for (const { name, state, what, remedy } of checks) {
    // Reported with the tables below, or with the role in the provider's terms.
    if (state === 'ok' || ['rights', 'capture', 'changes', 'columns'].includes(name)) continue;
    const level: Level = state === 'note' ? 'note' : state === 'failing' || name === 'version' ? 'work' : 'setup';
    // No slot exists yet that could retain WAL.
    if (name === 'wal' && server.wal?.slotLimitBytes === null)
      add(
        level,
        "max_slot_wal_keep_size is unlimited: a connector that stays down fills the legacy server's disk",
        provider.walLimit,
      );
    else add(level, what, `${remedy ?? ''}${isHosted && remedy?.includes('ALTER SYSTEM') ? hosted : ''}`);
  }
  if (checksProblem !== null)
    add(
      'work',
      `The settings could not be looked at: ${checksProblem}`,
      'Try again; `crosswalk doctor` asks for the same.',
    );
  found.push(...judgeRole(server, provider, capture));
  found.push(...judgeActivity(server));
  for (const note of provider.notes) add('note', `${provider.name} (${provider.sign})`, note);
  return found;
}

function judgeRole({ role }: ServerFacts, provider: Provider, { schema }: CaptureOptions): Finding[] {
  const found: Finding[] = [];
  const add = (level: Level, what: string, remedy: string) => found.push({ level, about: 'server', what, remedy });
  const name = toName(role.name);
  if (role.isSuperuser) {
    add(
      'setup',
      `Role ${role.name} is a superuser`,
      'Give the connector a role of its own that can read and nothing else: README.md, "On a real legacy database".',
    );
    return found;
  }
  if (!role.mayReplicate) add('setup', `Role ${role.name} may not stream changes`, provider.replication(name));
  const lacks = [
    ...(role.mayUseSchema ? [] : [`GRANT USAGE ON SCHEMA ${toName(schema)} TO ${name};`]),
    ...role.unreadable.map((table) => `GRANT SELECT ON ${toName(schema)}.${toName(table)} TO ${name};`),
  ];
  if (lacks.length > 0)
    add('work', `Role ${role.name} may not read what is to be captured`, `Run as the owner: ${lacks.join(' ')}`);
  return found;
}

/** Transactions, slots and WAL at the time of the assessment. */
function judgeActivity({ transactions, prepared, role, idleSlots, wal }: ServerFacts): Finding[] {
  const found: Finding[] = [];
  const add = (level: Level, what: string, remedy: string) => found.push({ level, about: 'server', what, remedy });
  if (prepared.count > 0 && prepared.oldestSeconds >= LONG_SECONDS)
    add(
      'work',
      `Prepared transactions: ${prepared.count}, the oldest for ${toTime(prepared.oldestSeconds)}. The slot cannot be created before they end`,
      'End them: SELECT gid FROM pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED.',
    );
  if (transactions.oldestSeconds >= LONG_SECONDS)
    add(
      transactions.oldestSeconds >= 6 * LONG_SECONDS ? 'work' : 'setup',
      `A transaction has been open for ${toTime(transactions.oldestSeconds)}. Creating the slot, and the first chunk of every load, wait for older ones, in every database of the server`,
      'End it before the connector starts for the first time: SELECT pid, xact_start, state FROM pg_stat_activity ORDER BY xact_start;',
    );
  if (!role.seesOthers)
    add(
      'note',
      'How long other transactions have been open could not be seen',
      'GRANT pg_read_all_stats to the role, or look at pg_stat_activity as a superuser.',
    );
  const holding = idleSlots.filter(({ retainedBytes }) => (retainedBytes ?? 0) > 0);
  if (holding.length > 0)
    add(
      'note',
      `Slots that nobody reads hold the log back: ${toNames(holding.map(({ name, retainedBytes }) => `${name} (${toSize(retainedBytes ?? 0)})`))}`,
      "Where nobody comes back to one: SELECT pg_drop_replication_slot('…');",
    );
  const rate = Math.max(wal?.bytesPerSecond ?? 0, wal?.averageBytesPerSecond ?? 0);
  if (wal !== null && wal.slotLimitBytes !== null && rate > 0) {
    const seconds = wal.slotLimitBytes / rate;
    if (seconds < SHORT_SECONDS)
      add(
        'work',
        `max_slot_wal_keep_size is ${toSize(wal.slotLimitBytes)}: at ${toSize(rate)} a second, a connector that is down for ${toTime(seconds)} loses its slot, and the log starts anew`,
        'Raise it to what the disk allows for a night or a weekend.',
      );
  }
  return found;
}

function judgeTables(
  { server, source, tables, others, checks }: Facts,
  provider: Provider,
  capture: CaptureOptions,
  projections: readonly Projection[],
): Finding[] {
  const found: Finding[] = [];
  const add = (level: Level, what: string, remedy: string) => found.push({ level, about: 'tables', what, remedy });
  const known = new Map(tables.map((table) => [table.name, table]));
  const missing = capture.tables.filter((table) => !known.has(table));
  if (missing.length > 0)
    add(
      'blocked',
      `The legacy schema ${capture.schema} has no table ${toNames(missing)}`,
      'Correct the names of the pipeline or CROSSWALK_LEGACY_SCHEMA, or create the tables.',
    );
  const uncaptured = projections.filter(({ source: of }) => !capture.tables.includes(of));
  if (uncaptured.length > 0)
    add(
      'blocked',
      `Projections read tables that are not captured: ${toNames([...new Set(uncaptured.map(({ source: of }) => of))])}`,
      'Add them to the sources of the pipeline, or to CROSSWALK_TABLES.',
    );
  for (const table of tables) found.push(...judgeKey(table, capture.schema));
  for (const { kind, name } of tables)
    if (kind === 'foreign' || kind.endsWith('view') || kind === 'other')
      add(
        'blocked',
        `${name} is a ${kind === 'other' ? 'relation of another kind' : `${kind}${kind === 'foreign' ? ' table' : ''}`}: its changes are not in the log of this server`,
        'Capture the tables behind it, on the server that has them.',
      );
  const captured = tables.filter(isCapturable).map(({ name }) => name);
  if (source !== null)
    for (const shortcoming of findShortcomings(source, { ...capture, tables: captured }))
      found.push(judgeShortcoming(shortcoming, provider, server));
  for (const { name, state, what, remedy } of checks)
    if (name === 'columns' && state !== 'ok') add(state === 'failing' ? 'blocked' : 'note', what, remedy ?? '');
  found.push(...noteTables(tables, others, projections));
  return found;
}

/** Whether a table has what the log needs to identify its rows. */
export function isCapturable({ kind, primaryKey }: TableFacts): boolean {
  return (kind === 'table' || kind === 'partitioned') && primaryKey.length > 0;
}

function judgeKey({ name, kind, primaryKey, candidates, inheritsFrom }: TableFacts, schema: string): Finding[] {
  if ((kind !== 'table' && kind !== 'partitioned') || primaryKey.length > 0) return [];
  const what = `Table ${name} has no primary key`;
  const table = `${toName(schema)}.${toName(name)}`;
  const whole = candidates.find(({ nullable }) => nullable.length === 0);
  if (whole !== undefined)
    return [
      {
        level: 'work',
        about: 'tables',
        what: `${what}, and the unique index ${whole.index} can be one (${whole.columns.join(', ')})`,
        // An index that belongs to a constraint or to a partitioned table cannot be reused.
        remedy: `Run as the owner: ALTER TABLE ${table} ADD PRIMARY KEY ${
          whole.isConstraint || kind === 'partitioned'
            ? `(${whole.columns.map(toName).join(', ')})`
            : `USING INDEX ${toName(whole.index)}`
        };`,
      },
    ];
  const partial = candidates[0];
  if (partial !== undefined)
    return [
      {
        level: 'blocked',
        about: 'tables',
        what: `${what}; the unique index ${partial.index} could be one, but ${partial.nullable.join(', ')} may be null`,
        remedy: `Where no row has null there: ALTER TABLE ${table} ${partial.nullable.map((column) => `ALTER ${toName(column)} SET NOT NULL`).join(', ')}; then make it the primary key. Else give the table a key of its own.`,
      },
    ];
  const heir = inheritsFrom.length > 0 ? ' (that of the table it inherits from is not its own)' : '';
  return [
    {
      level: 'blocked',
      about: 'tables',
      what: `${what}${heir}, and no unique index that could be one`,
      remedy: `Give it one: ALTER TABLE ${table} ADD COLUMN … bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY; (rewrites the table), or take it out of the pipeline.`,
    },
  ];
}

/** Turns something that would stop the connector into a finding, before anything is set up. */
function judgeShortcoming(
  { code, what, remedy, sql }: Shortcoming,
  provider: Provider,
  { role }: ServerFacts,
): Finding {
  const finding = (level: Level, instead = remedy): Finding => ({ level, about: 'tables', what, remedy: instead });
  if (code === 'wal_level') return { ...finding('work', provider.decoding), about: 'server' };
  // `crosswalk migrate up` runs them as the owner.
  if (sql.length > 0) return finding('setup');
  if (code === 'permission_denied' && what.startsWith('Row-level security'))
    return finding('work', provider.policies(toName(role.name)));
  // Columns computed when read, and missing tables.
  if (code === 'replica_identity' || code === 'table_missing') return finding('blocked');
  return finding('work');
}

function noteTables(
  tables: readonly TableFacts[],
  others: readonly TableFacts[],
  projections: readonly Projection[],
): Finding[] {
  const found: Finding[] = [];
  const add = (level: Level, what: string, remedy: string) => found.push({ level, about: 'tables', what, remedy });
  const names = (is: (table: TableFacts) => boolean) => tables.filter(is).map(({ name }) => name);
  const unread = names(({ name }) => !projections.some(({ source }) => source === name));
  if (unread.length > 0)
    add(
      'note',
      `Captured, and read by no projection: ${toNames(unread)}`,
      'The log keeps them for projections to come; leave them out of CROSSWALK_TABLES where nobody wants them.',
    );
  if (others.length > 0)
    add(
      'note',
      `Tables of the schema that the pipeline leaves out: ${others.length}, the largest ${toNames(others.map(({ name }) => name))}`,
      'Nothing is to be done, unless one belongs into the new schema.',
    );
  const secured = names(({ rowSecurity }) => rowSecurity !== 'none');
  if (secured.length > 0)
    add(
      'note',
      `Row-level security is on for ${toNames(secured)}`,
      'The log has every row in any case; reading the tables needs a role that no policy holds back.',
    );
  const triggered = names(({ triggers, hasRules }) => triggers.length > 0 || hasRules);
  if (triggered.length > 0)
    add(
      'note',
      `Triggers or rules change rows of, or beside, ${toNames(triggered)}`,
      'What they write is captured as any other change: nothing is to be done, but they must not be expected to run in the new schema.',
    );
  const unanalysed = names(({ rows, kind }) => rows === null && (kind === 'table' || kind === 'partitioned'));
  if (unanalysed.length > 0)
    add(
      'note',
      `Nobody has analysed ${toNames(unanalysed)}: how many rows there are is not known`,
      'Run ANALYZE on them.',
    );
  const heirs = names(({ inheritsFrom }) => inheritsFrom.length > 0);
  if (heirs.length > 0)
    add(
      'note',
      `Tables that inherit from others: ${toNames(heirs)}`,
      'Each is captured as a table of its own: rows of one are not rows of the other in the log.',
    );
  return found;
}

/** The values are cells of the legacy database, so they are not shown. */
function judgeTenants({ hints }: Facts): Finding[] {
  if (hints.length === 0) return [];
  const named = toNames(hints.map(({ tenantId, setting }) => `${setting} of ${tenantId}`));
  return [
    {
      level: 'setup',
      about: 'rows',
      what: `The legacy database names other settings of tenants than are pinned: ${named}`,
      remedy: 'Run `crosswalk tenants pin`, and assess again: what rows become may depend on them.',
    },
  ];
}

function judgeRows({ tables, merges }: MappingSummary, read: ReadTables): Finding[] {
  const found: Finding[] = [];
  const add = (level: Level, what: string, remedy: string) => found.push({ level, about: 'rows', what, remedy });
  for (const [table, { problem, tooLarge }] of Object.entries(read)) {
    if (problem !== null)
      add(
        'work',
        `Rows of ${table} could not be read: ${problem}`,
        'Mend that, and assess again: what its rows become is not known.',
      );
    if (tooLarge > 0)
      add(
        'work',
        `Rows of ${table} that are too large for any topic: ${tooLarge}`,
        'Make them smaller: each would be a dead letter of the connector.',
      );
  }
  for (const { table, rows, throws, rejects, rejectedRows } of tables) {
    for (const { projection, reason, count } of throws)
      add(
        'work',
        `Projection ${projection} cannot map ${toShare(count, rows)} rows of ${table} (${reason}): each becomes a dead letter`,
        'Correct the mapping, which must take every row: docs/projections.md.',
      );
    if (rejectedRows === 0) continue;
    const values = rejects.reduce((sum, { count }) => sum + count, 0);
    add(
      rejectedRows > rows * MANY_REJECTED ? 'work' : 'note',
      `${toShare(rejectedRows, rows)} rows of ${table} have values without a valid form, ${values} in all, most of them: ${rejects
        .slice(0, 3)
        .map(({ path, reason }) => `${path}: ${reason}`)
        .join('; ')}`,
      'Correct them in the legacy database, or give them a rule; else they are null in the new schema, and `crosswalk rejects` lists them.',
    );
  }
  for (const { aggregate, largest, isExact } of merges) {
    const large = largest.filter(({ contributions }) => contributions >= LARGE_MERGE);
    if (large.length > 0)
      add(
        'work',
        `Merged rows of ${aggregate} with ${LARGE_MERGE} and more legacy rows each: ${large.length === largest.length && largest.length > 1 ? 'at least ' : ''}${large.length}, the largest of ${isExact ? '' : 'at least '}${large[0]!.contributions}`,
        'Look whether each is one in truth, or strangers that share a placeholder: a telephone number of zeros, an address of nobody. Placeholders belong into the settings of tenants; after a load, crosswalk.contribution names the rows.',
      );
  }
  return found;
}

/** `12 of 2,000`. */
function toShare(part: number, of: number): string {
  return `${toGrouped(part)} of ${toGrouped(of)}`;
}

function toGrouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

function toNames(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : '';
  return `${names.slice(0, MOST_NAMES).join(', ')}${more}`;
}

/** An identifier, quoted if necessary. */
function toName(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function toTime(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
}

function toSize(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
