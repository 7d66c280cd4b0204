import type pg from 'pg';
import type { DdlItem } from './item.ts';
import { type ItemRow, notOfExtension, toItem } from './read-items.ts';

/**
 * Owners, grants, default privileges and comments of everything in these schemas, each with the roles that it needs.
 */
export async function readAccess(client: pg.ClientBase, schemas: readonly string[]): Promise<DdlItem[]> {
  const items: DdlItem[] = [];
  for (const query of [OWNERS, GRANTS, COLUMN_GRANTS, DEFAULT_PRIVILEGES, COMMENTS]) {
    const { rows } = await client.query<ItemRow>(query, [schemas]);
    items.push(...rows.map(toItem));
  }
  return items;
}

/** Objects with an owner and an access list: their keyword in ALTER and GRANT, and their name there. */
const OBJECTS = `(
  SELECT 'pg_namespace:' || n.oid AS address, 'SCHEMA' AS alter_word, 'SCHEMA' AS grant_word, quote_ident(n.nspname) AS name, n.nspowner AS owner, n.nspacl AS acl, 'n' AS kind
    FROM pg_namespace n WHERE n.nspname = ANY ($1)
  UNION ALL SELECT 'pg_class:' || c.oid, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', n.nspname, c.relname), c.relowner, c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname = ANY ($1) AND ${notOfExtension('pg_class', 'c.oid')}
      AND (c.relkind <> 'S' OR c.relacl IS NOT NULL OR NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('i', 'a') AND d.refobjsubid > 0))
  UNION ALL SELECT 'pg_proc:' || f.oid, CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
      f.oid::regprocedure::text, f.proowner, f.proacl, 'f'
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE f.prokind IN ('f', 'p') AND n.nspname = ANY ($1) AND ${notOfExtension('pg_proc', 'f.oid')}
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'i')
  UNION ALL SELECT 'pg_type:' || y.oid, CASE y.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, CASE y.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, format('%I.%I', n.nspname, y.typname), y.typowner, y.typacl, 'T'
    FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace LEFT JOIN pg_class c ON c.oid = y.typrelid
    WHERE (y.typtype IN ('e', 'd', 'r') OR (y.typtype = 'c' AND c.relkind = 'c')) AND n.nspname = ANY ($1) AND ${notOfExtension('pg_type', 'y.oid')}
) AS o`;

/** A sequence owned by a column has the owner of its table. */
const OWNERS = `SELECT o.address || ':owner of' AS id, 'owner' AS kind, o.name, format('ALTER %s %s OWNER TO %I;', o.alter_word, o.name, pg_get_userbyid(o.owner)) AS sql,
  ARRAY[o.address]::text AS after, ARRAY[pg_get_userbyid(o.owner)::text]::text AS roles
  FROM ${OBJECTS} WHERE NOT (o.kind = 's' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('i', 'a') AND d.refobjsubid > 0 AND 'pg_class:' || d.objid = o.address))`;

const granteeOf = (grantee: string) =>
  `CASE ${grantee} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(${grantee})) END`;

/**
 * One item per object and grantee, for access lists other than the default: first the default privileges are revoked,
 * then the listed ones are granted. Separate items, so that a role missing elsewhere prevents only its own grants.
 */
const GRANTS = `SELECT o.address || ':revoke' AS id, 'grant' AS kind, o.name || ' 0' AS name,
  format('REVOKE ALL ON %s %s FROM PUBLIC;', o.grant_word, o.name) AS sql, ARRAY[o.address, o.address || ':owner of']::text AS after, NULL AS roles
  FROM ${OBJECTS} WHERE o.acl IS NOT NULL
  UNION ALL SELECT o.address || ':grant:' || a.grantee, 'grant', o.name || ' ' || ${granteeOf('a.grantee')},
    CASE WHEN a.grantee = o.owner THEN format(E'REVOKE ALL ON %s %s FROM %s;\\n', o.grant_word, o.name, ${granteeOf('a.grantee')}) ELSE '' END
      || string_agg(format('GRANT %s ON %s %s TO %s%s;', a.privilege_type, o.grant_word, o.name, ${granteeOf('a.grantee')}, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), E'\\n' ORDER BY a.privilege_type, a.is_grantable),
    ARRAY[o.address, o.address || ':revoke']::text, CASE WHEN a.grantee = 0 THEN NULL ELSE ARRAY[pg_get_userbyid(a.grantee)::text]::text END
  FROM ${OBJECTS} CROSS JOIN LATERAL aclexplode(o.acl) AS a GROUP BY o.address, o.name, o.grant_word, o.owner, a.grantee`;

