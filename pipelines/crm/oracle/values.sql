-- How the mapping oracle reads single values: text, numbers and JSON, as docs/mapping.md puts it under "Terms". Shares
-- nothing with projectors/. Needs PostgreSQL 18 or later, a UTF-8 database and the extension uuid-ossp.

SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

CREATE EXTENSION "uuid-ossp" SCHEMA oracle;

-- Text. pg_c_utf8 lower-cases by the simple mapping, pg_unicode_fast's [[:punct:]] is category P; both need to be named,
-- whatever the database's own collation is.

CREATE FUNCTION oracle.trim(value text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN btrim(value, E'\t\n\x0B\f\r \u00A0');

CREATE FUNCTION oracle.has(value text) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN coalesce(oracle.trim(value), '') <> '';

CREATE FUNCTION oracle.lower(value text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN lower(value COLLATE pg_c_utf8) COLLATE "C";

CREATE FUNCTION oracle.status_text(value text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN nullif(oracle.lower(oracle.trim(value)), '');

CREATE FUNCTION oracle.normalised_name(value text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN nullif(oracle.trim(regexp_replace(oracle.lower(normalize(value, NFKC)), E'[\t\n\x0B\f\r \u00A0]+', ' ', 'g')), '');

CREATE FUNCTION oracle.normalised_address(value text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN nullif(oracle.trim(regexp_replace(oracle.lower(normalize(value, NFKC)) COLLATE pg_unicode_fast,
    E'[[:punct:]\t\n\x0B\f\r \u00A0]+' COLLATE pg_unicode_fast, ' ', 'g') COLLATE "C"), '');

CREATE FUNCTION oracle.v5(name text) RETURNS uuid LANGUAGE sql IMMUTABLE
  RETURN oracle.uuid_generate_v5('3a9f6c52-8d0b-5e0e-9b1c-6f0c1f7d2a10', name);

-- Numbers.

CREATE FUNCTION oracle.finite(value numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN value IN ('NaN', 'Infinity', '-Infinity') THEN NULL ELSE value END;

CREATE FUNCTION oracle.is_known_lead_status(status text) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN status IN ('new', 'contacted', 'qualified', 'nurturing', 'proposal', 'won', 'converted', 'lost', 'unqualified');

-- Digits that people write where they know no number: the last seven count up or down, or all but the last one repeat a group of one, two or three.
CREATE FUNCTION oracle.is_filler(digits text) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN (length(digits) >= 7 AND (strpos('01234567890123456', right(digits, 7)) > 0 OR strpos('65432109876543210', right(digits, 7)) > 0))
    OR EXISTS (SELECT FROM generate_series(1, 3) period WHERE length(digits) - 1 >= 2 * period
      AND left(repeat(left(digits, period), length(digits)), length(digits) - 1) = left(digits, length(digits) - 1));

-- JSON. A field counts as missing when it is not there, JSON null or blank text.

CREATE FUNCTION oracle.is_missing(value jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN value IS NULL OR jsonb_typeof(value) = 'null' OR (jsonb_typeof(value) = 'string' AND NOT oracle.has(value #>> '{}'));

CREATE FUNCTION oracle.raw_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' ELSE value::text END;

-- Null when missing and when it is no number.
CREATE FUNCTION oracle.read_number(value jsonb) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  digits text := value #>> '{}';
  number numeric;
BEGIN
  IF jsonb_typeof(value) = 'string' THEN
    digits := oracle.trim(digits);
    IF length(digits) > 1000 OR digits COLLATE "C" !~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$'
      OR NOT pg_input_is_valid(digits, 'numeric') THEN RETURN NULL; END IF;
  ELSIF jsonb_typeof(value) IS DISTINCT FROM 'number' THEN RETURN NULL;
  END IF;
  number := digits::numeric;
  IF scale(number) > 1000 OR abs(number) >= 1e1000 THEN RETURN NULL; END IF;
  RETURN number;
END $$;

-- Null when missing and when it is no integer.
CREATE FUNCTION oracle.read_integer(value jsonb) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE number numeric := oracle.read_number(value);
BEGIN
  IF number = trunc(number) AND number BETWEEN -2147483648 AND 2147483647 THEN RETURN number::integer; END IF;
  RETURN NULL;
END $$;

-- Null when missing and when it is neither true nor false.
CREATE FUNCTION oracle.read_flag(value jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN jsonb_typeof(value) IN ('boolean', 'string') THEN
    CASE oracle.status_text(value #>> '{}') WHEN 'true' THEN true WHEN 'false' THEN false END END;

-- The array itself, or the array a JSON string holds; null for all else.
CREATE FUNCTION oracle.read_array(value jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE inner_value jsonb;
BEGIN
  IF jsonb_typeof(value) = 'array' THEN RETURN value; END IF;
  IF jsonb_typeof(value) IS DISTINCT FROM 'string' THEN RETURN NULL; END IF;
  BEGIN
    inner_value := (value #>> '{}')::jsonb;
  EXCEPTION WHEN OTHERS THEN RETURN NULL;
  END;
  RETURN CASE jsonb_typeof(inner_value) WHEN 'array' THEN inner_value END;
END $$;
