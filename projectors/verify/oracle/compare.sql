-- oracle.compare(): what the oracle expects against the live projected rows of the new schema, in the same database. Values are
-- compared by their text, so the scale of a number counts; jsonb by its canonical text.

-- Where a pipeline's oracle cannot know all that a row rests on, it makes oracle.is_explained(): whether a difference that it finds may be right. A missing row never is.
DO $$
BEGIN
  IF to_regprocedure('oracle.is_explained(text, text, text, text, text)') IS NULL THEN
    CREATE FUNCTION oracle.is_explained(projected text, entry text, column_name text, expected text, actual text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
  END IF;
END $$;

-- Two rows under one id would be a contradiction in the contract itself.
DO $$
DECLARE projected text;
BEGIN
  FOR projected IN SELECT name FROM oracle_input.projected ORDER BY place LOOP
    IF to_regclass(format('oracle.%I', projected)) IS NULL THEN
      RAISE EXCEPTION '% is projected and the oracle does not compute it: extend the oracle', projected;
    END IF;
    EXECUTE format('ALTER TABLE oracle.%I ADD PRIMARY KEY (id)', projected);
    EXECUTE format('ANALYZE oracle.%I', projected);
  END LOOP;
END $$;

CREATE FUNCTION oracle.compare(target text) RETURNS TABLE (table_name text, id text, kind text, column_name text, expected text, actual text)
  LANGUAGE plpgsql STABLE SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' AS $$
DECLARE
  projected text;
  is_live text;
  columns text[];
  differing text[];
BEGIN
  FOR projected IN SELECT p.name FROM oracle_input.projected p ORDER BY p.place LOOP
    SELECT array_agg(a.attname::text ORDER BY a.attnum) INTO columns FROM pg_attribute a
      WHERE a.attrelid = format('oracle.%I', projected)::regclass AND a.attnum > 0 AND NOT a.attisdropped;

    -- A column the oracle does not know would pass unseen.
    SELECT array_agg(coalesce(o.attname, c.attname)::text) INTO differing
      FROM (SELECT attname, atttypid FROM pg_attribute WHERE attrelid = format('oracle.%I', projected)::regclass AND attnum > 0 AND NOT attisdropped) o
      FULL JOIN (SELECT attname, atttypid FROM pg_attribute WHERE attrelid = format('%I.%I', target, projected)::regclass AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN ('deleted_at', 'origin', 'legacy_table', 'legacy_key', 'source_lsn', 'source_xid', 'source_committed_at', 'mapping_version')) c
        ON c.attname = o.attname
      WHERE o.atttypid IS DISTINCT FROM c.atttypid;
    IF differing IS NOT NULL THEN
      RAISE EXCEPTION '%.% and the oracle differ in the columns %: extend the oracle', target, projected, differing;
    END IF;

    is_live := 'origin = ''cdc''';
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = format('%I.%I', target, projected)::regclass AND attname = 'deleted_at' AND NOT attisdropped) THEN
      is_live := is_live || ' AND deleted_at IS NULL';
    END IF;
    RETURN QUERY EXECUTE format($query$
      SELECT %1$L, coalesce(e.id, a.id)::text, d.kind, d.column_name, d.expected, d.actual
      FROM oracle.%2$I e FULL JOIN (SELECT %3$s FROM %6$I.%2$I WHERE %4$s) a ON a.id = e.id
      CROSS JOIN LATERAL (
        SELECT 'missing' AS kind, NULL::text AS column_name, to_jsonb(e)::text AS expected, NULL::text AS actual WHERE a.id IS NULL
        UNION ALL SELECT 'extra', NULL, NULL, to_jsonb(a)::text WHERE e.id IS NULL
        UNION ALL SELECT 'differs', v.name, v.expected, v.actual FROM (VALUES %5$s) v (name, expected, actual)
          WHERE e.id IS NOT NULL AND a.id IS NOT NULL AND v.expected IS DISTINCT FROM v.actual) d
      WHERE d.kind = 'missing' OR NOT coalesce(oracle.is_explained(%1$L, coalesce(e.id, a.id)::text, d.column_name, d.expected, d.actual), false)
      ORDER BY 2, 4 NULLS FIRST$query$,
      projected, projected, (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), is_live,
      (SELECT string_agg(format('(%L, e.%I::text, a.%I::text)', c, c, c), ', ') FROM unnest(columns) c), target);
  END LOOP;
END $$;
