// What is defined in some schemas of a database, line by line, for comparing two databases or two moments. It shares nothing with what writes definitions.
import type pg from 'pg';

/** Every line names what it is about; object ids and anything else that differs between equal databases are left out. Sorted. */
export async function describeCatalog(client: pg.ClientBase, schemas: readonly string[]): Promise<string[]> {
  await client.query('BEGIN READ ONLY');
  try {
    await client.query(`SET LOCAL search_path = ''`);
    const lines: string[] = [];
    for (const query of QUERIES) {
      const { rows } = await client.query<{ line: string | null }>(query, [schemas]);
      lines.push(...rows.map(({ line }) => line ?? 'NULL: a query of describe-catalog.ts misses something'));
    }
    return lines.sort();
  } finally {
    await client.query('COMMIT');
  }
}

/** What capturing changes in a legacy database: replica identities, publications and their tables. */
export async function describeCapture(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(
    `SELECT format('identity %s %s %s', c.oid::regclass, c.relreplident, (SELECT i.indexrelid::regclass FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)) AS line
       FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
     UNION ALL SELECT format('publication %s', to_jsonb(p) - 'oid') FROM pg_publication p
     UNION ALL SELECT format('published %s', to_jsonb(t)) FROM pg_publication_tables t
     UNION ALL SELECT format('published schema %s', n.nspname) FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid
     UNION ALL SELECT format('slot %s %s', slot_name, plugin) FROM pg_replication_slots WHERE database = current_database()`,
  );
  return rows.map(({ line }) => line).sort();
}

const WHERE = 'n.nspname = ANY ($1)';
const acl = (of: string) =>
  `(SELECT coalesce(string_agg(format('%s=%s%s/%s', CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, CASE WHEN a.is_grantable THEN '*' ELSE '' END, pg_get_userbyid(a.grantor)), ' ' ORDER BY a.grantee <> 0, pg_get_userbyid(a.grantee), a.privilege_type), 'default') FROM aclexplode(${of}) a)`;

