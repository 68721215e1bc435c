#!/bin/sh
# Run once, by the Postgres image, when its volume is empty: a database whose owner is no superuser. What reads
# strangers' files must not be able to run programs on the database's machine.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password DATABASE_PASSWORD
CREATE ROLE gristmill LOGIN PASSWORD :'password';
CREATE DATABASE gristmill OWNER gristmill;
REVOKE CONNECT ON DATABASE gristmill FROM PUBLIC;
\connect gristmill
CREATE EXTENSION vector;
SQL
