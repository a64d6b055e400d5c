# Guard rails: policies/std/guards.policy in Rego. It only denies, so it allows whatever it doesn't deny.
package gw.std.guards

import data.gw.lib.access

is_agent if input.identity.kind == "agent"

is_migrator if {
	input.identity.kind == "human"
	"migrations" in input.identity.groups
}

is_database_admin if {
	input.identity.kind == "human"
	"database-admins" in input.identity.groups
}

# Functions that sleep, end sessions, read the server's files, open connections of their own or run text as SQL: an
# extension's by the schema that it is in. `set_config` isn't one of them, it counts as `set`.
dangerous := {
	"pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf",
	"pg_rotate_logfile", "pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "lo_import", "lo_export",
	"lo_get", "lo_from_bytea", "lo_put", "dblink", "dblink_exec", "query_to_xml", "table_to_xml", "cursor_to_xml",
	"database_to_xml", "ts_stat", "public.dblink", "public.dblink_exec", "public.dblink_connect", "pg_advisory_lock",
	"pg_logical_emit_message",
}

deny contains {"rule": "unbounded_write", "severity": "high", "message": message} if {
	some a in input.sql.accesses
	a.verb in {"update", "delete"}
	unbounded(a)
	message := sprintf("%s on %s has no WHERE clause that limits it", [a.verb, a.table.key])
}

unbounded(a) if not a.has_where

# Where it can't be told, the gateway says true.
unbounded(a) if a.where_always_true

deny contains {"rule": "truncate", "severity": "high", "message": message} if {
	some a in input.sql.accesses
	a.verb == "truncate"
	message := sprintf("TRUNCATE empties %s and can't be limited: use DELETE with a WHERE clause", [a.table.key])
}

deny contains {"rule": "schema_change", "severity": "high", "message": message} if {
	not is_migrator
	some a in input.sql.accesses
	a.kind == "ddl"
	message := sprintf("%s changes the schema: that is for people in the group `migrations`", [a.verb])
}

deny contains {"rule": "grants", "severity": "critical", "message": message} if {
	not is_database_admin
	some a in input.sql.accesses
	a.kind == "dcl"
	message := sprintf("%s changes who may do what: that is for people in the group `database-admins`", [a.verb])
}

deny contains {"rule": "agents_keep_their_session", "severity": "high", "message": message} if {
	is_agent
	some a in input.sql.accesses
	a.verb in {"set", "reset", "discard", "lock", "listen", "notify", "unlisten"}
	message := sprintf("agents don't change the session: %s is not for them", [a.verb])
}

deny contains {"rule": "code_on_the_server", "severity": "critical", "message": message} if {
	some a in input.sql.accesses
	a.verb in {"do", "call", "load", "checkpoint"}
	message := sprintf("%s runs code inside the database", [a.verb])
}

deny contains {"rule": "dangerous_functions", "severity": "critical", "message": message} if {
	some f in input.sql.functions
	f in dangerous
	message := "a function of this statement sleeps, reads files, runs text as SQL or reaches out of the database"
}

deny contains {"rule": "one_statement_at_a_time", "message": message} if {
	is_agent
	input.sql.statements > 1
	message := sprintf("an agent sends one statement at a time, this message has %d", [input.sql.statements])
}

# Nothing here rests on tags or limits.
decision := {"allow": true, "deny": deny, "tolerates": ["sql.limit", "table.tags", "column.tags"]}
