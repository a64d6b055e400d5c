# HTTP APIs called by agents: policies/std/http.policy in Rego.
package gw.std.http

import data.gw.lib.names

is_agent if input.identity.kind == "agent"

is_open if "agents" in input.connection.tags

rules contains "agents_read_apis" if {
	input.http.method in {"GET", "HEAD"}
	is_agent
	is_open
}

uncovered contains names.request if {
	input.http
	count(rules) == 0
}

deny contains {"rule": "method_override", "severity": "high", "message": message} if {
	some name in {"x-http-method-override", "x-http-method"}
	is_string(input.http.headers[name])
	message := "send the method you mean: overrides are refused"
}

deny contains {"rule": "admin_routes", "severity": "critical", "message": message} if {
	is_agent
	some prefix in {"/admin", "/v1/admin", "/internal"}
	names.is_below(input.http.path, prefix)
	message := sprintf("%s is an administrative route; agents stay out", [input.http.path])
}

limits contains {"rule": "agent_rate", "unit": "requests", "max": 120, "window_ms": 60000, "key": input.identity.sub} if {
	is_agent
	input.http
}

content contains {"rule": "tokens", "format": "json", "patterns": patterns, "mask": {"kind": "redact"}} if {
	input.http
	patterns := ["$..access_token", "$..refresh_token", "$..api_key"]
}

approval contains {
	"rule": "agent_deletes",
	"approvers": [{"kind": "group", "name": "api-owners"}],
	"within_ms": 1800000,
	"message": "a DELETE by an agent waits for an owner of the API",
} if {
	is_agent
	input.http.method == "DELETE"
}

decision := {
	"allow": count(rules) > 0,
	"rules": rules,
	"uncovered": uncovered,
	"deny": deny,
	"limits": limits,
	"content": content,
	"approval": approval,
	"tolerates": ["http.query", "http.body_size"],
}
