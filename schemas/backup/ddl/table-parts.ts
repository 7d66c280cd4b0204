import type pg from 'pg';
import type { DdlItem } from './item.ts';
import { type ItemRow, notOfExtension, toItem } from './read-items.ts';

/**
 * Parts added to tables after their rows are loaded: indexes, constraints, statistics, rules, triggers, row security,
 * replica identity, rows of materialised views.
 */
export async function readTableParts(client: pg.ClientBase, schemas: readonly string[]): Promise<DdlItem[]> {
  const items: DdlItem[] = [];
  for (const query of [
    ...[INDEXES, CONSTRAINTS, STATISTICS, RULES, TRIGGERS, ROW_SECURITY, POLICIES, REPLICA_IDENTITIES],
    MATERIALIZED_ROWS,
  ]) {
    const { rows } = await client.query<ItemRow>(query, [schemas]);
    items.push(...rows.map(toItem));
  }
  return items;
}

/** Relations whose parts are read; those created by an extension are excluded, since they bring their own parts. */
const OF_TABLE = `JOIN pg_class c ON c.oid = %s JOIN pg_namespace n ON n.oid = c.relnamespace`;
const ofTable = (oid: string) => OF_TABLE.replace('%s', oid);
const WHERE = `n.nspname = ANY ($1) AND ${notOfExtension('pg_class', 'c.oid')}`;
const ALTER = `format('ALTER TABLE %s%I.%I ', CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname)`;

/** Indexes of partitions come before that of their table, which then adopts them. */
const INDEXES = `SELECT 'pg_class:' || i.indexrelid AS id, 'index' AS kind, format('%I.%I', n.nspname, x.relname) AS name,
  regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') || ';'
    || CASE WHEN i.indisclustered THEN E'\\n' || ${ALTER} || format('CLUSTER ON %I;', x.relname) ELSE '' END AS sql,
  ARRAY(SELECT 'pg_class:' || h.inhrelid FROM pg_inherits h WHERE h.inhparent = i.indexrelid)::text AS after
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid ${ofTable('i.indrelid')}
  WHERE ${WHERE} AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))`;

/** Excludes constraints inherited only from a parent, and valid NOT NULL constraints, which are part of the column. */
const CONSTRAINTS = `SELECT 'pg_constraint:' || k.oid AS id, CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END AS kind, format('%I.%I.%I', n.nspname, c.relname, k.conname) AS name,
  ${ALTER} || format('ADD CONSTRAINT %I %s;', k.conname, pg_get_constraintdef(k.oid))
    || CASE WHEN k.contype <> 'f' AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = k.conindid AND i.indisclustered)
      THEN E'\\n' || ${ALTER} || format('CLUSTER ON %I;', k.conname) ELSE '' END AS sql,
  CASE WHEN k.conindid <> 0 AND k.contype <> 'f' THEN ARRAY['pg_class:' || k.conindid]::text END AS aliases,
  (ARRAY['pg_class:' || c.oid] || ARRAY(SELECT 'pg_constraint:' || h.oid FROM pg_constraint h WHERE h.conparentid = k.oid))::text AS after
  FROM pg_constraint k ${ofTable('k.conrelid')}
  WHERE ${WHERE} AND c.relkind IN ('r', 'p') AND k.contype IN ('c', 'p', 'u', 'x', 'f', 'n') AND (k.contype <> 'n' OR NOT k.convalidated)
    AND (k.contype IN ('p', 'u', 'x') OR (k.conislocal AND k.conparentid = 0))`;

const STATISTICS = `SELECT 'pg_statistic_ext:' || s.oid AS id, 'statistics' AS kind, format('%I.%I', n.nspname, s.stxname) AS name, pg_get_statisticsobjdef(s.oid) || ';' AS sql
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE n.nspname = ANY ($1) AND ${notOfExtension('pg_statistic_ext', 's.oid')}`;

