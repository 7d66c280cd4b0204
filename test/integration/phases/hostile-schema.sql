-- A schema with everything that a definition can be made of, under names that must be quoted.
CREATE EXTENSION IF NOT EXISTS citext;
CREATE SCHEMA "odd ""schema";
COMMENT ON SCHEMA "odd ""schema" IS 'it''s \ odd';
SET search_path = "odd ""schema", public;

CREATE TYPE mood AS ENUM ('sad', 'it''s', 'back\slash', '');
CREATE TYPE place AS (street text COLLATE "C", "no." integer);
CREATE DOMAIN positive AS numeric(12,3) DEFAULT 1 NOT NULL CONSTRAINT above_zero CHECK (VALUE > 0);
COMMENT ON CONSTRAINT above_zero ON DOMAIN positive IS 'a domain''s';
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi, MULTIRANGE_TYPE_NAME = spans);
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $body$ SELECT n * 2 $body$;
CREATE FUNCTION "Mixed Case"(IN a text, VARIADIC rest integer[] DEFAULT '{1}') RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  -- table crm.x
  RETURN a || $$ quoted '' \ $$ || rest::text;
END $f$;
CREATE PROCEDURE nothing() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE SEQUENCE counter AS smallint START 7 INCREMENT 3 MINVALUE 5 MAXVALUE 900 CACHE 4 CYCLE;
SELECT nextval('counter');

CREATE TABLE parent (
  id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5),
  "Name" citext NOT NULL,
  mood mood DEFAULT 'it''s',
  at place,
  amount positive,
  doubled integer GENERATED ALWAYS AS (twice(id::integer)) STORED,
  on_read integer GENERATED ALWAYS AS (id::integer + 1) VIRTUAL,
  note varchar(20) COLLATE "C" DEFAULT E'tab\t''quote''',
  counted integer DEFAULT nextval('counter'),
  dropped text,
  big text,
  CONSTRAINT "parent's key" PRIMARY KEY (id) INCLUDE ("Name"),
  CONSTRAINT exclusive EXCLUDE USING btree (note WITH =) WHERE (mood = 'sad') DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT checked CHECK (note <> 'never') NOT VALID,
  UNIQUE NULLS NOT DISTINCT ("Name", note)
) WITH (fillfactor = 70, toast.autovacuum_enabled = false);
ALTER TABLE parent DROP COLUMN dropped;
ALTER TABLE parent ALTER COLUMN big SET STORAGE EXTERNAL, ALTER COLUMN note SET STATISTICS 17, ALTER COLUMN "Name" SET (n_distinct = 5);
ALTER TABLE parent ADD COLUMN named integer CONSTRAINT "must be there" NOT NULL DEFAULT 3;
COMMENT ON TABLE parent IS E'several\nlines';
COMMENT ON COLUMN parent."Name" IS 'a column''s';
COMMENT ON CONSTRAINT checked ON parent IS 'a constraint''s';

CREATE TABLE serials (id serial PRIMARY KEY, parent_id bigint REFERENCES parent (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, twin integer);
ALTER TABLE serials ADD CONSTRAINT twin_fk FOREIGN KEY (twin) REFERENCES serials (id) NOT VALID;
CREATE UNLOGGED TABLE unlogged (id integer);
CREATE TABLE nothing_at_all ();
CREATE TABLE parts (id integer NOT NULL, day date NOT NULL, "text" text DEFAULT 'x', PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE parts_new PARTITION OF parts (CONSTRAINT positive CHECK (id > 0)) FOR VALUES FROM ('2020-01-01') TO (MAXVALUE) PARTITION BY LIST (id);
CREATE TABLE parts_new_1 PARTITION OF parts_new FOR VALUES IN (1);
CREATE TABLE parts_new_rest PARTITION OF parts_new DEFAULT;
CREATE INDEX parts_text ON parts ("text");

CREATE INDEX parent_expression ON parent USING btree (lower(note) DESC NULLS LAST, twice(id::integer)) INCLUDE (mood) WHERE mood IS NOT NULL;
CREATE UNIQUE INDEX parent_for_replica ON parent (id, named);
ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_for_replica;
ALTER TABLE serials REPLICA IDENTITY FULL;
ALTER TABLE serials CLUSTER ON serials_pkey;
CREATE STATISTICS parent_statistics (dependencies) ON note, mood FROM parent;
COMMENT ON INDEX parent_expression IS 'an index''s';

CREATE VIEW second AS SELECT id, "Name", 'x'::text AS "odd ""column" FROM parent WHERE mood = 'sad';
CREATE VIEW a_first WITH (security_barrier = true, security_invoker = true) AS SELECT * FROM second WITH LOCAL CHECK OPTION;
CREATE VIEW by_key AS SELECT p.id, p."Name", count(*) AS n FROM parent p JOIN serials s ON s.parent_id = p.id GROUP BY p.id;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM by_key;
CREATE UNIQUE INDEX counted_key ON counted (n);
CREATE MATERIALIZED VIEW empty_one AS SELECT 1 AS one WITH NO DATA;
CREATE FUNCTION of_view() RETURNS SETOF second LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM second; END;

CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER "on change" BEFORE UPDATE OF note ON parent FOR EACH ROW WHEN (OLD.note IS DISTINCT FROM NEW.note) EXECUTE FUNCTION on_change('an argument', '\');
CREATE TRIGGER disabled AFTER INSERT ON parent FOR EACH STATEMENT EXECUTE FUNCTION on_change();
ALTER TABLE parent DISABLE TRIGGER disabled;
CREATE RULE "no deletes" AS ON DELETE TO serials DO INSTEAD NOTHING;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
ALTER TABLE serials ENABLE ROW LEVEL SECURITY;
ALTER TABLE serials FORCE ROW LEVEL SECURITY;
CREATE POLICY "odd policy" ON parent AS RESTRICTIVE FOR UPDATE USING (note <> 'x') WITH CHECK (note = current_setting('odd.tenant', true));
CREATE POLICY everybody ON serials USING (true);

REVOKE EXECUTE ON FUNCTION twice(integer) FROM PUBLIC;
GRANT USAGE ON SCHEMA "odd ""schema" TO PUBLIC;
GRANT SELECT ("Name", note), UPDATE (note) ON parent TO PUBLIC;
GRANT SELECT ON a_first TO pg_read_all_stats WITH GRANT OPTION;
REVOKE DELETE ON unlogged FROM CURRENT_USER;
GRANT USAGE ON SEQUENCE counter TO pg_read_all_stats;
REVOKE USAGE ON TYPE mood FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "odd ""schema" GRANT SELECT ON TABLES TO pg_read_all_stats;

INSERT INTO parent ("Name", mood, at, amount, note, big) VALUES
  ('A', 'sad', ROW ('x, "y"', 1), 2.5, E'a\\b\t\n\r', repeat('x', 10000)),
  ('', '', NULL, DEFAULT, '', NULL),
  (E'\\N', NULL, ROW (NULL, NULL), 0.001, NULL, E'\\.');
INSERT INTO serials (parent_id) VALUES (100), (105), (NULL);
INSERT INTO parts VALUES (1, '1999-12-31', 'old'), (1, '2024-01-01', E'\\N'), (2, 'infinity', NULL);
INSERT INTO nothing_at_all DEFAULT VALUES;
INSERT INTO nothing_at_all DEFAULT VALUES;
REFRESH MATERIALIZED VIEW counted;
RESET search_path;