const COLUMN_GRANTS = `SELECT 'pg_class:' || c.oid || ':' || t.attnum || ':grant:' || a.grantee AS id, 'grant' AS kind, format('%I.%I.%I %s', n.nspname, c.relname, t.attname, ${granteeOf('a.grantee')}) AS name,
  string_agg(format('GRANT %s (%I) ON %I.%I TO %s%s;', a.privilege_type, t.attname, n.nspname, c.relname, ${granteeOf('a.grantee')}, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), E'\\n' ORDER BY a.privilege_type, a.is_grantable) AS sql,
  ARRAY['pg_class:' || c.oid, 'pg_class:' || c.oid || ':revoke']::text AS after, CASE WHEN a.grantee = 0 THEN NULL ELSE ARRAY[pg_get_userbyid(a.grantee)::text]::text END AS roles
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(t.attacl) AS a
  WHERE n.nspname = ANY ($1) AND t.attnum > 0 AND NOT t.attisdropped AND ${notOfExtension('pg_class', 'c.oid')} GROUP BY c.oid, t.attnum, n.nspname, c.relname, t.attname, a.grantee`;

const DEFAULT_PRIVILEGES = `SELECT 'pg_default_acl:' || d.oid || ':' || a.grantee AS id, 'grant' AS kind, format('%I default %s %s', n.nspname, d.defaclobjtype, ${granteeOf('a.grantee')}) AS name,
  string_agg(format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT %s ON %s TO %s%s;', pg_get_userbyid(d.defaclrole), n.nspname, a.privilege_type,
    CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' ELSE 'TYPES' END, ${granteeOf('a.grantee')}, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), E'\\n' ORDER BY a.privilege_type) AS sql,
  ARRAY['pg_namespace:' || n.oid]::text AS after,
  (ARRAY[pg_get_userbyid(d.defaclrole)::text] || CASE WHEN a.grantee = 0 THEN ARRAY[]::text[] ELSE ARRAY[pg_get_userbyid(a.grantee)::text] END)::text AS roles
  FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
  WHERE n.nspname = ANY ($1) GROUP BY d.oid, n.oid, n.nspname, d.defaclrole, d.defaclobjtype, a.grantee`;

/** Comments on objects of these schemas, on the schemas themselves and on parts of their tables. */
const COMMENTS = `SELECT d.classoid::regclass || ':' || d.objoid || ':' || d.objsubid || ':comment' AS id, 'comment' AS kind, i.type || ' ' || i.identity AS name,
  format('COMMENT ON %s %s IS %L;', CASE WHEN i.type LIKE '% column' THEN 'COLUMN' WHEN i.type IN ('table constraint', 'domain constraint') THEN 'CONSTRAINT'
      WHEN i.type = 'statistics object' THEN 'STATISTICS' WHEN i.type = 'composite type' THEN 'TYPE' ELSE upper(i.type) END,
    CASE WHEN i.type = 'domain constraint' THEN regexp_replace(i.identity, '^(.*) on (.*)$', '\\1 ON DOMAIN \\2') ELSE i.identity END, d.description) AS sql,
  ARRAY[d.classoid::regclass || ':' || d.objoid]::text AS after
  FROM pg_description d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
  WHERE NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e') AND (i.schema = ANY ($1)
    OR (d.classoid = 'pg_namespace'::regclass AND EXISTS (SELECT FROM pg_namespace n WHERE n.oid = d.objoid AND n.nspname = ANY ($1)))
    OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1) AND c.oid = CASE d.classoid
        WHEN 'pg_constraint'::regclass THEN (SELECT k.conrelid FROM pg_constraint k WHERE k.oid = d.objoid) WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = d.objoid)
        WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy p WHERE p.oid = d.objoid) WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite r WHERE r.oid = d.objoid) END)
    OR EXISTS (SELECT FROM pg_constraint k JOIN pg_type y ON y.oid = k.contypid JOIN pg_namespace n ON n.oid = y.typnamespace WHERE d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid AND n.nspname = ANY ($1)))`;
