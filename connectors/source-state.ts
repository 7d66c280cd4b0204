import type pg from 'pg';
import type { Config } from '../runtime/config.ts';
import type { SourceFingerprint, TableFingerprint } from './source-fingerprint.ts';

/** What is captured, by its names. */
export interface CaptureOptions {
  readonly schema: string;
  readonly tables: readonly string[];
  readonly publication: string;
}

/** What a configuration captures. */
export function captureOf(config: Pick<Config, 'legacySchema' | 'tables' | 'publication'>): CaptureOptions {
  return { schema: config.legacySchema, tables: config.tables, publication: config.publication };
}

/** A captured table as far as capturing it depends on it. */
export interface TableState extends TableFingerprint {
  readonly isPartitioned: boolean;
  /** pg_class.relreplident: `f` is FULL. */
  readonly identity: string;
  readonly hasRowFilter: boolean;
  readonly hasColumnList: boolean;
  /** Policies apply to whoever asks: it would see a part of the rows. */
  readonly hidesRows: boolean;
  /** Computed columns, stored ones (`s`) and such as are computed when read (`v`). */
  readonly generated: readonly ('s' | 'v')[];
  /** Names by column number, from 1. */
  readonly columnNames: readonly string[];
  /** Inheriting tables that are no partitions: their rows are not this table's. */
  readonly children: readonly string[];
}

/** One look at the source. Tables that do not exist are left out. */
export interface SourceState {
  readonly walLevel: string;
  readonly role: string;
  readonly publication: {
    readonly id: string;
    /** Kinds of changes that are not published. */
    readonly unpublished: readonly string[];
    readonly viaRoot: boolean;
    /** Whether stored computed columns are published. */
    readonly withGenerated: boolean;
  } | null;
  /** PostgreSQL 18 publishes stored computed columns where asked, and refuses changes of a published table with FULL that has others. */
  readonly canPublishGenerated: boolean;
  readonly tables: Readonly<Record<string, TableState>>;
}

/**
 * Looks at publication and captured tables in one statement, so that what it sees belongs together. It reads the catalog alone, and functions that
 * lock a table are not used: it must not wait for an ALTER TABLE or a VACUUM FULL.
 */
export async function readSource(client: pg.ClientBase, options: CaptureOptions): Promise<SourceState> {
  const { rows } = await client.query<{
    wal_level: string;
    role: string;
    can_publish_generated: string;
    publication: string | null;
    tables: string | null;
  }>({
    name: 'crosswalk source',
    text: SOURCE_QUERY,
    values: [options.schema, options.tables, options.publication],
  });
  const row = rows[0]!;
  const tables = JSON.parse(row.tables ?? '[]') as (Omit<TableState, 'columns' | 'key'> & {
    table: string;
    columns: string | null;
    key: string | null;
  })[];
  return {
    walLevel: row.wal_level,
    role: row.role,
    canPublishGenerated: row.can_publish_generated === 'true',
    publication: row.publication === null ? null : (JSON.parse(row.publication) as SourceState['publication']),
    tables: Object.fromEntries(
      options.tables.flatMap((name) => {
        const found = tables.find(({ table }) => table === name);
        if (found === undefined) return [];
        const { table, ...state } = found;
        return [[table, { ...state, columns: state.columns ?? '', key: state.key ?? '' }]];
      }),
    ),
  };
}

/** The part of a look that is stored; null without a publication. */
export function toFingerprint(state: SourceState): SourceFingerprint | null {
  if (state.publication === null) return null;
  return {
    publication: state.publication.id,
    tables: Object.fromEntries(
      Object.entries(state.tables).map(([table, { oid, file, published, key, columns, partitions, labels }]) => [
        table,
        { oid, file, published, key, columns, ...(partitions ? { partitions } : {}), ...(labels ? { labels } : {}) },
      ]),
    ),
  };
}

