# Personal data and agents: policies/std/pii.policy in Rego, without what counts reads. It allows whatever it doesn't deny.
package gw.std.pii

import data.gw.lib.access

is_agent if input.identity.kind == "agent"

reads_secrets if {
	input.identity.kind == "human"
	"secret-readers" in input.identity.groups
	input.identity.mfa
}

masks contains mask if {
	is_agent
	some mask in access.masks("pii", "pii_for_agents", {"kind": "partial", "first": 1, "keep_domain": true})
}

masks contains mask if {
	not reads_secrets
	some mask in access.masks("secret", "secrets", {"kind": "redact"})
}

deny contains {"rule": "pii_needs_a_person", "message": message} if {
	is_agent
	not input.identity.on_behalf_of
	some a in input.sql.accesses
	a.kind == "read"
	access.carries(a, "pii")
	message := sprintf("%s acts for nobody: a token with `on_behalf_of` is needed to read personal data", [input.identity.sub])
}

decision := {
	"allow": true,
	"rules": ["allow"],
	"deny": deny,
	"masks": masks,
	"tolerates": ["sql.limit"],
}
