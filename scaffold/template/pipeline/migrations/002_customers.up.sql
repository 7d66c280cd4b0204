CREATE TABLE app.customers (
  id integer PRIMARY KEY,
  tenant_id text NOT NULL,
  name text,
  email text,
  created_at timestamptz,
  deleted_at timestamptz
);

-- The columns that say where a row came from, the rights of the roles, and whose rows a session sees, from stage 0 on.
SELECT crosswalk.adopt('app.customers', 0);
