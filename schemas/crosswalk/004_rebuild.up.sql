-- Shadows: copies of the projected tables and of the projectors' state, into which a rebuild replays the log before anything of it is shown.
-- Projectors may not create tables: these functions of the migrations' owner do it, and can do nothing else.

-- Makes schema crosswalk_shadow_<name>, empty. Constraints and indexes have their own names, so that what is refused is named as it is in the tables themselves.
--   Foreign keys among the copied tables are real ones. Where they refer to another table, and where `partial` (then a parent that is not replayed lies in
--   crm), a trigger looks: a real one would lock that table, now and when the shadow goes.
CREATE FUNCTION crosswalk.create_shadow(name text, projected text[], partial boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shadow text := 'crosswalk_shadow_' || name;
  state constant text[] := ARRAY['consumer_offset', 'contribution', 'merge_key', 'parked_change', 'dead_letter', 'history_state'];
  copied record;
  made record;
  reference record;
  missing text;
  number integer := 0;
BEGIN
  IF name !~ '^[a-z][a-z0-9_]{0,30}$' THEN
    RAISE EXCEPTION 'a shadow has a name of 1 to 31 lower-case letters, digits and _' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT t INTO missing FROM unnest(projected) t
    WHERE to_regclass(format('crm.%I', t)) IS NULL OR NOT has_table_privilege('crosswalk_projector', format('crm.%I', t), 'INSERT') LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'crm.% is no projected table', missing USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('CREATE SCHEMA %I', shadow);

  FOR copied IN SELECT c.oid, n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND (n.nspname = 'crm' AND c.relname = ANY (projected) OR n.nspname = 'crosswalk' AND c.relname = ANY (state)) LOOP
    EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)', shadow, copied.name, copied.schema, copied.name);
    FOR made IN SELECT s.conname AS given, o.conname AS wanted FROM pg_constraint s
        JOIN pg_constraint o ON o.conrelid = copied.oid AND o.contype = s.contype AND pg_get_constraintdef(o.oid) = pg_get_constraintdef(s.oid)
        WHERE s.conrelid = format('%I.%I', shadow, copied.name)::regclass AND s.contype IN ('p', 'u', 'x') AND s.conname <> o.conname LOOP
      EXECUTE format('ALTER TABLE %I.%I RENAME CONSTRAINT %I TO %I', shadow, copied.name, made.given, made.wanted);
    END LOOP;
  END LOOP;

  FOR reference IN SELECT f.conname AS name, c.relname AS child, n.nspname AS schema, p.relname AS parent, pg_get_constraintdef(f.oid) AS definition,
        n.nspname = 'crm' AND p.relname = ANY (projected) AS is_copied, f.condeferrable AS is_deferrable, f.condeferred AS is_deferred, k.*
      FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
      JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
      CROSS JOIN LATERAL (SELECT string_agg(format('%I', a.attname), ', ') AS columns, string_agg(format('NEW.%I IS NOT NULL', a.attname), ' AND ') AS filled,
          string_agg(format('f.%I = NEW.%I', b.attname, a.attname), ' AND ') AS matching
        FROM unnest(f.conkey, f.confkey) AS k (child, parent) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.child
        JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.parent) k
      WHERE f.contype = 'f' AND f.conparentid = 0 AND cn.nspname = 'crm' AND c.relname = ANY (projected) LOOP
    IF reference.is_copied AND NOT partial THEN
      EXECUTE format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', shadow, reference.child, reference.name,
        replace(reference.definition, format(' REFERENCES %I.%I(', reference.schema, reference.parent), format(' REFERENCES %I.%I(', shadow, reference.parent)));
    ELSE
      number := number + 1;
      -- As the owner of the tables, like a foreign key: neither rights nor row-level security of who writes matter.
      EXECUTE format($function$CREATE FUNCTION %I.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $check$
        BEGIN
          IF %s AND NOT EXISTS (SELECT FROM %I.%I f WHERE %s)%s THEN
            RAISE EXCEPTION 'a row refers to none of %I.%I' USING ERRCODE = 'foreign_key_violation', SCHEMA = %L, TABLE = %L, CONSTRAINT = %L;
          END IF;
          RETURN NULL;
        END $check$ $function$,
        shadow, 'reference_' || number, reference.filled, reference.schema, reference.parent, reference.matching,
        CASE WHEN reference.is_copied THEN format(' AND NOT EXISTS (SELECT FROM %I.%I f WHERE %s)', shadow, reference.parent, reference.matching) ELSE '' END,
        reference.schema, reference.parent, shadow, reference.child, reference.name);
      EXECUTE format('CREATE CONSTRAINT TRIGGER %I AFTER INSERT OR UPDATE OF %s ON %I.%I %s FOR EACH ROW EXECUTE FUNCTION %I.%I()', reference.name,
        reference.columns, shadow, reference.child,
        CASE WHEN reference.is_deferred THEN 'DEFERRABLE INITIALLY DEFERRED' WHEN reference.is_deferrable THEN 'DEFERRABLE' ELSE 'NOT DEFERRABLE' END,
        shadow, 'reference_' || number);
    END IF;
  END LOOP;

  -- What the rebuild was asked for, and what became of it. One row.
  EXECUTE format('CREATE TABLE %I.rebuild (settings jsonb NOT NULL, round integer NOT NULL DEFAULT 0, merged_at timestamptz)', shadow);
  -- Legacy rows of which changes were replayed, and in which round last: a round begins where the live projectors stand still for a moment.
  EXECUTE format('CREATE TABLE %I.replayed_key (projection text, legacy_key text, round integer NOT NULL, PRIMARY KEY (projection, legacy_key))', shadow);
  EXECUTE format('CREATE INDEX ON %I.replayed_key (projection, round)', shadow);
  -- Rows that differ, as the comparison of a round found them: by what is compared and the text of their primary key.
  EXECUTE format('CREATE TABLE %I.difference (round integer, unit integer, row_key text, kind text NOT NULL, PRIMARY KEY (round, unit, row_key))', shadow);
  -- Contributions of a legacy row, retired ones too.
  EXECUTE format('CREATE INDEX ON %I.contribution (legacy_table, legacy_key)', shadow);

  EXECUTE format('GRANT USAGE ON SCHEMA %I TO crosswalk_projector, crosswalk_reader', shadow);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO crosswalk_projector', shadow);
  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO crosswalk_reader', shadow);
END $$;

-- Drops a shadow, where there is one.
CREATE FUNCTION crosswalk.drop_shadow(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF name !~ '^[a-z][a-z0-9_]{0,30}$' THEN
    RAISE EXCEPTION 'a shadow has a name of 1 to 31 lower-case letters, digits and _' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', 'crosswalk_shadow_' || name);
END $$;

REVOKE ALL ON FUNCTION crosswalk.create_shadow(text, text[], boolean), crosswalk.drop_shadow(text) FROM PUBLIC;
