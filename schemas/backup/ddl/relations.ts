import type pg from 'pg';
import type { DdlItem } from './item.ts';
import { type ItemRow, notOfExtension, toItem, withOptions } from './read-items.ts';

/** Schemas, sequences, tables, partitions, views: objects that hold rows or contain others. `schemas`: their names. */
export async function readRelations(client: pg.ClientBase, schemas: readonly string[]): Promise<DdlItem[]> {
  const items: DdlItem[] = [];
  for (const query of [SCHEMAS, SEQUENCES, TABLES, PARTITIONS, VIEWS, SEQUENCE_OWNERS]) {
    const { rows } = await client.query<ItemRow>(query, [schemas]);
    items.push(...rows.map(toItem));
  }
  return items;
}

/**
 * Every extension except plpgsql; the caller removes those that are not needed. Their members are not separate items.
 */
export async function readExtensions(client: pg.ClientBase): Promise<DdlItem[]> {
  const { rows } = await client.query<ItemRow>(
    `SELECT 'pg_extension:' || x.oid AS id, 'extension' AS kind, quote_ident(x.extname) AS name,
       CASE WHEN n.nspname LIKE 'pg\\_%' THEN '' ELSE format(E'CREATE SCHEMA IF NOT EXISTS %I;\\n', n.nspname) END
         || format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I;', x.extname, n.nspname) AS sql,
       (SELECT array_agg(d.classid::regclass || ':' || d.objid) FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e')::text AS aliases
     FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname <> 'plpgsql'`,
  );
  return rows.map(toItem);
}

const SCHEMAS = `SELECT 'pg_namespace:' || n.oid AS id, 'schema' AS kind, quote_ident(n.nspname) AS name,
  format('CREATE SCHEMA IF NOT EXISTS %I;', n.nspname) AS sql FROM pg_namespace n WHERE n.nspname = ANY ($1)`;

const sequenceOptions = (q: string) =>
  `format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s', ${q}.seqstart, ${q}.seqincrement, ${q}.seqmin, ${q}.seqmax, ${q}.seqcache) || CASE WHEN ${q}.seqcycle THEN ' CYCLE' ELSE '' END`;

const SEQUENCES = `SELECT 'pg_class:' || c.oid AS id, 'sequence' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  format('CREATE %sSEQUENCE %I.%I AS %s %s;', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, n.nspname, c.relname, format_type(q.seqtypid, NULL), ${sequenceOptions('q')}) AS sql
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
  WHERE c.relkind = 'S' AND n.nspname = ANY ($1) AND ${notOfExtension('pg_class', 'c.oid')}
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')`;

const SEQUENCE_OWNERS = `SELECT 'pg_class:' || c.oid || ':owner' AS id, 'sequence owner' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I;', n.nspname, c.relname, tn.nspname, t.relname, a.attname) AS sql,
  ARRAY['pg_class:' || c.oid, 'pg_class:' || t.oid]::text AS after
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'a'
  JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
  WHERE c.relkind = 'S' AND n.nspname = ANY ($1) AND ${notOfExtension('pg_class', 'c.oid')}`;

/** Named NOT NULL constraints of columns exist since PostgreSQL 18. */
const NOT_NULL = `CASE WHEN NOT a.attnotnull THEN ''
    WHEN nn.conname IS NOT NULL THEN format(' CONSTRAINT %I NOT NULL', nn.conname) || CASE WHEN nn.connoinherit THEN ' NO INHERIT' ELSE '' END
    WHEN pn.conname IS NOT NULL THEN ''
    ELSE ' NOT NULL' END`;

const COLUMNS = `SELECT string_agg(format(E'\\n  %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attcollation <> 0 AND a.attcollation <> y.typcollation THEN format(' COLLATE %I.%I', ln.nspname, l.collname) ELSE '' END,
      CASE WHEN a.attidentity <> '' THEN format(' GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I %s)', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, sn.nspname, s.relname, ${sequenceOptions('q')})
        WHEN a.attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%s) %s', pg_get_expr(e.adbin, e.adrelid), CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
        WHEN e.oid IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(e.adbin, e.adrelid) ELSE '' END,
      ${NOT_NULL}), ',' ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
    LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
    LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    LEFT JOIN pg_constraint nn ON nn.conrelid = a.attrelid AND nn.contype = 'n' AND nn.conkey = ARRAY[a.attnum] AND nn.convalidated
    LEFT JOIN pg_constraint pn ON pn.conrelid = a.attrelid AND pn.contype = 'n' AND pn.conkey = ARRAY[a.attnum] AND NOT pn.convalidated
    LEFT JOIN pg_depend d ON a.attidentity <> '' AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
    LEFT JOIN pg_class s ON s.oid = d.objid LEFT JOIN pg_namespace sn ON sn.oid = s.relnamespace LEFT JOIN pg_sequence q ON q.seqrelid = s.oid
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`;

