# Break glass: policies/std/breakglass.policy in Rego.
package gw.std.breakglass

import data.gw.lib.access

may_break_glass if {
	input.identity.kind == "human"
	"break-glass" in input.identity.groups
}

has_purpose if input.session.purpose

allows[i] contains "break_glass" if {
	may_break_glass
	input.identity.mfa
	has_purpose
	some i, a in input.sql.accesses
	a.kind in {"read", "write", "tcl", "session"}
}

allows[i] contains "gw.builtin.catalog" if {
	some i, a in input.sql.accesses
	access.is_catalog_read(a)
}

rules contains name if some name in allows[_]

uncovered contains access.describe(a) if {
	some i, a in input.sql.accesses
	not allows[i]
}

deny contains {"rule": "break_glass_needs_a_purpose", "message": message} if {
	may_break_glass
	not has_purpose
	input.sql
	message := "say why you break the glass: ask for a token with a `purpose`, such as the incident's number"
}

deny contains {"rule": "break_glass_needs_mfa", "message": message} if {
	may_break_glass
	not input.identity.mfa
	input.sql
	message := "breaking the glass needs a second factor: log in again with one"
}

approval contains {
	"rule": "second_person",
	"approvers": [{"kind": "group", "name": "incident-leads"}],
	"within_ms": 3600000,
	"message": "a write through broken glass needs an incident lead",
} if {
	may_break_glass
	some a in input.sql.accesses
	a.kind == "write"
}

alerts contains {
	"rule": "glass_broken",
	"channel": "#security",
	"severity": "high",
	"message": "rule `gw.std.breakglass.glass_broken` matched",
	"on": ["allow", "approval"],
} if {
	may_break_glass
	input.sql
}

decision := {
	"allow": count(uncovered) == 0,
	"rules": rules,
	"uncovered": uncovered,
	"deny": deny,
	"approval": approval,
	"alerts": alerts,
	"tolerates": ["sql.limit", "table.tags", "column.tags"],
}
