# Change windows: policies/std/windows.policy in Rego. It only restricts, so it allows whatever it doesn't deny.
package gw.std.windows

import data.gw.lib.access

is_guarded if "change-window" in input.connection.tags

office_hours if {
	input.time.weekday in {"mon", "tue", "wed", "thu", "fri"}
	input.time.hour >= 8
	input.time.hour <= 17
}

changes := {"write", "ddl", "dcl"}

deny contains {"rule": "change_freeze_is_on", "severity": "high", "message": message} if {
	is_guarded
	data.gw.change_freeze
	some a in input.sql.accesses
	a.kind in changes
	message := sprintf("a change freeze is on: %s waits until it is lifted", [a.verb])
}

approval contains {
	"rule": "change_out_of_hours",
	"approvers": [{"kind": "group", "name": "change-approvers"}],
	"within_ms": 1800000,
	"message": "changes outside office hours need a second pair of eyes",
} if {
	is_guarded
	not office_hours
	some a in input.sql.accesses
	a.kind in changes
}

decision := {
	"allow": true,
	"deny": deny,
	"approval": approval,
	"tolerates": ["sql.limit", "table.tags", "column.tags"],
}
