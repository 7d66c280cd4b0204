#!/bin/sh
# Runs once, when the target database is made: the roles that the projectors connect as, and people who set stages.
# Their rights come with crosswalk_projector and crosswalk_operator, whose grants and policies the migrations hold.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$CROSSWALK_PASSWORD" --set=operator_password="$OPERATOR_PASSWORD" <<'SQL'
CREATE ROLE crosswalk_projector NOLOGIN;
CREATE ROLE crosswalk_project LOGIN PASSWORD :'password' IN ROLE crosswalk_projector;
CREATE ROLE crosswalk_operator NOLOGIN;
CREATE ROLE crosswalk_operate LOGIN PASSWORD :'operator_password' IN ROLE crosswalk_operator;
SQL
