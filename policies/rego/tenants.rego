# Tenant isolation: policies/std/tenants.policy in Rego. It only restricts, so it allows whatever it doesn't deny.
package gw.std.tenants

import data.gw.lib.access

sees_all if "all-tenants" in input.identity.groups

tenant := object.get(input.identity.claims, "tenant", "")

filters contains {"table": a.table.key, "rule": "own_tenant", "where": {"column": "tenant", "op": "=", "value": tenant}} if {
	not sees_all
	some a in input.sql.accesses
	access.carries(a, "tenant_scoped")
}

deny contains {"rule": "tenant_unknown", "severity": "high", "message": message} if {
	not sees_all
	not input.identity.claims.tenant
	some a in input.sql.accesses
	access.carries(a, "tenant_scoped")
	message := sprintf("the token names no tenant: %s is shared by several", [a.table.key])
}

decision := {"allow": true, "deny": deny, "filters": filters, "tolerates": ["sql.limit"]}
