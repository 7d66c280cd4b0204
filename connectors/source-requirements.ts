import type { ErrorCode } from '../runtime/error-codes.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { quoteIdent as quote } from '../schemas/quote.ts';
import type { CaptureOptions, SourceState, TableState } from './source-state.ts';

/** What keeps the source from being captured exactly. `sql`: what an owner can run, where that is all; otherwise `remedy` says what to do. */
export interface Shortcoming {
  readonly code: ErrorCode;
  readonly what: string;
  readonly remedy: string;
  readonly sql: readonly string[];
  /** What a new partition brings: until a change of it cannot be completed nothing is wrong, and a connector that runs goes on. */
  readonly ofPartitions?: boolean;
}

/** Everything that the source lacks, in the order in which it is to be mended. */
export function findShortcomings(source: SourceState, options: CaptureOptions): Shortcoming[] {
  const found: Shortcoming[] = [];
  const name = (table: string) => `${quote(options.schema)}.${quote(table)}`;
  const publication = quote(options.publication);
  const add = (code: ErrorCode, what: string, remedy: string) => found.push({ code, what, remedy, sql: [] });
  const addSql = (code: ErrorCode, what: string, sql: readonly string[], more: Partial<Shortcoming> = {}) =>
    found.push({
      ...more,
      code,
      what,
      sql,
      remedy: `Run as the owner (or \`crosswalk migrate up\` with LEGACY_OWNER_URL): ${sql.map((statement) => `${statement};`).join(' ')}`,
    });
  const tables = options.tables.flatMap((table) => {
    const state = source.tables[table];
    return state === undefined ? [] : [{ table, ...state }];
  });
  const which = (is: (table: (typeof tables)[number]) => boolean) => tables.filter(is).map(({ table }) => table);

  if (source.walLevel !== 'logical')
    add(
      'wal_level',
      `The legacy server has wal_level=${source.walLevel}`,
      'Run ALTER SYSTEM SET wal_level = logical; there, and restart it.',
    );
  const missing = options.tables.filter((table) => source.tables[table] === undefined);
  if (missing.length > 0)
    add(
      'table_missing',
      `The legacy database has no table ${missing.map((table) => `${options.schema}.${table}`).join(', ')}`,
      'Correct CROSSWALK_TABLES or CROSSWALK_LEGACY_SCHEMA, or create the tables.',
    );
  const keyless = which(({ key }) => key === '');
  if (keyless.length > 0)
    add(
      'replica_identity',
      `No primary key: ${keyless.join(', ')}`,
      'Give each table a primary key, or take it out of CROSSWALK_TABLES.',
    );
  // Before anything else is set: with FULL and a publication, PostgreSQL would refuse the legacy application's updates of these tables.
  const generated = which(({ generated }) => source.canPublishGenerated && generated.includes('s'));
  const computed = which(({ generated }) => source.canPublishGenerated && generated.includes('v'));
  if (computed.length > 0)
    add(
      'replica_identity',
      `Columns that are computed when read cannot be captured: ${computed.join(', ')}`,
      `Make them STORED or drop them, or take the table out of CROSSWALK_TABLES and out of publication ${options.publication}.`,
    );
  if (generated.length > 0 && source.publication?.withGenerated === false)
    addSql(
      'publication_missing',
      `Publication ${options.publication} leaves out computed columns of ${generated.join(', ')}`,
      [`ALTER PUBLICATION ${publication} SET (publish_generated_columns = stored)`],
    );
  findUnfitTables(tables, options, add);
  const partial = which(({ identity }) => identity !== 'f');
  if (partial.length > 0)
    addSql(
      'replica_identity',
      `Not REPLICA IDENTITY FULL: ${partial.join(', ')}`,
      partial.map((table) => `ALTER TABLE ${name(table)} REPLICA IDENTITY FULL`),
    );
  const partitions = tables.flatMap(({ partitionFaults }) =>
    partitionFaults.filter(({ fault }) => fault === 'identity'),
  );
  if (partitions.length > 0)
    addSql(
      'replica_identity',
      `Partitions are not REPLICA IDENTITY FULL, which they do not take over from their table: ${partitions.map((partition) => partition.name).join(', ')}`,
      partitions.map((partition) => `ALTER TABLE ${partition.name} REPLICA IDENTITY FULL`),
      { ofPartitions: true },
    );
  const heirs = tables.flatMap(({ table, children }) => {
    const others = children.filter((child) => !options.tables.includes(child));
    return others.length === 0 ? [] : [`${table} (${others.slice(0, 5).join(', ')}${others.length > 5 ? ', …' : ''})`];
  });
  if (heirs.length > 0)
    found.push({
      code: 'table_unfit',
      what: `Tables that inherit from captured ones hold rows that a query of these shows, and are not captured: ${heirs.join('; ')}`,
      remedy:
        'Add them to CROSSWALK_TABLES (each needs a primary key of its own), end the inheritance (ALTER TABLE … NO INHERIT …;), or take the table out of CROSSWALK_TABLES.',
      sql: [],
      ofPartitions: true,
    });
  const closed = [...new Set(tables.flatMap(({ closedSchemas }) => closedSchemas))];
  const reader = quote(options.reader ?? source.role);
  if (closed.length > 0)
    add(
      'permission_denied',
      `Types of primary keys are in schemas that role ${reader} may not use: ${closed.join(', ')}`,
      `Run as their owner: GRANT USAGE ON SCHEMA ${closed.map(quote).join(', ')} TO ${reader};`,
    );
  const hidden = which(({ hidesRows }) => hidesRows);
  if (hidden.length > 0)
    add(
      'permission_denied',
      `Row-level security hides rows of ${hidden.join(', ')} from role ${source.role}`,
      `Run as a superuser: ALTER ROLE ${quote(source.role)} BYPASSRLS; or turn row-level security off for these tables.`,
    );
  const partitioned = which(({ isPartitioned }) => isPartitioned);
  if (source.publication === null) {
    const settings = [
      ...(partitioned.length > 0 ? ['publish_via_partition_root = true'] : []),
      ...(generated.length > 0 ? ['publish_generated_columns = stored'] : []),
    ];
    const withSettings = settings.length > 0 ? ` WITH (${settings.join(', ')})` : '';
    addSql('publication_missing', `The legacy database has no publication ${options.publication}`, [
      `CREATE PUBLICATION ${publication} FOR TABLE ${options.tables.map(name).join(', ')}${withSettings}`,
    ]);
    return found;
  }
  const unpublished = which(({ published }) => published.length === 0);
  if (unpublished.length > 0)
    addSql('publication_missing', `Not in publication ${options.publication}: ${unpublished.join(', ')}`, [
      `ALTER PUBLICATION ${publication} ADD TABLE ${unpublished.map(name).join(', ')}`,
    ]);
  if (source.publication.unpublished.length > 0)
    addSql(
      'publication_missing',
      `Publication ${options.publication} leaves out every ${source.publication.unpublished.join(', ')}`,
      [`ALTER PUBLICATION ${publication} SET (publish = 'insert, update, delete, truncate')`],
    );
  if (partitioned.length > 0 && !source.publication.viaRoot)
    addSql(
      'publication_missing',
      `Publication ${options.publication} does not publish partitions as their table: ${partitioned.join(', ')}`,
      [`ALTER PUBLICATION ${publication} SET (publish_via_partition_root = true)`],
    );
  const filtered = which(({ hasRowFilter, hasColumnList }) => hasRowFilter || hasColumnList);
  if (filtered.length > 0)
    addSql(
      'publication_missing',
      `Publication ${options.publication} leaves out rows or columns of ${filtered.join(', ')}`,
      filtered.flatMap((table) => [
        `ALTER PUBLICATION ${publication} DROP TABLE ${name(table)}`,
        `ALTER PUBLICATION ${publication} ADD TABLE ${name(table)}`,
      ]),
    );
  return found;
}

