#!/bin/sh
# Runs once, when the target database is made: the role that the projectors connect as.
# Its rights come with crosswalk_projector, whose grants and policies the migrations hold.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$CROSSWALK_PASSWORD" <<'SQL'
CREATE ROLE crosswalk_projector NOLOGIN;
CREATE ROLE crosswalk_project LOGIN PASSWORD :'password' IN ROLE crosswalk_projector;
SQL
