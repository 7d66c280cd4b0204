-- crosswalk: replaces 18277ac2b45be95c6c0e3a0a17a894e02dc4bb982390b3af491a9ecc0ed7582f
-- What the projectors do beside projecting: figures that are refreshed, statistics that the planner needs after a table was filled.

-- When each was last done. One row a task; none: never, since the load.
CREATE TABLE crosswalk.upkeep (
  task text PRIMARY KEY CHECK (task IN ('figures', 'statistics')),
  as_of timestamptz NOT NULL,           -- what was committed before is in it
  took interval NOT NULL
);
