import type pg from 'pg';
import type { Config } from '../runtime/config.ts';
import { parseAddress } from '../runtime/postgres-address.ts';
import { FIRST_OWN_OID, type SourceFingerprint, type TableFingerprint } from './source-fingerprint.ts';

/** What is captured, by name. */
export interface CaptureOptions {
  readonly schema: string;
  readonly tables: readonly string[];
  readonly publication: string;
  /** The connector's role, whose privileges are checked; the session's role if it does not exist. */
  readonly reader?: string;
}

/** The capture options of a configuration. */
export function captureOf(
  config: Pick<Config, 'legacySchema' | 'tables' | 'publication'> & Partial<Pick<Config, 'legacyUrl'>>,
): CaptureOptions {
  const { legacySchema: schema, tables, publication, legacyUrl } = config;
  const reader = legacyUrl === undefined ? null : parseAddress(legacyUrl()).user;
  return { schema, tables, publication, ...(reader === null ? {} : { reader }) };
}

/**
 * A partition that violates the requirements of its table: its changes are written to the WAL under its own settings.
 */
export interface PartitionFault {
  /** Qualified and quoted. */
  readonly name: string;
  readonly fault: 'identity' | 'unlogged' | 'storage';
}

/** The state of a captured table, as far as capture depends on it. */
export interface TableState extends TableFingerprint {
  readonly isPartitioned: boolean;
  /** pg_class.relreplident: `f` is FULL. */
  readonly identity: string;
  readonly hasRowFilter: boolean;
  readonly hasColumnList: boolean;
  /** Row-level security applies to this role: it would see only some of the rows. */
  readonly hidesRows: boolean;
  /** Generated columns: stored (`s`) and virtual (`v`). */
  readonly generated: readonly ('s' | 'v')[];
  /** `u`: unlogged. */
  readonly persistence: string;
  /** Whether the rows are in PostgreSQL's heap: changes by other access methods may not be decodable from the WAL. */
  readonly isHeap: boolean;
  /** Why a key may briefly stand for two rows; null if it never does. */
  readonly keyFault: 'deferrable' | 'invalid' | null;
  /** Name of the primary key's constraint. */
  readonly keyName: string | null;
  /** Schemas of the key's types and operators on which the connector's role lacks USAGE. */
  readonly closedSchemas: readonly string[];
  readonly partitionFaults: readonly PartitionFault[];
  /**
   * The partitioned table, qualified and quoted, under whose name the publication sends this partition's rows; null:
   * under its own.
   */
  readonly sentAs: string | null;
  /**
   * Inheriting tables that are not partitions, qualified and quoted if in another schema: their rows do not belong to
   * this table.
   */
  readonly children: readonly string[];
}

/** State of the source as of one query. Tables that do not exist are left out. */
export interface SourceState {
  readonly walLevel: string;
  readonly role: string;
  readonly publication: {
    readonly id: string;
    /** Kinds of changes that are not published. */
    readonly unpublished: readonly string[];
    readonly viaRoot: boolean;
    /** Whether stored generated columns are published. */
    readonly withGenerated: boolean;
  } | null;
  /**
   * PostgreSQL 18 publishes stored generated columns on request, and refuses changes of a published table with FULL
   * that has other ones.
   */
  readonly canPublishGenerated: boolean;
  readonly tables: Readonly<Record<string, TableState>>;
}

/**
 * Reads publication and captured tables in one statement, so the result is consistent. Reads only the catalog and
 * avoids functions that lock a table: it must not wait for an ALTER TABLE or a VACUUM FULL.
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
    values: [options.schema, options.tables, options.publication, options.reader ?? null],
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

/**
 * The stored part of a source state; null without a publication. `before`: the fingerprint it replaces. Its columns
 * that no longer exist are remembered: rows of the log may still have cells under their names.
 */
export function toFingerprint(state: SourceState, before?: SourceFingerprint): SourceFingerprint | null {
  if (state.publication === null) return null;
  return {
    publication: state.publication.id,
    tables: Object.fromEntries(
      Object.entries(state.tables).map(([table, now]) => {
        const { oid, file, published, key, keyMark, toast, columns, names, partitions, labels, composites } = now;
        const gone = findGoneNames(names ?? [], before?.tables[table]);
        return [
          table,
          {
            ...{ oid, file, published, key, columns },
            ...(keyMark ? { keyMark } : {}),
            ...(toast ? { toast } : {}),
            ...(names ? { names } : {}),
            ...(gone.length > 0 ? { gone } : {}),
            ...(partitions ? { partitions } : {}),
            ...(labels ? { labels } : {}),
            ...(composites ? { composites } : {}),
          },
        ];
      }),
    ),
  };
}

function findGoneNames(names: readonly string[], before: TableFingerprint | undefined): string[] {
  const known = new Set([...(before?.gone ?? []), ...(before?.names ?? [])]);
  return [...known].filter((name) => name !== '' && !names.includes(name)).sort();
}

/**
 * ATTACH PARTITION rewrites the partition's column entries, while CREATE TABLE … PARTITION OF writes them before the
 * membership: only such a partition is certain to start empty. Not if its file differs from the first one, whose number
 * equals the table's oid.
 */
