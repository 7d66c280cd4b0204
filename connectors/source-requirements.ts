import { type ErrorCode, Failure } from '../runtime/error-codes.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { quoteIdent as quote } from '../schemas/quote.ts';
import type { CaptureOptions, SourceState, TableState } from './source-state.ts';

/**
 * A reason why the source cannot be captured exactly. `sql`: statements for an owner, if these suffice; otherwise
 * `remedy` says what to do. `code` and `remedy` are those of `failure`.
 */
export interface Shortcoming {
  readonly failure: Failure;
  readonly code: ErrorCode;
  readonly what: string;
  readonly remedy: string;
  readonly sql: readonly string[];
  /** Caused by a new partition: harmless until a change of it cannot be completed, so a running connector continues. */
  readonly ofPartitions?: boolean;
}

const toShortcoming = (
  failure: Failure,
  what: string,
  sql: readonly string[] = [],
  more: Pick<Shortcoming, 'ofPartitions'> = {},
): Shortcoming => ({ ...more, failure, code: failure.code, what, remedy: failure.remedy, sql });

/** All shortcomings of the source, in the order in which to fix them. */
export function findShortcomings(source: SourceState, options: CaptureOptions): Shortcoming[] {
  const found: Shortcoming[] = [];
  const name = (table: string) => `${quote(options.schema)}.${quote(table)}`;
  const publication = quote(options.publication);
  const add = (failure: Failure, what: string) => found.push(toShortcoming(failure, what));
  const addSql = (
    code: 'replica_identity.owner' | 'publication_missing.owner',
    what: string,
    sql: readonly string[],
    more?: Pick<Shortcoming, 'ofPartitions'>,
  ) => {
    const failure = Failure.of(code, { sql: sql.map((statement) => `${statement};`).join(' ') });
    found.push(toShortcoming(failure, what, sql, more));
  };
  const tables = options.tables.flatMap((table) => {
    const state = source.tables[table];
    return state === undefined ? [] : [{ table, ...state }];
  });
  const which = (is: (table: (typeof tables)[number]) => boolean) => tables.filter(is).map(({ table }) => table);

  if (source.walLevel !== 'logical') add(Failure.of('wal_level'), `The legacy server has wal_level=${source.walLevel}`);
  const missing = options.tables.filter((table) => source.tables[table] === undefined);
  if (missing.length > 0)
    add(
      Failure.of('table_missing'),
      `The legacy database has no table ${missing.map((table) => `${options.schema}.${table}`).join(', ')}`,
    );
  const keyless = which(({ key }) => key === '');
  if (keyless.length > 0) add(Failure.of('replica_identity.key'), `No primary key: ${keyless.join(', ')}`);
  // Comes before all other settings: with FULL and a publication, PostgreSQL would refuse the legacy application's
  // updates of these tables.
  const generated = which(({ generated }) => source.canPublishGenerated && generated.includes('s'));
  const computed = which(({ generated }) => source.canPublishGenerated && generated.includes('v'));
  if (computed.length > 0)
    add(
      Failure.of('replica_identity.computed', { publication: options.publication }),
      `Columns that are computed when read cannot be captured: ${computed.join(', ')}`,
    );
  if (generated.length > 0 && source.publication?.withGenerated === false)
    addSql(
      'publication_missing.owner',
      `Publication ${options.publication} leaves out computed columns of ${generated.join(', ')}`,
      [`ALTER PUBLICATION ${publication} SET (publish_generated_columns = stored)`],
    );
  findUnfitTables(tables, options, add);
  const partial = which(({ identity }) => identity !== 'f');
  if (partial.length > 0)
    addSql(
      'replica_identity.owner',
      `Not REPLICA IDENTITY FULL: ${partial.join(', ')}`,
      partial.map((table) => `ALTER TABLE ${name(table)} REPLICA IDENTITY FULL`),
    );
  const partitions = tables.flatMap(({ partitionFaults }) =>
    partitionFaults.filter(({ fault }) => fault === 'identity'),
  );
  if (partitions.length > 0)
    addSql(
      'replica_identity.owner',
      `Partitions are not REPLICA IDENTITY FULL, which they do not take over from their table: ${partitions.map((partition) => partition.name).join(', ')}`,
      partitions.map((partition) => `ALTER TABLE ${partition.name} REPLICA IDENTITY FULL`),
      { ofPartitions: true },
    );
  const heirs = tables.flatMap(({ table, children }) => {
    const others = children.filter((child) => !options.tables.includes(child));
    return others.length === 0 ? [] : [`${table} (${others.slice(0, 5).join(', ')}${others.length > 5 ? ', …' : ''})`];
  });
  if (heirs.length > 0)
    found.push(
      toShortcoming(
        Failure.of('table_unfit.heirs'),
        `Tables that inherit from captured ones hold rows that a query of these shows, and are not captured: ${heirs.join('; ')}`,
        [],
        { ofPartitions: true },
      ),
    );
  const closed = [...new Set(tables.flatMap(({ closedSchemas }) => closedSchemas))];
  const reader = quote(options.reader ?? source.role);
  if (closed.length > 0)
    add(
      Failure.of('permission_denied.schema_usage', { schemas: closed.map(quote).join(', '), role: reader }),
      `Types of primary keys are in schemas that role ${reader} may not use: ${closed.join(', ')}`,
    );
  const hidden = which(({ hidesRows }) => hidesRows);
  if (hidden.length > 0)
    add(
      Failure.of('permission_denied.row_security', { role: quote(source.role) }),
      `Row-level security hides rows of ${hidden.join(', ')} from role ${source.role}`,
    );
  const partitioned = which(({ isPartitioned }) => isPartitioned);
  if (source.publication === null) {
    const settings = [
      ...(partitioned.length > 0 ? ['publish_via_partition_root = true'] : []),
      ...(generated.length > 0 ? ['publish_generated_columns = stored'] : []),
    ];
    const withSettings = settings.length > 0 ? ` WITH (${settings.join(', ')})` : '';
    addSql('publication_missing.owner', `The legacy database has no publication ${options.publication}`, [
      `CREATE PUBLICATION ${publication} FOR TABLE ${options.tables.map(name).join(', ')}${withSettings}`,
    ]);
    return found;
  }
  const unpublished = which(({ published }) => published.length === 0);
  if (unpublished.length > 0)
    addSql('publication_missing.owner', `Not in publication ${options.publication}: ${unpublished.join(', ')}`, [
      `ALTER PUBLICATION ${publication} ADD TABLE ${unpublished.map(name).join(', ')}`,
    ]);
  if (source.publication.unpublished.length > 0)
    addSql(
      'publication_missing.owner',
      `Publication ${options.publication} leaves out every ${source.publication.unpublished.join(', ')}`,
      [`ALTER PUBLICATION ${publication} SET (publish = 'insert, update, delete, truncate')`],
    );
  if (partitioned.length > 0 && !source.publication.viaRoot)
    addSql(
      'publication_missing.owner',
      `Publication ${options.publication} does not publish partitions as their table: ${partitioned.join(', ')}`,
      [`ALTER PUBLICATION ${publication} SET (publish_via_partition_root = true)`],
    );
  const filtered = which(({ hasRowFilter, hasColumnList }) => hasRowFilter || hasColumnList);
  if (filtered.length > 0)
    addSql(
      'publication_missing.owner',
      `Publication ${options.publication} leaves out rows or columns of ${filtered.join(', ')}`,
      filtered.flatMap((table) => [
        `ALTER PUBLICATION ${publication} DROP TABLE ${name(table)}`,
        `ALTER PUBLICATION ${publication} ADD TABLE ${name(table)}`,
      ]),
    );
  return found;
}

