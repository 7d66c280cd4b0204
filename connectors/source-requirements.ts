import { CrosswalkError, type ErrorCode } from '../runtime/errors.ts';
import { quoteIdent as quote } from '../schemas/quote.ts';
import type { CaptureOptions, SourceState } from './source-state.ts';

/** What keeps the source from being captured exactly. `sql`: what an owner can run, where that is all; otherwise `remedy` says what to do. */
export interface Shortcoming {
  readonly code: ErrorCode;
  readonly what: string;
  readonly remedy: string;
  readonly sql: readonly string[];
}

/** Everything that the source lacks, in the order in which it is to be mended. */
export function findShortcomings(source: SourceState, options: CaptureOptions): Shortcoming[] {
  const found: Shortcoming[] = [];
  const name = (table: string) => `${quote(options.schema)}.${quote(table)}`;
  const publication = quote(options.publication);
  const add = (code: ErrorCode, what: string, remedy: string) => found.push({ code, what, remedy, sql: [] });
  const addSql = (code: ErrorCode, what: string, sql: readonly string[]) =>
    found.push({
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
  const partial = which(({ identity }) => identity !== 'f');
  if (partial.length > 0)
    addSql(
      'replica_identity',
      `Not REPLICA IDENTITY FULL: ${partial.join(', ')}`,
      partial.map((table) => `ALTER TABLE ${name(table)} REPLICA IDENTITY FULL`),
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

/** Throws the first shortcoming. */
export function assertRequirements(source: SourceState, options: CaptureOptions): void {
  const [first] = findShortcomings(source, options);
  if (first !== undefined) throw new CrosswalkError(first.code, first.what, first.remedy);
}
