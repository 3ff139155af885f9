#!/bin/sh
# What PostgreSQL's image runs once, on an empty volume, for compose.yaml; on a PostgreSQL of your own run the statements.
#
# The role owns its database and nothing else: a superuser, or a role that may bypass row security, would see every
# tenant's rows. Only a superuser can add the extension.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\set password `cat /run/secrets/database-password`
CREATE ROLE pointsman LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE pointsman OWNER pointsman;
\connect pointsman
CREATE EXTENSION vector;
SQL
