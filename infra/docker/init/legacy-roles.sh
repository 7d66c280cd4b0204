#!/bin/sh
# Runs once, when the legacy database is made and holds its tables: the role that the connector connects as.
# It may read the tables and the stream of changes, and write nothing.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$CROSSWALK_PASSWORD" <<'SQL'
CREATE ROLE crosswalk_connector LOGIN REPLICATION PASSWORD :'password';
GRANT USAGE ON SCHEMA public TO crosswalk_connector;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO crosswalk_connector;
SQL