const SOURCE_QUERY = `
WITH RECURSIVE publication AS (SELECT p.*, p.xmin::text AS mark FROM pg_publication p WHERE p.pubname = $3),
captured AS (SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)),
tree (root, oid) AS (
  SELECT c.oid, c.oid FROM captured c WHERE c.relkind = 'p'
  UNION ALL SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid),
above (leaf, oid) AS (
  SELECT c.oid, c.oid FROM captured c WHERE c.relispartition
  UNION ALL SELECT a.leaf, i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid),
parts (root, oid) AS (
  SELECT c.oid, a.atttypid FROM captured c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= ${FIRST_OWN_OID}
  UNION SELECT p.root, part.oid FROM parts p JOIN pg_type y ON y.oid = p.oid CROSS JOIN LATERAL (
    SELECT y.typelem UNION ALL SELECT y.typbasetype
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE y.oid IN (r.rngtypid, r.rngmultitypid)
    UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS part (oid)
  WHERE part.oid >= ${FIRST_OWN_OID}),
reader AS (SELECT coalesce((SELECT r.oid FROM pg_roles r WHERE r.rolname = $4::text), (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)) AS oid)
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
      'persistence', c.relpersistence, 'isHeap', c.relam = 0 OR EXISTS (SELECT FROM pg_am m WHERE m.oid = c.relam AND m.amhandler = 'heap_tableam_handler'::regproc), 'toast', c.reltoastrelid::text,
      'key', (SELECT i.indkey::text FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
      'keyFault', (SELECT CASE WHEN NOT i.indimmediate THEN 'deferrable' WHEN NOT i.indisvalid THEN 'invalid' END FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
      'keyMark', (SELECT concat_ws(' ', k.oid, (SELECT string_agg(a.attcollation::text, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)))
         FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p'),
      'keyName', (SELECT k.conname FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p'),
      'closedSchemas', (SELECT coalesce(json_agg(DISTINCT n.nspname), '[]') FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey, i.indclass) AS k (attnum, opclass)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum JOIN pg_type y ON y.oid = a.atttypid JOIN pg_opclass f ON f.oid = k.opclass
         JOIN pg_namespace n ON n.oid IN (y.typnamespace, f.opcnamespace) WHERE i.indrelid = c.oid AND i.indisprimary AND NOT has_schema_privilege((SELECT oid FROM reader), n.oid, 'USAGE')),
      'partitionFaults', (SELECT coalesce(json_agg(json_build_object('name', format('%I.%I', n.nspname, l.relname), 'fault',
           CASE WHEN l.relpersistence = 'u' THEN 'unlogged' WHEN m.amhandler <> 'heap_tableam_handler'::regproc THEN 'storage' ELSE 'identity' END) ORDER BY n.nspname, l.relname), '[]')
         FROM tree t JOIN pg_class l ON l.oid = t.oid JOIN pg_namespace n ON n.oid = l.relnamespace JOIN pg_am m ON m.oid = l.relam
         WHERE t.root = c.oid AND l.relkind = 'r' AND (l.relpersistence = 'u' OR l.relreplident <> 'f' OR m.amhandler <> 'heap_tableam_handler'::regproc)),
      'sentAs', (SELECT min(format('%I.%I', n.nspname, r.relname)) FROM above a JOIN pg_class r ON r.oid = a.oid JOIN pg_namespace n ON n.oid = r.relnamespace CROSS JOIN publication p
         WHERE a.leaf = c.oid AND a.oid <> c.oid AND p.pubviaroot AND (p.puballtables OR EXISTS (SELECT FROM pg_publication_rel x WHERE x.prpubid = p.oid AND x.prrelid = r.oid)
           OR EXISTS (SELECT FROM pg_publication_namespace x WHERE x.pnpubid = p.oid AND x.pnnspid = r.relnamespace))),
      'columns', (SELECT string_agg(CASE WHEN a.attisdropped THEN '-' ELSE a.atttypid || ':' || a.xmin || CASE WHEN a.atthasmissing THEN '*' ELSE '' END END, ' ' ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
      'generated', (SELECT coalesce(json_agg(a.attgenerated ORDER BY a.attnum), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> ''),
      'names', (SELECT coalesce(json_agg(CASE WHEN a.attisdropped THEN '' ELSE a.attname END ORDER BY a.attnum), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
      'partitions', (SELECT json_object_agg(l.oid::text, concat_ws(':', l.relfilenode, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = l.oid AND a.atthasmissing), i.xmin,
             (SELECT coalesce(string_agg(a.attnum::text, '.' ORDER BY a.attnum), '') FROM pg_attribute a WHERE a.attrelid = l.oid AND a.atthasmissing))
           || CASE WHEN y.xmin <> i.xmin OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.xmin = i.xmin AND a.cmin::text::bigint < i.cmin::text::bigint) THEN '' WHEN l.relkind = 'r' AND l.relfilenode <> l.oid THEN '~' ELSE '+' END)
         FROM tree t JOIN pg_class l ON l.oid = t.oid JOIN pg_inherits i ON i.inhrelid = l.oid JOIN pg_type y ON y.oid = l.reltype WHERE t.root = c.oid AND l.oid <> c.oid),
      'labels', (SELECT json_object_agg(e.oid::text, e.enumlabel) FROM pg_enum e WHERE e.enumtypid IN (SELECT p.oid FROM parts p WHERE p.root = c.oid)),
      'composites', (SELECT json_object_agg(y.oid::text, (SELECT coalesce(string_agg(a.attnum || ':' || a.atttypid, ' ' ORDER BY a.attnum), '') FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
         FROM pg_type y WHERE y.typtype = 'c' AND y.oid IN (SELECT p.oid FROM parts p WHERE p.root = c.oid)),
      'children', (SELECT coalesce(json_agg(CASE WHEN h.relnamespace = c.relnamespace THEN h.relname ELSE format('%I.%I', hn.nspname, h.relname) END ORDER BY h.relname), '[]') FROM pg_inherits i JOIN pg_class h ON h.oid = i.inhrelid JOIN pg_namespace hn ON hn.oid = h.relnamespace WHERE i.inhparent = c.oid AND c.relkind <> 'p')))::text
   FROM captured c) AS tables`;
