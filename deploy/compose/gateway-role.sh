#!/usr/bin/env bash
# The gateway's own role: what it may not do, nobody behind it may.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/upstream-password)" -U postgres -d "$POSTGRES_DB" <<'SQL'
create role gateway login password :'password';
grant pg_read_all_data to gateway;
SQL
