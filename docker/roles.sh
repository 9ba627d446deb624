#!/usr/bin/env bash
# Run by the postgres image on its first start: one role and one schema a service, in one database.
set -euo pipefail
for service in $FLOE_SERVICES; do
  psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v name="$service" \
    -v password="$(cat /certs/services.password)" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE SCHEMA :"name" AUTHORIZATION :"name";
ALTER ROLE :"name" SET search_path = :"name";
SQL
done
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c 'REVOKE ALL ON SCHEMA public FROM PUBLIC'
