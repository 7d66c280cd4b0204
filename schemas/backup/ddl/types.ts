import type pg from 'pg';
import type { DdlItem } from './item.ts';
import { type ItemRow, notOfExtension, toItem } from './read-items.ts';

/** Enum, composite and range types and domains; functions and procedures. */
export async function readTypesAndRoutines(client: pg.ClientBase, schemas: readonly string[]): Promise<DdlItem[]> {
  const items: DdlItem[] = [];
  for (const query of [ENUMS, DOMAINS, DOMAIN_CONSTRAINTS, COMPOSITES, RANGES, ROUTINES]) {
    const { rows } = await client.query<ItemRow>(query, [schemas]);
    items.push(...rows.map(toItem));
  }
  return items;
}

const OF_TYPE = `'pg_type:' || y.oid AS id, 'type' AS kind, format('%I.%I', n.nspname, y.typname) AS name`;
const WHERE_TYPE = `n.nspname = ANY ($1) AND ${notOfExtension('pg_type', 'y.oid')}`;

const ENUMS = `SELECT ${OF_TYPE}, ARRAY['pg_type:' || y.typarray]::text AS aliases,
  format('CREATE TYPE %I.%I AS ENUM (%s);', n.nspname, y.typname, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid)) AS sql
  FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace WHERE y.typtype = 'e' AND ${WHERE_TYPE}`;

const DOMAINS = `SELECT ${OF_TYPE},
  (ARRAY['pg_type:' || y.typarray] || ARRAY(SELECT 'pg_constraint:' || k.oid FROM pg_constraint k WHERE k.contypid = y.oid AND k.convalidated))::text AS aliases,
  format('CREATE DOMAIN %I.%I AS %s%s%s%s%s;', n.nspname, y.typname, format_type(y.typbasetype, y.typtypmod),
    CASE WHEN y.typcollation <> 0 AND y.typcollation <> b.typcollation THEN format(' COLLATE %I.%I', ln.nspname, l.collname) ELSE '' END,
    coalesce(' DEFAULT ' || pg_get_expr(y.typdefaultbin, 0), ''),
    CASE WHEN y.typnotnull THEN ' NOT NULL' ELSE '' END,
    (SELECT coalesce(string_agg(format(' CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), '' ORDER BY k.conname), '') FROM pg_constraint k
     WHERE k.contypid = y.oid AND k.contype = 'c' AND k.convalidated)) AS sql
  FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace JOIN pg_type b ON b.oid = y.typbasetype
  LEFT JOIN pg_collation l ON l.oid = y.typcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
  WHERE y.typtype = 'd' AND ${WHERE_TYPE}`;

const DOMAIN_CONSTRAINTS = `SELECT 'pg_constraint:' || k.oid AS id, 'constraint' AS kind, format('%I.%I.%I', n.nspname, y.typname, k.conname) AS name,
  format('ALTER DOMAIN %I.%I ADD CONSTRAINT %I %s;', n.nspname, y.typname, k.conname, pg_get_constraintdef(k.oid)) AS sql, ARRAY['pg_type:' || y.oid]::text AS after
  FROM pg_constraint k JOIN pg_type y ON y.oid = k.contypid JOIN pg_namespace n ON n.oid = y.typnamespace WHERE NOT k.convalidated AND ${WHERE_TYPE}`;

const COMPOSITES = `SELECT ${OF_TYPE}, ARRAY['pg_type:' || y.typarray, 'pg_class:' || y.typrelid]::text AS aliases,
  format('CREATE TYPE %I.%I AS (%s);', n.nspname, y.typname, (SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attcollation <> 0 AND a.attcollation <> b.typcollation THEN format(' COLLATE %I.%I', ln.nspname, l.collname) ELSE '' END), ', ' ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
    WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) AS sql
  FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace JOIN pg_class c ON c.oid = y.typrelid WHERE y.typtype = 'c' AND c.relkind = 'c' AND ${WHERE_TYPE}`;

/** A range type with a canonical function needs a shell type first: left to `refuseUnsupported`. */
const RANGES = `SELECT ${OF_TYPE},
  ARRAY['pg_type:' || y.typarray, 'pg_type:' || r.rngmultitypid, 'pg_type:' || (SELECT m.typarray FROM pg_type m WHERE m.oid = r.rngmultitypid)]::text
    AS aliases,
  format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, MULTIRANGE_TYPE_NAME = %I.%I, SUBTYPE_OPCLASS = %I.%I%s%s);', n.nspname, y.typname, format_type(r.rngsubtype, NULL),
    (SELECT mn.nspname FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = r.rngmultitypid), (SELECT m.typname FROM pg_type m WHERE m.oid = r.rngmultitypid),
    (SELECT pn.nspname FROM pg_opclass p JOIN pg_namespace pn ON pn.oid = p.opcnamespace WHERE p.oid = r.rngsubopc), (SELECT p.opcname FROM pg_opclass p WHERE p.oid = r.rngsubopc),
    (SELECT coalesce(max(format(', COLLATION = %I.%I', ln.nspname, l.collname)), '') FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace
     WHERE l.oid = r.rngcollation AND l.oid <> (SELECT b.typcollation FROM pg_type b WHERE b.oid = r.rngsubtype)),
    (SELECT coalesce(max(format(', SUBTYPE_DIFF = %I.%I', fn.nspname, f.proname)), '') FROM pg_proc f JOIN pg_namespace fn ON fn.oid = f.pronamespace WHERE f.oid = r.rngsubdiff)) AS sql
  FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace JOIN pg_range r ON r.rngtypid = y.oid WHERE y.typtype = 'r' AND r.rngcanonical = 0 AND ${WHERE_TYPE}`;

const ROUTINES = `SELECT 'pg_proc:' || f.oid AS id, 'routine' AS kind, f.oid::regprocedure::text AS name, rtrim(pg_get_functiondef(f.oid), E'\\n') || ';' AS sql
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
  WHERE f.prokind IN ('f', 'p') AND n.nspname = ANY ($1) AND ${notOfExtension('pg_proc', 'f.oid')}
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'i')`;