const QUERIES = [
  `SELECT format('schema %s owner %s acl %s', n.nspname, pg_get_userbyid(n.nspowner), ${acl('n.nspacl')}) AS line FROM pg_namespace n WHERE ${WHERE}`,
  `SELECT format('relation %s.%s kind %s persistence %s owner %s options %s toast %s acl %s security %s %s identity %s partition %s of %s key %s', n.nspname, c.relname, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner),
     (SELECT string_agg(o, ',' ORDER BY o) FROM unnest(c.reloptions) o), (SELECT h.reloptions FROM pg_class h WHERE h.oid = c.reltoastrelid), ${acl('c.relacl')}, c.relrowsecurity, c.relforcerowsecurity,
     CASE WHEN c.relkind IN ('r', 'p') THEN c.relreplident END, pg_get_expr(c.relpartbound, c.oid), (SELECT string_agg(i.inhparent::regclass::text, ',') FROM pg_inherits i WHERE i.inhrelid = c.oid), CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END) AS line
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${WHERE} AND c.relkind <> 'c'`,
  `SELECT format('column %s.%s %s: %s', table_schema, table_name, column_name, to_jsonb(k) - '{table_catalog,udt_catalog,domain_catalog,collation_catalog,dtd_identifier,ordinal_position}'::text[]) AS line FROM information_schema.columns k WHERE table_schema = ANY ($1)`,
  `SELECT format('attribute %s.%s %s of %s: type %s storage %s compression %s statistics %s options %s acl %s collation %s inherited %s', n.nspname, c.relname, a.attname,
     (SELECT string_agg(b.attname, ',' ORDER BY b.attnum) FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped), format_type(a.atttypid, a.atttypmod), a.attstorage, a.attcompression,
     a.attstattarget, a.attoptions, ${acl('a.attacl')}, (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation), a.attinhcount) AS line
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${WHERE} AND c.relkind <> 'i' AND a.attnum > 0 AND NOT a.attisdropped`,
  `SELECT format('constraint %s %s on %s: %s valid %s deferrable %s %s local %s inherited %s', k.conname, k.contype, coalesce(nullif(k.conrelid, 0)::regclass::text, k.contypid::regtype::text), pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable, k.condeferred, k.conislocal, k.coninhcount) AS line
   FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE ${WHERE}`,
  `SELECT format('index %s.%s: %s valid %s ready %s live %s clustered %s identity %s attached to %s', n.nspname, c.relname, pg_get_indexdef(c.oid), i.indisvalid, i.indisready, i.indislive, i.indisclustered, i.indisreplident, (SELECT h.inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = c.oid)) AS line
   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${WHERE}`,
  `SELECT format('sequence %s: %s owned by %s', format('%I.%I', q.schemaname, q.sequencename), to_jsonb(q) - 'last_value', (SELECT string_agg(format('%s.%s %s', d.refobjid::regclass, d.refobjsubid > 0, d.deptype), ',') FROM pg_depend d
     WHERE d.classid = 'pg_class'::regclass AND d.objid = format('%I.%I', q.schemaname, q.sequencename)::regclass AND d.refclassid = 'pg_class'::regclass)) AS line FROM pg_sequences q WHERE q.schemaname = ANY ($1)`,
  `SELECT format('policy %s', to_jsonb(p)) AS line FROM pg_policies p WHERE p.schemaname = ANY ($1)`,
  `SELECT format('view %s', to_jsonb(v)) AS line FROM pg_views v WHERE v.schemaname = ANY ($1)`,
  `SELECT format('materialised view %s', to_jsonb(v)) AS line FROM pg_matviews v WHERE v.schemaname = ANY ($1)`,
  `SELECT format('rule %s', to_jsonb(r)) AS line FROM pg_rules r WHERE r.schemaname = ANY ($1)`,
  `SELECT format('routine %s %s %s %s acl %s', p.oid::regprocedure, to_jsonb(p) - '{oid,pronamespace,proowner,proacl,prorettype,proargtypes,proallargtypes,proargdefaults,prosqlbody,prosupport,prolang,provariadic}'::text[], pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner), ${acl('p.proacl')}) AS line
   FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${WHERE} AND p.prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`,
  `SELECT format('trigger %s on %s: %s enabled %s', t.tgname, t.tgrelid::regclass, pg_get_triggerdef(t.oid), t.tgenabled) AS line FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE ${WHERE} AND NOT t.tgisinternal`,
  `SELECT format('type %s kind %s labels %s base %s not null %s default %s range %s acl %s owner %s', y.oid::regtype, y.typtype, (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid),
     CASE WHEN y.typtype = 'd' THEN format_type(y.typbasetype, y.typtypmod) END, y.typnotnull, y.typdefault, (SELECT format('%s %s %s %s', r.rngsubtype::regtype, r.rngmultitypid::regtype, r.rngcollation, r.rngsubdiff) FROM pg_range r WHERE r.rngtypid = y.oid), ${acl('y.typacl')}, pg_get_userbyid(y.typowner)) AS line
   FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace WHERE ${WHERE} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = y.oid AND d.deptype = 'e')`,
  `SELECT format('statistics %s', pg_get_statisticsobjdef(s.oid)) AS line FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ${WHERE}`,
  `SELECT format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description) AS line FROM pg_description d
   WHERE (pg_identify_object(d.classoid, d.objoid, 0)).schema = ANY ($1) OR (pg_identify_object(d.classoid, d.objoid, 0)).identity = ANY (SELECT quote_ident(s) FROM unnest($1::text[]) s)
     OR split_part(pg_describe_object(d.classoid, d.objoid, 0), ' on ', 2) <> '' AND EXISTS (SELECT FROM unnest($1::text[]) s WHERE strpos(pg_describe_object(d.classoid, d.objoid, 0), ' ' || quote_ident(s) || '.') > 0)`,
  `SELECT format('extension %s in %s', x.extname, n.nspname) AS line FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE $1::text[] IS NOT NULL AND x.extname <> 'plpgsql'`,
  `SELECT format('default privileges %s %s %s', pg_get_userbyid(d.defaclrole), d.defaclobjtype, ${acl('d.defaclacl')}) AS line FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE ${WHERE}`,
];
