# Analysts read: policies/std/readonly.policy in Rego.
package gw.std.readonly

import data.gw.lib.access

is_analyst if "analysts" in input.identity.groups

reads_restricted if "restricted-readers" in input.identity.groups

allows[i] contains "analysts_read" if {
	is_analyst
	some i, a in input.sql.accesses
	a.kind == "read"
}

allows[i] contains "analysts_session" if {
	is_analyst
	some i, a in input.sql.accesses
	a.kind in {"tcl", "session"}
}

allows[i] contains "gw.builtin.catalog" if {
	not is_analyst
	some i, a in input.sql.accesses
	access.is_catalog_read(a)
}

rules contains name if some name in allows[_]

uncovered contains access.describe(a) if {
	some i, a in input.sql.accesses
	not allows[i]
}

deny contains {"rule": "analysts_change_nothing", "severity": "high", "message": message} if {
	is_analyst
	some a in input.sql.accesses
	a.kind in {"write", "ddl", "dcl", "procedural"}
	message := sprintf("analysts read; %s is not for them", [a.verb])
}

deny contains {"rule": "analysts_hold_no_rows", "severity": "high", "message": message} if {
	is_analyst
	count(input.sql.read_tables) > 0
	some a in input.sql.accesses
	a.verb == "lock"
	message := "analysts read; FOR UPDATE and FOR SHARE hold up those who write"
}

deny contains {"rule": "restricted_tables", "severity": "high", "message": message} if {
	not reads_restricted
	some a in input.sql.accesses
	a.kind == "read"
	access.carries(a, "restricted")
	message := sprintf("%s is restricted: ask for the group `restricted-readers`", [a.table.key])
}

limits contains {"unit": "rows", "max": 10000, "rule": "analyst_page"} if {
	is_analyst
	some a in input.sql.accesses
	a.kind == "read"
}

decision := {
	"allow": count(uncovered) == 0,
	"rules": rules,
	"uncovered": uncovered,
	"deny": deny,
	"limits": limits,
	"tolerates": ["sql.limit"],
}
