-- crosswalk: replaces 73c02e7dd0990303d345735eca3d13695a80b546909a420af53e8e0d429020e4
-- What the connector's position topic says, kept where the new application can ask for it: a writer waits here until its own write is applied.

CREATE TABLE crosswalk.log_position (
  lsn pg_lsn PRIMARY KEY,               -- everything that the legacy database committed before it is in the log
  offsets jsonb NOT NULL,               -- topic → the first offset of each partition that is not among it, as an array of texts
  is_loaded boolean NOT NULL,           -- whether the initial load was done: before that, rows committed long ago may be missing in the log
  recorded_at timestamptz NOT NULL DEFAULT now()
);

-- Whether something is parked at or before an LSN is asked every few milliseconds while somebody waits.
CREATE INDEX parked_change_lsn_idx ON crosswalk.parked_change (source_lsn);

-- Whether every projection has passed these offsets. A partition that no projection has begun counts as read up to 0.
CREATE FUNCTION crosswalk.is_past(offsets jsonb) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT NOT EXISTS (
    SELECT FROM jsonb_each(is_past.offsets) AS t (topic, nexts)
    CROSS JOIN jsonb_array_elements_text(t.nexts) WITH ORDINALITY AS p (next, number)
    LEFT JOIN (SELECT o.topic, o.partition, min(o.next_offset) AS next FROM crosswalk.consumer_offset o GROUP BY 1, 2) AS applied
      ON applied.topic = t.topic AND applied.partition = p.number - 1
    WHERE coalesce(applied.next, 0) < p.next::bigint)
$$;

-- The greatest LSN recorded up to which everything is applied and nothing is parked; null where there is none.
CREATE FUNCTION crosswalk.applied_lsn() RETURNS pg_lsn
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.lsn FROM crosswalk.log_position l
  WHERE l.is_loaded AND crosswalk.is_past(l.offsets) AND NOT EXISTS (SELECT FROM crosswalk.parked_change c WHERE c.source_lsn <= l.lsn)
  ORDER BY l.lsn DESC LIMIT 1
$$;

-- Waits until everything that the legacy database committed before `lsn` is applied: true, or false after `timeout`. The next statement sees it. Call it as a
-- statement of its own, under READ COMMITTED: the snapshot of a statement that has begun never sees what is applied later.
CREATE FUNCTION crosswalk.wait_for_lsn(lsn pg_lsn, timeout interval DEFAULT '30 seconds') RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + wait_for_lsn.timeout;
  pause_seconds double precision := 0.002;
BEGIN
  IF wait_for_lsn.lsn IS NULL OR wait_for_lsn.timeout IS NULL THEN
    RAISE EXCEPTION 'crosswalk.wait_for_lsn: LSN and timeout must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'crosswalk.wait_for_lsn: a transaction under % never sees what is applied after it began', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'invalid_transaction_state', HINT = 'Wait under READ COMMITTED, before that transaction begins.';
  END IF;
  LOOP
    -- The first position that covers the LSN asks for the least: offsets and LSNs of positions grow together.
    IF (SELECT crosswalk.is_past(l.offsets) AND NOT EXISTS (SELECT FROM crosswalk.parked_change c WHERE c.source_lsn <= l.lsn)
        FROM crosswalk.log_position l WHERE l.is_loaded AND l.lsn >= wait_for_lsn.lsn ORDER BY l.lsn LIMIT 1) THEN
      RETURN true;
    END IF;
    IF clock_timestamp() >= deadline THEN
      RETURN false;
    END IF;
    PERFORM pg_sleep(least(pause_seconds, extract(epoch FROM deadline - clock_timestamp())));
    pause_seconds := least(pause_seconds * 1.5, 0.02);
  END LOOP;
END
$$;

-- Who may call them is granted beside the roles.
REVOKE ALL ON FUNCTION crosswalk.is_past(jsonb), crosswalk.applied_lsn(), crosswalk.wait_for_lsn(pg_lsn, interval) FROM PUBLIC;
