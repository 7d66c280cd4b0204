-- What belongs to no pipeline alone: the roles, who may do what with the engine's own tables, and what makes a table a projected one.

-- Roles belong to the server, not to the database: another database may just be creating them too.
--   crosswalk_app: the new application. It sees rows of the tenant that the setting crosswalk.tenant_id names, as far as the tenant's stage goes, and nothing else.
--   crosswalk_projector writes projected rows and its own state. crosswalk_reader reads everything. crosswalk_operator evaluates gates and sets stages.
DO $$
DECLARE role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['crosswalk_app', 'crosswalk_projector', 'crosswalk_reader', 'crosswalk_operator'] LOOP
    IF to_regrole(role) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
  END LOOP;
END $$;

-- USAGE shows the application names and nothing else: it has no right on any table of the schema, and few functions there are for everybody.
GRANT USAGE ON SCHEMA crosswalk TO crosswalk_app, crosswalk_operator, crosswalk_projector, crosswalk_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA crosswalk TO crosswalk_reader, crosswalk_projector;
GRANT INSERT, UPDATE, DELETE ON crosswalk.consumer_offset, crosswalk.contribution, crosswalk.merge_key, crosswalk.parked_change, crosswalk.dead_letter, crosswalk.history_state,
  crosswalk.log_position, crosswalk.lag_sample, crosswalk.verification_run, crosswalk.verification_count, crosswalk.verification_difference, crosswalk.verified TO crosswalk_projector;
-- The operator changes nothing that exists: it only adds entries, of which time, role and order are not its own.
GRANT SELECT ON crosswalk.stage_log, crosswalk.gate, crosswalk.confirmation, crosswalk.lag_sample, crosswalk.upkeep, crosswalk.consumer_offset, crosswalk.parked_change, crosswalk.dead_letter,
  crosswalk.verified, crosswalk.verification_run TO crosswalk_operator;
GRANT INSERT (tenant_id, verdict, evidence, evaluated_by) ON crosswalk.gate TO crosswalk_operator;
GRANT INSERT (kind, tenant_id, confirmed_by, note, valid_until) ON crosswalk.confirmation TO crosswalk_operator;
GRANT INSERT (tenant_id, stage, set_by, reason, forced, gate_id, evidence) ON crosswalk.stage_log TO crosswalk_operator;
GRANT EXECUTE ON FUNCTION crosswalk.applied_lsn(), crosswalk.wait_for_lsn(pg_lsn, interval) TO crosswalk_app, crosswalk_reader, crosswalk_projector;
GRANT EXECUTE ON FUNCTION crosswalk.current_stage(text) TO crosswalk_app, crosswalk_operator, crosswalk_projector, crosswalk_reader;
GRANT EXECUTE ON FUNCTION crosswalk.lowest_stage() TO crosswalk_operator, crosswalk_projector, crosswalk_reader;
GRANT EXECUTE ON FUNCTION crosswalk.drop_shadow(text) TO crosswalk_projector;

-- How many stages there are is the pipeline's affair.
ALTER TABLE crosswalk.stage_log DROP CONSTRAINT stage_log_stage_check;
ALTER TABLE crosswalk.stage_log ADD CONSTRAINT stage_log_stage_check CHECK (stage >= 0) NOT VALID;
ALTER TABLE crosswalk.stage_log VALIDATE CONSTRAINT stage_log_stage_check;

-- Tables that projections write, as adopt() made them.
CREATE TABLE crosswalk.adopted (
  table_schema text NOT NULL,
  table_name text NOT NULL,
  stage integer CHECK (stage >= 0),     -- from which on the application sees the table; null: it is for operators
  is_appended boolean NOT NULL,         -- a history, of which rows are only ever added
  PRIMARY KEY (table_schema, table_name)
);
GRANT SELECT ON crosswalk.adopted TO crosswalk_operator, crosswalk_projector, crosswalk_reader;

-- Projected rows are the projectors': the application neither changes them nor makes them its own, and takes no id that a legacy row has. A row that is no
-- longer `cdc` would never be written by a projector again. Refused with an error, and not by a policy: that would also hide rows from SELECT … FOR UPDATE.
CREATE FUNCTION crosswalk.refuse_taking_over() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '%.% % is projected: it changes with its legacy row, and no application may take it over', TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.id
    USING ERRCODE = 'insufficient_privilege';
