-- oracle.compare(): what the oracle expects against the live projected rows in schema crm of the same database. Values are
-- compared by their text, so the scale of a number counts; jsonb by its canonical text.

-- Entries that a past contribution keeps opted out. The legacy tables no longer know it, so it may explain an entry of its own,
-- and what it adds to a current one.
CREATE VIEW oracle.explained_dnc AS
  SELECT DISTINCT merge_key AS id FROM crosswalk.contribution
  WHERE aggregate = 'dnc_list' AND NOT live AND data ->> 'opted_out' IN ('t', 'true');

CREATE FUNCTION oracle.is_explained(entry uuid, column_name text, expected text, actual text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM oracle.explained_dnc d WHERE d.id = entry) AND CASE column_name
    WHEN 'opted_out_at' THEN actual IS NOT NULL
    WHEN 'created_at' THEN actual::timestamptz < expected::timestamptz
    WHEN 'updated_at' THEN actual::timestamptz > expected::timestamptz
    ELSE column_name IS NULL END
$$;

CREATE FUNCTION oracle.compare() RETURNS TABLE (table_name text, id text, kind text, column_name text, expected text, actual text)
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
      FULL JOIN (SELECT attname, atttypid FROM pg_attribute WHERE attrelid = format('crm.%I', projected)::regclass AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN ('deleted_at', 'origin', 'legacy_table', 'legacy_key', 'source_lsn', 'source_xid', 'source_committed_at', 'mapping_version')) c
        ON c.attname = o.attname
      WHERE o.atttypid IS DISTINCT FROM c.atttypid;
    IF differing IS NOT NULL THEN
      RAISE EXCEPTION 'crm.% and the oracle differ in the columns %: extend projectors/verify/oracle/oracle.sql', projected, differing;
    END IF;

    is_live := 'origin = ''cdc''';
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = format('crm.%I', projected)::regclass AND attname = 'deleted_at' AND NOT attisdropped) THEN
      is_live := is_live || ' AND deleted_at IS NULL';
    END IF;
    RETURN QUERY EXECUTE format($query$
      SELECT %1$L, coalesce(e.id, a.id)::text, d.kind, d.column_name, d.expected, d.actual
      FROM oracle.%2$I e FULL JOIN (SELECT %3$s FROM crm.%2$I WHERE %4$s) a ON a.id = e.id
      CROSS JOIN LATERAL (
        SELECT 'missing' AS kind, NULL::text AS column_name, to_jsonb(e)::text AS expected, NULL::text AS actual WHERE a.id IS NULL
        UNION ALL SELECT 'extra', NULL, NULL, to_jsonb(a)::text WHERE e.id IS NULL
        UNION ALL SELECT 'differs', v.name, v.expected, v.actual FROM (VALUES %5$s) v (name, expected, actual)
          WHERE e.id IS NOT NULL AND a.id IS NOT NULL AND v.expected IS DISTINCT FROM v.actual) d
      %6$s
      ORDER BY 2, 4 NULLS FIRST$query$,
      projected, projected, (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), is_live,
      (SELECT string_agg(format('(%L, e.%I::text, a.%I::text)', c, c, c), ', ') FROM unnest(columns) c),
      CASE projected WHEN 'dnc_list' THEN
        'WHERE d.kind = ''missing'' OR NOT coalesce(oracle.is_explained(coalesce(e.id, a.id), d.column_name, d.expected, d.actual), false)'
      ELSE '' END);
  END LOOP;
END $$;
