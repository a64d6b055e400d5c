# Who may do what at Larch Supply: policies/demo/shop.policy in Rego. Both decide alike: test/rego/ports.test.ts.
package larch.shop

import data.gw.lib.access

is_agent if input.identity.kind == "agent"

is_on_call if {
	input.identity.kind == "human"
	"on-call" in input.identity.groups
}

is_support_agent if {
	is_agent
	"support-agents" in input.identity.groups
}

is_payroll if "payroll" in input.identity.groups

is_here if input.connection.name == "larch-db"

region := object.get(input.identity.claims, "region", "")

regional := {"public.customers", "public.orders", "support.tickets"}

shop := {
	"public.customers", "public.orders", "public.order_items", "public.order_events", "public.products",
	"public.order_overview", "support.tickets",
}

colleague_columns := {"id", "name", "team", "region"}

# ---- what is allowed: rules by the number of the access. `partly` covers some columns only.

allows[i] contains "agent_reads_the_shop" if {
	is_here
	is_support_agent
	some i, a in input.sql.accesses
	a.kind == "read"
	access.is_one_of(a, shop)
}

partly[i] contains "agent_finds_colleagues" if {
	is_here
	is_support_agent
	some i, a in input.sql.accesses
	a.kind == "read"
	a.table.key == "hr.employees"
}

allows[i] contains "agent_finds_colleagues" if {
	some i, _ in partly
	every column in input.sql.accesses[i].columns {
		column in colleague_columns
	}
}

allows[i] contains "agent_transactions" if {
	is_here
	is_support_agent
	some i, a in input.sql.accesses
	access.does(a, {"tcl", "show", "fetch", "close", "deallocate"})
}

allows[i] contains "on_call_reads" if {
	is_here
	is_on_call
	some i, a in input.sql.accesses
	a.kind == "read"
	reads_widely(a)
}

reads_widely(a) if a.table.schema in {"public", "support"}

reads_widely(a) if a.table.key == "hr.employees"

allows[i] contains "on_call_session" if {
	is_here
	is_on_call
	some i, a in input.sql.accesses
	access.does(a, {"tcl", "session"})
}

allows[i] contains "on_call_mends_orders" if {
	is_here
	is_on_call
	some i, a in input.sql.accesses
	a.verb == "update"
	access.is_one_of(a, {"public.orders", "support.tickets"})
}

allows[i] contains "tableless" if {
	is_here
	is_support_agent_or_on_call
	count(input.sql.tables) == 0
	some i, a in input.sql.accesses
	a.verb == "select"
}

is_support_agent_or_on_call if is_support_agent

is_support_agent_or_on_call if is_on_call

allows[i] contains "gw.builtin.catalog" if {
	some i, a in input.sql.accesses
	access.is_catalog_read(a)
}

rules contains name if some name in allows[_]

rules contains name if some name in partly[_]

uncovered contains access.describe(a) if {
	some i, a in input.sql.accesses
	not allows[i]
}

# ---- what is denied

deny contains {"rule": "agent_region_unknown", "message": message} if {
	is_here
	is_agent
	not region in data.larch.agent_regions
	some a in input.sql.accesses
	a.kind == "read"
	access.is_one_of(a, regional)
	shown := object.get(input.identity.claims, "region", "(none)")
	message := sprintf("region %s has no agent: see policies/demo/data/agent_regions.json", [shown])
}

deny contains {"rule": "restricted", "severity": "critical", "message": message} if {
	is_here
	not is_payroll
	some a in input.sql.accesses
	access.carries(a, "restricted")
	message := sprintf("%s is restricted: nobody on call and no agent reads it", [a.table.key])
}

# ---- what is changed on the way

filters contains {"table": a.table.key, "rule": "own_region", "where": {"column": "region", "op": "=", "value": region}} if {
	is_here
	is_agent
	some a in input.sql.accesses
	access.is_one_of(a, regional)
}

masks contains mask if {
	is_here
	is_agent
	some mask in access.masks("free_text", "ticket_text", {"kind": "partial", "first": 24})
}

masks contains mask if {
	is_here
	not is_payroll
	some mask in access.masks("pay", "salaries", {"kind": "bucket", "size": 10000})
}

limits contains {"unit": "rows", "max": 50, "rule": "agent_page"} if {
	is_here
	is_agent
	some a in input.sql.accesses
	a.kind == "read"
}

approval contains {
	"rule": "order_changes",
	"approvers": [{"kind": "group", "name": "leads"}],
	"within_ms": 1800000,
	"message": "a change to public.orders needs a lead",
} if {
	is_here
	is_on_call
	some a in input.sql.accesses
	a.kind == "write"
	a.table.key == "public.orders"
}

alerts contains {"rule": "agent_denied", "channel": "#sec-alerts", "severity": "high", "message": "rule `larch.shop.agent_denied` matched", "on": ["deny"]} if {
	is_here
	is_agent
	input.sql
}

decision := {
	"allow": count(uncovered) == 0,
	"message": "No rule of larch.shop allows this",
	"rules": rules,
	"uncovered": uncovered,
	"deny": deny,
	"filters": filters,
	"masks": masks,
	"limits": limits,
	"approval": approval,
	"alerts": alerts,
	# Known tags are needed, everything else isn't read.
	"tolerates": ["sql.limit"],
}
