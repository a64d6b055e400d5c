# MCP tools called by agents: policies/std/mcp.policy in Rego, without what counts pages of the open web.
package gw.std.mcp

import data.gw.lib.names

is_agent if input.identity.kind == "agent"

reads := {"get_", "list_", "search_", "read_"}

changes := {"create_", "update_", "delete_", "merge_", "send_", "post_"}

is_change if {
	some prefix in changes
	names.is_of(input.mcp.tool, prefix)
}

# What keeps a connection alive, and lists.
rules contains "gw.builtin.mcp" if input.mcp.needs_no_allow

rules contains "read_tools" if {
	is_agent
	some prefix in reads
	names.is_of(input.mcp.tool, prefix)
}

rules contains "change_tools" if {
	is_agent
	is_change
}

uncovered contains names.request if {
	input.mcp
	count(rules) == 0
}

deny contains {"rule": "shell_tools", "severity": "critical", "message": message} if {
	some name in {".exec", ".shell", ".run_command", ".eval"}
	endswith(input.mcp.tool, name)
	message := sprintf("%s can run anything; it is closed to everybody", [input.mcp.tool])
}

approval contains {
	"rule": "changes_by_agents",
	"approvers": [{"kind": "group", "name": "tool-owners"}],
	"within_ms": 3600000,
	"message": "an agent's change waits for an owner of the tool",
} if {
	is_agent
	is_change
}

content contains {"rule": "credentials", "format": "text", "patterns": patterns, "mask": {"kind": "redact"}} if {
	input.mcp.tool
	patterns := ["api_key", "jwt", "private_key"]
}

limits contains {"rule": "call_rate", "unit": "calls", "max": 120, "window_ms": 60000, "key": input.session.id} if {
	is_agent
	input.mcp.tool
}

decision := {
	"allow": count(rules) > 0,
	"rules": rules,
	"uncovered": uncovered,
	"deny": deny,
	"approval": approval,
	"content": content,
	"limits": limits,
	"tolerates": ["mcp.args", "mcp.resource", "mcp.prompt"],
}