/** Tables whose log would not say what they hold, and that no setting of the publication helps. */
function findUnfitTables(
  tables: readonly (TableState & { readonly table: string })[],
  { schema, publication }: CaptureOptions,
  add: (code: ErrorCode, what: string, remedy: string) => void,
): void {
  for (const { table, key, keyFault, keyName, names, persistence, isHeap, partitionFaults, sentAs } of tables) {
    const name = `${quote(schema)}.${quote(table)}`;
    const again = 'Where the connector has run before, run `crosswalk resnapshot';
    if (keyFault === 'deferrable') {
      const columns = key.split(' ').map((number) => quote(names?.[Number(number) - 1] ?? ''));
      const constraint = quote(keyName ?? '');
      add(
        'table_unfit',
        `The primary key of ${table} is DEFERRABLE: two rows may have one key for a moment, and a change of one would be taken for a change of the other`,
        `Run as the owner: ALTER TABLE ${name} DROP CONSTRAINT ${constraint}, ADD CONSTRAINT ${constraint} PRIMARY KEY (${columns.join(', ')}); or take the table out of CROSSWALK_TABLES.`,
      );
    }
    if (keyFault === 'invalid')
      add(
        'table_unfit',
        `The primary key of ${table} is not valid: a partition lacks it`,
        `Give each partition a primary key on the same columns, and attach its index: ALTER INDEX ${quote(schema)}.${quote(keyName ?? '')} ATTACH PARTITION …;`,
      );
    const unlogged = [
      ...(persistence === 'u' ? [name] : []),
      ...partitionFaults.filter(({ fault }) => fault === 'unlogged').map((partition) => partition.name),
    ];
    if (unlogged.length > 0)
      add(
        'table_unfit',
        `Unlogged, so that its changes are not in the server's log: ${unlogged.join(', ')}`,
        `Run as the owner (each rewrites the table under a lock): ${unlogged.map((each) => `ALTER TABLE ${each} SET LOGGED;`).join(' ')} ${again} ${table}\` afterwards.`,
      );
    const stored = [
      ...(isHeap ? [] : [name]),
      ...partitionFaults.filter(({ fault }) => fault === 'storage').map((partition) => partition.name),
    ];
    if (stored.length > 0)
      add(
        'table_unfit',
        `Stored by an access method other than heap, whose changes the server's log need not tell: ${stored.join(', ')}`,
        `Run as the owner (each rewrites the table under a lock): ${stored.map((each) => `ALTER TABLE ${each} SET ACCESS METHOD heap;`).join(' ')} ${again} ${table}\` afterwards.`,
      );
    if (sentAs !== null)
      add(
        'table_unfit',
        `Publication ${publication} sends the rows of ${table} as rows of ${sentAs}, whose partition it is`,
        `Capture ${sentAs} in its place in CROSSWALK_TABLES, or run as the owner: ALTER PUBLICATION ${quote(publication)} SET (publish_via_partition_root = false); ${again} ${table}\` afterwards.`,
      );
  }
}

/** Throws the first shortcoming. `whileRunning`: without those that only stop a connector that starts, which are returned. */
export function assertRequirements(
  source: SourceState,
  options: CaptureOptions,
  whileRunning = false,
): readonly Shortcoming[] {
  const found = findShortcomings(source, options);
  const first = found.find(({ ofPartitions }) => !(whileRunning && ofPartitions));
  if (first !== undefined) throw new CrosswalkError(first.code, first.what, first.remedy);
  return found;
}