END $$;

-- Makes a table a projected one, or mends one that is: lineage columns with their check, row-level security with a policy for each role, grants, and the guard of its rows. It needs the
-- columns id and tenant_id. `stage`: from which on the application sees and writes it; null: it is for operators alone. `is_appended`: a history. Safe to repeat, with another stage too.
--   origin ('cdc' for projected rows, 'app' for rows of the new application, which projections never touch) and the lineage of the change that last wrote the row.
CREATE FUNCTION crosswalk.adopt(projected regclass, stage integer, is_appended boolean DEFAULT false) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
  lineage constant text := 'legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version';
  at record;
  missing text;
  own_tenant constant text := $own$tenant_id = current_setting('crosswalk.tenant_id', true)$own$;
  shown text := '';
BEGIN
  SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind INTO at FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = projected;
  IF at.kind <> 'r' THEN
    RAISE EXCEPTION '% is no ordinary table', projected USING ERRCODE = 'wrong_object_type';
  END IF;
  SELECT string_agg(needed, ', ') INTO missing FROM unnest(ARRAY['id', 'tenant_id']) needed
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = projected AND a.attname = needed AND NOT a.attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '% lacks the columns %', projected, missing USING ERRCODE = 'undefined_column', HINT = 'A projected table has an id and a tenant.';
  END IF;

  EXECUTE format($ddl$ALTER TABLE %s ADD COLUMN IF NOT EXISTS origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
    ADD COLUMN IF NOT EXISTS legacy_table text, ADD COLUMN IF NOT EXISTS legacy_key text, ADD COLUMN IF NOT EXISTS source_lsn pg_lsn, ADD COLUMN IF NOT EXISTS source_xid bigint,
    ADD COLUMN IF NOT EXISTS source_committed_at timestamptz, ADD COLUMN IF NOT EXISTS mapping_version text$ddl$, projected);
  IF NOT (SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = projected AND a.attname = 'origin') THEN
    EXECUTE format('ALTER TABLE %s ALTER origin SET NOT NULL', projected);
  END IF;
  IF NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = projected AND k.contype = 'c' AND pg_get_constraintdef(k.oid) LIKE '%origin%''cdc''%''app''%') THEN
    EXECUTE format($ddl$ALTER TABLE %s ADD CONSTRAINT %I CHECK (origin IN ('cdc', 'app'))$ddl$, projected, at.name || '_origin_check');
  END IF;
  IF NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = projected AND k.contype = 'c' AND pg_get_constraintdef(k.oid) LIKE '%num_nulls(' || lineage || ')%') THEN
    EXECUTE format($ddl$ALTER TABLE %s ADD CONSTRAINT %I CHECK (origin = 'app' OR num_nulls(%s) = 0)$ddl$, projected, at.name || '_lineage', lineage);
  END IF;

  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', projected);
  EXECUTE format('DROP POLICY IF EXISTS projector ON %s', projected);
  EXECUTE format('CREATE POLICY projector ON %s TO crosswalk_projector USING (true) WITH CHECK (true)', projected);
  EXECUTE format('DROP POLICY IF EXISTS reader ON %s', projected);
  EXECUTE format('CREATE POLICY reader ON %s FOR SELECT TO crosswalk_reader USING (true)', projected);
  -- The stage is asked for in a subquery of its own, which PostgreSQL evaluates once a statement.
  IF stage > 0 THEN
    shown := format($policy$ AND (SELECT crosswalk.current_stage(current_setting('crosswalk.tenant_id', true))) >= %s$policy$, stage);
  END IF;
  EXECUTE format('DROP POLICY IF EXISTS tenant ON %s', projected);
  EXECUTE format($policy$CREATE POLICY tenant ON %s TO crosswalk_app USING (%s%s) WITH CHECK (%s AND origin = 'app'%s)$policy$, projected, own_tenant, shown, own_tenant, shown);

  EXECUTE format('GRANT USAGE ON SCHEMA %I TO crosswalk_app, crosswalk_operator, crosswalk_projector, crosswalk_reader', at.schema);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO crosswalk_projector', projected);
  EXECUTE format('GRANT SELECT ON %s TO crosswalk_reader', projected);
  IF stage IS NULL THEN
    EXECUTE format('REVOKE ALL ON %s FROM crosswalk_app', projected);
  ELSE
    EXECUTE format('GRANT SELECT, INSERT%s ON %s TO crosswalk_app', CASE WHEN is_appended THEN '' ELSE ', UPDATE' END, projected);
  END IF;

  EXECUTE format($ddl$CREATE OR REPLACE TRIGGER refuse_taking_over BEFORE UPDATE OF origin ON %s FOR EACH ROW
    WHEN (OLD.origin = 'cdc' AND NEW.origin <> 'cdc') EXECUTE FUNCTION crosswalk.refuse_taking_over()$ddl$, projected);
  EXECUTE format('ALTER TABLE %s ENABLE TRIGGER refuse_taking_over', projected);

  DELETE FROM crosswalk.adopted a WHERE to_regclass(format('%I.%I', a.table_schema, a.table_name)) IS NULL;
  INSERT INTO crosswalk.adopted VALUES (at.schema, at.name, adopt.stage, adopt.is_appended)
    ON CONFLICT (table_schema, table_name) DO UPDATE SET stage = excluded.stage, is_appended = excluded.is_appended;