/** Tables whose changes in the log would be unreliable, and that no publication setting helps. */
function findUnfitTables(
  tables: readonly (TableState & { readonly table: string })[],
  { schema, publication }: CaptureOptions,
  add: (failure: Failure, what: string) => void,
): void {
  for (const { table, key, keyFault, keyName, names, persistence, isHeap, partitionFaults, sentAs } of tables) {
    const name = `${quote(schema)}.${quote(table)}`;
    if (keyFault === 'deferrable') {
      const columns = key.split(' ').map((number) => quote(names?.[Number(number) - 1] ?? ''));
      const constraint = quote(keyName ?? '');
      add(
        Failure.of('table_unfit.deferrable', { table: name, constraint, columns: columns.join(', ') }),
        `The primary key of ${table} is DEFERRABLE: two rows may have one key for a moment, and a change of one would be taken for a change of the other`,
      );
    }
    if (keyFault === 'invalid')
      add(
        Failure.of('table_unfit.invalid_key', { index: `${quote(schema)}.${quote(keyName ?? '')}` }),
        `The primary key of ${table} is not valid: a partition lacks it`,
      );
    const unlogged = [
      ...(persistence === 'u' ? [name] : []),
      ...partitionFaults.filter(({ fault }) => fault === 'unlogged').map((partition) => partition.name),
    ];
    if (unlogged.length > 0)
      add(
        Failure.of('table_unfit.unlogged', {
          table,
          sql: unlogged.map((each) => `ALTER TABLE ${each} SET LOGGED;`).join(' '),
        }),
        `Unlogged, so that its changes are not in the server's log: ${unlogged.join(', ')}`,
      );
    const stored = [
      ...(isHeap ? [] : [name]),
      ...partitionFaults.filter(({ fault }) => fault === 'storage').map((partition) => partition.name),
    ];
    if (stored.length > 0)
      add(
        Failure.of('table_unfit.storage', {
          table,
          sql: stored.map((each) => `ALTER TABLE ${each} SET ACCESS METHOD heap;`).join(' '),
        }),
        `Stored by an access method other than heap, whose changes the server's log need not tell: ${stored.join(', ')}`,
      );
    if (sentAs !== null)
      add(
        Failure.of('table_unfit.sent_as', { root: sentAs, publication: quote(publication), table }),
        `Publication ${publication} sends the rows of ${table} as rows of ${sentAs}, whose partition it is`,
      );
  }
}

/** Throws the first shortcoming. `whileRunning`: ignores those that only prevent a start. Returns the rest. */
export function assertRequirements(
  source: SourceState,
  options: CaptureOptions,
  whileRunning = false,
): readonly Shortcoming[] {
  const found = findShortcomings(source, options);
  const first = found.find(({ ofPartitions }) => !(whileRunning && ofPartitions));
  if (first !== undefined) throw new CrosswalkError(first.failure, first.what);
  return found;
}