/**
 * CREATE TABLE … PARTITION OF registers the partition two commands after its row type, in one transaction; CREATE TABLE and ATTACH PARTITION take
 * more. Only the first is sure to begin empty.
 */
const SOURCE_QUERY = `
WITH RECURSIVE publication AS (SELECT p.*, p.xmin::text AS mark FROM pg_publication p WHERE p.pubname = $3),
captured AS (SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)),
tree (root, oid) AS (
  SELECT c.oid, c.oid FROM captured c WHERE c.relkind = 'p'
  UNION ALL SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
SELECT current_setting('wal_level') AS wal_level, current_user::text AS role,
  (current_setting('server_version_num')::int >= 180000)::text AS can_publish_generated,
  (SELECT json_build_object('id', p.oid || ':' || p.mark, 'viaRoot', p.pubviaroot, 'withGenerated', coalesce(to_jsonb(p) ->> 'pubgencols' = 's', false), 'unpublished', array_remove(ARRAY[
      CASE WHEN NOT p.pubinsert THEN 'insert' END, CASE WHEN NOT p.pubupdate THEN 'update' END,
      CASE WHEN NOT p.pubdelete THEN 'delete' END, CASE WHEN NOT p.pubtruncate THEN 'truncate' END], NULL))::text FROM publication p) AS publication,
  (SELECT json_agg(json_build_object(
      'table', c.relname, 'oid', c.oid::text, 'file', c.relfilenode::text, 'isPartitioned', c.relkind = 'p', 'identity', c.relreplident,
      'published', (SELECT coalesce(json_agg(m ORDER BY m), '[]') FROM (
         SELECT 'all' AS m FROM publication p WHERE p.puballtables
         UNION ALL SELECT 'table ' || r.oid FROM pg_publication_rel r JOIN publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid
         UNION ALL SELECT 'schema ' || s.oid FROM pg_publication_namespace s JOIN publication p ON p.oid = s.pnpubid WHERE s.pnnspid = c.relnamespace) AS memberships),
      'hasRowFilter', EXISTS (SELECT FROM pg_publication_rel r JOIN publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid AND r.prqual IS NOT NULL),
      'hasColumnList', EXISTS (SELECT FROM pg_publication_rel r JOIN publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid AND r.prattrs IS NOT NULL),
      'hidesRows', row_security_active(c.oid),
      'key', (SELECT i.indkey::text FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
      'columns', (SELECT string_agg(CASE WHEN a.attisdropped THEN '-' ELSE a.atttypid || ':' || a.xmin || CASE WHEN a.atthasmissing THEN '*' ELSE '' END END, ' ' ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
      'generated', (SELECT coalesce(json_agg(a.attgenerated ORDER BY a.attnum), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> ''),
      'columnNames', (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
      'partitions', (SELECT json_object_agg(l.oid::text, l.relfilenode || ':' || (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = l.oid AND a.atthasmissing)
           || CASE WHEN y.xmin = i.xmin AND i.cmin::text::bigint - y.cmin::text::bigint BETWEEN 0 AND 4 THEN '+' ELSE '' END)
         FROM tree t JOIN pg_class l ON l.oid = t.oid JOIN pg_inherits i ON i.inhrelid = l.oid JOIN pg_type y ON y.oid = l.reltype WHERE t.root = c.oid AND l.oid <> c.oid),
      'labels', (SELECT json_object_agg(e.oid::text, e.enumlabel) FROM pg_enum e WHERE e.enumtypid IN (
         SELECT unnest(ARRAY[y.oid, y.typelem, y.typbasetype, b.typelem]) FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = y.typbasetype
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)),
      'children', (SELECT coalesce(json_agg(h.relname ORDER BY h.relname), '[]') FROM pg_inherits i JOIN pg_class h ON h.oid = i.inhrelid WHERE i.inhparent = c.oid AND c.relkind <> 'p')))::text
   FROM captured c) AS tables`;