const COLUMN_SETTINGS = `SELECT string_agg(format(E'\\nALTER TABLE ONLY %I.%I ALTER COLUMN %I %s;', n.nspname, c.relname, a.attname, v.setting), '' ORDER BY a.attnum, v.setting)
    FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid CROSS JOIN LATERAL (VALUES
      (CASE WHEN a.attstorage <> y.typstorage THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
      (CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
      (CASE WHEN coalesce(a.attstattarget, -1) >= 0 THEN 'SET STATISTICS ' || a.attstattarget END),
      (CASE WHEN a.attoptions IS NOT NULL THEN 'SET (' || array_to_string(a.attoptions, ', ') || ')' END)) AS v (setting)
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND v.setting IS NOT NULL`;

/**
 * Standalone tables and partitions: a partition is first created as a table and attached afterwards. Other inheriting
 * tables are left to `refuseUnsupported`.
 */
const TABLES = `SELECT 'pg_class:' || c.oid AS id, 'table' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  format(E'CREATE %sTABLE %I.%I (%s\\n)%s%s%s;%s', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, n.nspname, c.relname, (${COLUMNS}),
    CASE c.relkind WHEN 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END,
    (SELECT CASE WHEN m.amname <> 'heap' THEN format(' USING %I', m.amname) ELSE '' END FROM (SELECT 1) one LEFT JOIN pg_am m ON m.oid = c.relam),
    ${withOptions('c', true)}, (${COLUMN_SETTINGS})) AS sql,
  (ARRAY['pg_type:' || c.reltype, 'pg_type:' || (SELECT y.typarray FROM pg_type y WHERE y.oid = c.reltype)]
    || ARRAY(SELECT 'pg_attrdef:' || e.oid FROM pg_attrdef e WHERE e.adrelid = c.oid)
    || ARRAY(SELECT 'pg_constraint:' || k.oid FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.convalidated)
    || ARRAY(SELECT 'pg_class:' || d.objid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
       WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'))::text AS aliases
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1) AND c.reloftype = 0 AND c.relpersistence <> 't' AND ${notOfExtension('pg_class', 'c.oid')}
    AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND NOT c.relispartition)`;

const PARTITIONS = `SELECT 'pg_class:' || c.oid || ':partition' AS id, 'partition' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  format('ALTER TABLE ONLY %I.%I ATTACH PARTITION %I.%I %s;', pn.nspname, p.relname, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid)) AS sql,
  ARRAY['pg_class:' || c.oid, 'pg_class:' || p.oid]::text AS after
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
  WHERE c.relispartition AND c.relkind IN ('r', 'p') AND n.nspname = ANY ($1) AND ${notOfExtension('pg_class', 'c.oid')}`;

const VIEWS = `SELECT 'pg_class:' || c.oid AS id, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  CASE c.relkind WHEN 'v' THEN format(E'CREATE VIEW %I.%I%s AS\\n%s', n.nspname, c.relname, ${withOptions('c', false)}, pg_get_viewdef(c.oid))
    ELSE format(E'CREATE MATERIALIZED VIEW %I.%I%s AS\\n%s\\n  WITH NO DATA;', n.nspname, c.relname, ${withOptions('c', true)}, rtrim(pg_get_viewdef(c.oid), ';')) END AS sql,
  (ARRAY['pg_type:' || c.reltype, 'pg_type:' || (SELECT y.typarray FROM pg_type y WHERE y.oid = c.reltype)]
    || ARRAY(SELECT 'pg_rewrite:' || r.oid FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN'))::text AS aliases
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('v', 'm') AND n.nspname = ANY ($1) AND ${notOfExtension('pg_class', 'c.oid')}`;