END $$;

-- Lets the operators see whose rows there are and which values have no valid form: what a gate is evaluated from.
CREATE FUNCTION crosswalk.show_operators(projected regclass, columns text[]) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
  EXECUTE format('GRANT SELECT (%s) ON %s TO crosswalk_operator', (SELECT string_agg(format('%I', name), ', ') FROM unnest(columns) name), projected);
  EXECUTE format('DROP POLICY IF EXISTS operator ON %s', projected);
  EXECUTE format('CREATE POLICY operator ON %s FOR SELECT TO crosswalk_operator USING (true)', projected);
END $$;

-- Functions without arguments that refresh figures of the new schema, as the owner of this schema. Each notes in crosswalk.upkeep ('figures') when it did.
CREATE TABLE crosswalk.figures (
  refresh text PRIMARY KEY              -- schema and name
);
GRANT SELECT ON crosswalk.figures TO crosswalk_projector, crosswalk_reader;

-- Has the projectors call a function that refreshes figures.
CREATE FUNCTION crosswalk.refresh_with(refresh regprocedure) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO crosswalk.figures SELECT format('%I.%I', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = refresh
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION crosswalk.refresh_figures() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE named text;
BEGIN
  FOR named IN SELECT f.refresh FROM crosswalk.figures f ORDER BY 1 LOOP
    EXECUTE format('SELECT %s()', named);
  END LOOP;
END $$;

-- Statistics of every table of the new schema, and of the projectors' state, as VACUUM has not come by yet where they were just filled. It blocks no reader and no writer.
CREATE FUNCTION crosswalk.analyze_adopted() RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  started timestamptz := clock_timestamp();
  filled text;
BEGIN
  -- Two sessions that analyse the same tables at once would only wait for each other.
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.statistics', 0));
  FOR filled IN SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE (n.nspname = 'crosswalk' OR n.nspname IN (SELECT a.table_schema FROM crosswalk.adopted a)) AND c.relkind IN ('r', 'p', 'm') ORDER BY 1 LOOP
    EXECUTE 'ANALYZE ' || filled;
  END LOOP;
  INSERT INTO crosswalk.upkeep VALUES ('statistics', started, clock_timestamp() - started)
    ON CONFLICT (task) DO UPDATE SET as_of = excluded.as_of, took = excluded.took;
END $$;

-- What a projector calls again and again: does what is due, unless another one is just at it. Statistics once the initial load is applied, with the figures; figures
-- when they are older than `every` (null: never by age). `is_filled`: whether what follows a load is done; until then it is worth asking often.
CREATE FUNCTION crosswalk.do_upkeep(every interval, OUT is_filled boolean, OUT did text[])
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  did := '{}';
  is_filled := EXISTS (SELECT FROM crosswalk.upkeep WHERE task = 'statistics');
  IF NOT pg_try_advisory_xact_lock(hashtextextended('crosswalk.upkeep', 0)) THEN RETURN; END IF;
  -- Asked again: the other one may just have ended.
  is_filled := EXISTS (SELECT FROM crosswalk.upkeep WHERE task = 'statistics');
  IF NOT is_filled AND EXISTS (SELECT FROM crosswalk.log_position l WHERE l.is_loaded AND crosswalk.is_past(l.offsets)) THEN
    PERFORM crosswalk.analyze_adopted();
    PERFORM crosswalk.refresh_figures();
    is_filled := true;
    did := '{statistics,figures}';
  ELSIF every IS NOT NULL AND EXISTS (SELECT FROM crosswalk.figures)
      AND NOT EXISTS (SELECT FROM crosswalk.upkeep WHERE task = 'figures' AND as_of > clock_timestamp() - every) THEN
    PERFORM crosswalk.refresh_figures();
    did := '{figures}';
  END IF;
END $$;

-- Makes schema crosswalk_shadow_<name>, empty. Constraints and indexes have their own names, so that what is refused is named as it is in the tables themselves.
--   Foreign keys among the copied tables are real ones. Where they refer to another table, and where `partial` (then a parent that is not replayed lies in
--   the target schema), a trigger looks: a real one would lock that table, now and when the shadow goes.
CREATE FUNCTION crosswalk.create_shadow(name text, target text, projected text[], partial boolean) RETURNS void
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
    WHERE to_regclass(format('%I.%I', target, t)) IS NULL OR NOT EXISTS (SELECT FROM crosswalk.adopted a WHERE a.table_schema = target AND a.table_name = t) LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '%.% is no projected table', target, missing USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('CREATE SCHEMA %I', shadow);

  FOR copied IN SELECT c.oid, n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND (n.nspname = target AND c.relname = ANY (projected) OR n.nspname = 'crosswalk' AND c.relname = ANY (state)) LOOP
    EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)', shadow, copied.name, copied.schema, copied.name);
    FOR made IN SELECT s.conname AS given, o.conname AS wanted FROM pg_constraint s
        JOIN pg_constraint o ON o.conrelid = copied.oid AND o.contype = s.contype AND pg_get_constraintdef(o.oid) = pg_get_constraintdef(s.oid)
        WHERE s.conrelid = format('%I.%I', shadow, copied.name)::regclass AND s.contype IN ('p', 'u', 'x') AND s.conname <> o.conname LOOP
      EXECUTE format('ALTER TABLE %I.%I RENAME CONSTRAINT %I TO %I', shadow, copied.name, made.given, made.wanted);
    END LOOP;
  END LOOP;

  FOR reference IN SELECT f.conname AS name, c.relname AS child, n.nspname AS schema, p.relname AS parent, pg_get_constraintdef(f.oid) AS definition,
        n.nspname = target AND p.relname = ANY (projected) AS is_copied, f.condeferrable AS is_deferrable, f.condeferred AS is_deferred, k.*
      FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
      JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
      CROSS JOIN LATERAL (SELECT string_agg(format('%I', a.attname), ', ') AS columns, string_agg(format('NEW.%I IS NOT NULL', a.attname), ' AND ') AS filled,
          string_agg(format('f.%I = NEW.%I', b.attname, a.attname), ' AND ') AS matching
        FROM unnest(f.conkey, f.confkey) AS k (child, parent) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.child
        JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.parent) k
      WHERE f.contype = 'f' AND f.conparentid = 0 AND cn.nspname = target AND c.relname = ANY (projected) LOOP
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

REVOKE ALL ON FUNCTION crosswalk.refuse_taking_over(), crosswalk.adopt(regclass, integer, boolean), crosswalk.show_operators(regclass, text[]), crosswalk.refresh_with(regprocedure),
  crosswalk.refresh_figures(), crosswalk.analyze_adopted(), crosswalk.do_upkeep(interval), crosswalk.create_shadow(text, text, text[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crosswalk.refresh_figures(), crosswalk.analyze_adopted(), crosswalk.do_upkeep(interval), crosswalk.create_shadow(text, text, text[], boolean) TO crosswalk_projector;
