# What the ports share: questions about one access of a statement.
package gw.lib.access

# `select public.orders`; `begin` for an access without a table. As the gateway itself describes it.
describe(a) := sprintf("%s %s", [a.verb, a.table.key]) if a.table

describe(a) := a.verb if not a.table

# The table is one of these keys, such as "public.orders".
is_one_of(a, keys) if a.table.key in keys

# The table, or a column that the access touches, carries the tag.
carries(a, tag) if tag in a.table.tags

carries(a, tag) if {
	some column in a.table.columns
	column.name in a.columns
	tag in column.tags
}

# The verb or its kind is one of these.
does(a, names) if a.verb in names

does(a, names) if a.kind in names

# Reads of the system catalogs that the gateway lets through.
is_catalog_read(a) if {
	a.kind == "read"
	a.table.schema in {"pg_catalog", "information_schema"}
}

# Masks of every column of the statement's tables that carries the tag.
masks(tag, rule, mask) := {{"table": a.table.key, "column": column.name, "rule": rule, "mask": mask} |
	some a in input.sql.accesses
	some column in a.table.columns
	tag in column.tags
}
