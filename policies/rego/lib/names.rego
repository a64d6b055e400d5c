# Patterns of the policy language for paths and names.
package gw.lib.names

# `/admin/**`: the route itself and everything below it.
is_below(path, prefix) if path == prefix

is_below(path, prefix) if startswith(path, concat("", [prefix, "/"]))

# `*.get_*`: somewhere in the name a dot and the prefix.
is_of(name, prefix) if contains(name, concat("", [".", prefix]))

# `GET /v1/orders`, `tools/call github.get_issue`: as the gateway itself describes a request.
request := sprintf("%s %s", [input.http.method, input.http.path])

request := sprintf("%s %s", [input.mcp.method, mcp_name]) if mcp_name

request := input.mcp.method if not mcp_name

mcp_name := input.mcp.tool

mcp_name := input.mcp.resource

mcp_name := input.mcp.prompt
