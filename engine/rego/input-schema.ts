// engine/model/fact-schema.ts -> JSON Schema of `input`. The table of facts stays the only list of facts.
import type { Json } from "../lib/json.ts";
import { factEnums, factSchema } from "../model/fact-schema.ts";
import { inputFormat } from "./input.ts";

type Schema = { readonly [key: string]: Json };

/** Facts of the access under evaluation: in the input they stand in each of `sql.accesses`. */
const perAccess = ["verb", "kind", "has_where", "where_always_true"] as const;
/** Placeholders of the routes that a policy in our language names; there are none here. */
const notGiven: ReadonlySet<string> = new Set(["http.params"]);

const text = { type: "string" };
const listOf = (items: Schema): Schema => ({ type: "array", items });

/** Types of the policy language → JSON. Durations and moments are ms, sizes bytes, sets sorted lists. */
const scalars: Readonly<Record<string, Schema>> = {
  string: text,
  int: { type: "integer" },
  bool: { type: "boolean" },
  ip: text,
  duration: { type: "integer", description: "Milliseconds." },
  time: { type: "integer", description: "Milliseconds since 1970-01-01 UTC." },
  size: { type: "integer", description: "Bytes." },
  json: {},
  table: { $ref: "#/$defs/table" },
  column: { $ref: "#/$defs/column" },
};

function typeSchema(type: string): Schema {
  const set = /^(?:set|list)<(.+)>$/.exec(type);
  if (set?.[1]) return listOf(typeSchema(set[1]));
  if (type === "map<string,string>") return { type: "object", additionalProperties: text };
  const values = factEnums[type]?.values;
  if (values) return { enum: values };
  const scalar = scalars[type];
  if (!scalar) throw new TypeError(`the type \`${type}\` has no JSON form`);
  return scalar;
}

/** Every fact may be missing: an option because it is absent, any other because it is not known. */
function rootSchema(root: string, leaveOut: ReadonlySet<string>, extra: Schema = {}): Schema {
  const { doc, fields } = factSchema[root] ?? { doc: "", fields: {} };
  const properties = Object.entries(fields)
    .filter(([name]) => !leaveOut.has(name) && !notGiven.has(`${root}.${name}`))
    .map(([name, field]) => [name, { description: field.doc, ...typeSchema(field.type.replace(/\?$/, "")) }] as const);
  return closed({ ...Object.fromEntries(properties), ...extra }, [], doc);
}

const closed = (properties: Schema, required: readonly string[], description: string): Schema => ({
  type: "object",
  description,
  properties,
  required,
  additionalProperties: false,
});

/** JSON Schema 2020-12 of the `input` document of a Rego policy. */
export function inputSchema(): Schema {
  const none: ReadonlySet<string> = new Set();
  const sqlFields = factSchema.sql?.fields ?? {};
  const accessFields = perAccess.map((name) => {
    const field = sqlFields[name];
    return [name, { description: field?.doc ?? "", ...typeSchema(field?.type ?? "json") }] as const;
  });
  const tags = listOf(text);
  const key = { ...text, description: "Schema and name with a dot between; masks and filters name a table by it." };
  const column = { name: text, tags };
  const table = { key, schema: text, name: text, tags };
  const access = closed(
    {
      ...Object.fromEntries(accessFields),
      table: closed(
        { ...table, columns: listOf(closed(column, ["name"], "A column of the table.")) },
        ["key", "schema", "name", "columns"],
        "The table, with all its columns; absent for statements without one, such as BEGIN.",
      ),
      columns: { ...listOf(text), description: "Columns that this access touches, `*` spelt out." },
      via: { ...listOf(text), description: "Keys of the views through which the table is reached." },
    },
    [...perAccess, "columns", "via"],
    "One thing that the statement does to one table.",
  );
  const roots = Object.keys(factSchema).filter((root) =>
    ["always", "http", "mcp", "llm"].includes(factSchema[root]?.scope ?? ""),
  );
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: "gatewright-input-1",
    title: "input of a Rego policy",
    type: "object",
    properties: {
      gatewright: { const: inputFormat },
      protocol: { enum: ["sql", "http", "mcp", "llm"] },
      ...Object.fromEntries(roots.map((root) => [root, rootSchema(root, none)])),
      mcp: rootSchema("mcp", none, {
        needs_no_allow: {
          type: "boolean",
          description: "What keeps a connection alive, and lists: the policy language lets them through by themselves.",
        },
      }),
      sql: rootSchema("sql", new Set(["kind", "has_where", "where_always_true"]), { accesses: listOf(access) }),
      approved: { ...listOf(text), description: "Rules whose approval a person has given for exactly this request." },
      unknown: {
        ...listOf(closed({ fact: text, of: text, why: text }, ["fact", "why"], "A fact that could not be determined.")),
        description: "Facts that are missing because they are not known. An allow needs them tolerated.",
      },
    },
    required: ["gatewright", "protocol", "identity", "connection", "session", "time", "approved", "unknown"],
    additionalProperties: false,
    $defs: {
      table: closed(table, ["key", "schema", "name"], factSchema.table?.doc ?? ""),
      column: closed({ table: key, ...column }, ["table", "name"], factSchema.column?.doc ?? ""),
    },
  };
}