const RULES = `SELECT 'pg_rewrite:' || r.oid AS id, 'rule' AS kind, format('%I.%I.%I', n.nspname, c.relname, r.rulename) AS name,
  pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' WHEN 'D' THEN format(E'\\nALTER TABLE %I.%I DISABLE RULE %I;', n.nspname, c.relname, r.rulename)
    ELSE format(E'\\nALTER TABLE %I.%I ENABLE %s RULE %I;', n.nspname, c.relname, CASE r.ev_enabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, r.rulename) END AS sql
  FROM pg_rewrite r ${ofTable('r.ev_class')} WHERE ${WHERE} AND r.rulename <> '_RETURN'`;

const TRIGGERS = `SELECT 'pg_trigger:' || t.oid AS id, 'trigger' AS kind, format('%I.%I.%I', n.nspname, c.relname, t.tgname) AS name,
  pg_get_triggerdef(t.oid) || ';' || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN format(E'\\nALTER TABLE %I.%I DISABLE TRIGGER %I;', n.nspname, c.relname, t.tgname)
    ELSE format(E'\\nALTER TABLE %I.%I ENABLE %s TRIGGER %I;', n.nspname, c.relname, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, t.tgname) END AS sql
  FROM pg_trigger t ${ofTable('t.tgrelid')} WHERE ${WHERE} AND NOT t.tgisinternal AND t.tgparentid = 0`;

const ROW_SECURITY = `SELECT 'pg_class:' || c.oid || ':row security' AS id, 'row security' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY;', n.nspname, c.relname) || CASE WHEN c.relforcerowsecurity THEN format(E'\\nALTER TABLE %I.%I FORCE ROW LEVEL SECURITY;', n.nspname, c.relname) ELSE '' END AS sql,
  ARRAY['pg_class:' || c.oid]::text AS after
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${WHERE} AND c.relrowsecurity`;

const POLICIES = `SELECT 'pg_policy:' || p.oid AS id, 'policy' AS kind, format('%I.%I.%I', n.nspname, c.relname, p.polname) AS name,
  format('CREATE POLICY %I ON %I.%I%s FOR %s TO %s%s%s;', p.polname, n.nspname, c.relname, CASE WHEN p.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', ' ORDER BY pg_get_userbyid(o)) FROM unnest(p.polroles) AS o),
    coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''), coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')) AS sql,
  ARRAY(SELECT pg_get_userbyid(o)::text FROM unnest(p.polroles) AS o WHERE o <> 0)::text AS roles
  FROM pg_policy p ${ofTable('p.polrelid')} WHERE ${WHERE}`;

const REPLICA_IDENTITIES = `SELECT 'pg_class:' || c.oid || ':replica identity' AS id, 'replica identity' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  ${ALTER} || 'REPLICA IDENTITY ' || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
    ELSE 'USING INDEX ' || (SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) END || ';' AS sql,
  (ARRAY['pg_class:' || c.oid] || ARRAY(SELECT 'pg_class:' || i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))::text AS after
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${WHERE} AND c.relkind IN ('r', 'p') AND c.relreplident <> 'd' AND (c.relreplident <> 'i' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))`;

/** Runs after everything else; a view follows those that it reads. */
const MATERIALIZED_ROWS = `SELECT 'pg_class:' || c.oid || ':rows' AS id, 'materialized rows' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
  format('REFRESH MATERIALIZED VIEW %I.%I;', n.nspname, c.relname) AS sql,
  (ARRAY['pg_class:' || c.oid] || ARRAY(SELECT DISTINCT 'pg_class:' || m.oid || ':rows' FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
     JOIN pg_class m ON d.refclassid = 'pg_class'::regclass AND m.oid = d.refobjid AND m.relkind = 'm' AND m.oid <> c.oid WHERE r.ev_class = c.oid))::text AS after
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${WHERE} AND c.relkind = 'm' AND c.relispopulated`;
