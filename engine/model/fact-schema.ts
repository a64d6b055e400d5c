// Every fact a policy can ask for: the checker, hover, completion and the reference read this one table.
import { sqlKinds, sqlVerbs } from "./statement.ts";

/** Types are written in the policy language's own notation and read by dsl/types.ts. */
export type FactField = { readonly type: string; readonly doc: string };
export type FactRoot = {
  readonly doc: string;
  /** Where it exists: in every rule, or only in rules of a protocol, in `where`, or in `alert`. */
  readonly scope: "always" | "sql" | "http" | "mcp" | "llm" | "alert" | "type";
  readonly fields: Readonly<Record<string, FactField>>;
};

/** Values of the enums whose values are written bare; `article` + word name one value in messages. */
export type FactEnum = { readonly values: readonly string[]; readonly one: string };

export const factEnums: Readonly<Record<string, FactEnum>> = {
  verb: { values: sqlVerbs, one: "a verb" },
  sql_kind: { values: sqlKinds, one: "a kind of statement" },
  principal_kind: { values: ["human", "service", "agent"], one: "a kind of principal" },
  weekday: { values: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], one: "a weekday" },
  outcome: { values: ["allow", "deny", "approval"], one: "an outcome" },
};

export const factSchema: Readonly<Record<string, FactRoot>> = {
  identity: {
    doc: "Who is asking, as the verified token says.",
    scope: "always",
    fields: {
      sub: { type: "string", doc: "The subject of the token: a stable name of the caller." },
      kind: { type: "principal_kind", doc: "Whether a person, a service or an agent is asking." },
      groups: { type: "set<string>", doc: "Groups of the caller, flattened by the identity provider." },
      email: { type: "string?", doc: "E-mail address, if the token has one." },
      ip: { type: "ip", doc: "Address that the client connects from." },
      mfa: { type: "bool", doc: "The caller logged in with a second factor." },
      on_behalf_of: { type: "string?", doc: "The person an agent acts for; absent for people and services." },
      claims: { type: "json", doc: "All claims of the token; typed by `schema identity.claims: {…}`." },
    },
  },
  connection: {
    doc: "The target that the request goes to.",
    scope: "always",
    fields: {
      name: { type: "string", doc: "Name of the connection in the gateway's configuration." },
      env: { type: "string", doc: "Environment that the configuration gives the connection, such as prod." },
      tags: { type: "set<string>", doc: "Tags that the configuration gives the connection." },
      durability: {
        type: "string",
        doc: "What is certain of a record before a statement runs: sync (on disk), batched (with the system) or async (queued).",
      },
    },
  },
  session: {
    doc: "The client's session with the gateway.",
    scope: "always",
    fields: {
      id: { type: "string", doc: "Identifier of the session." },
      age: { type: "duration", doc: "Time since the session began." },
      purpose: { type: "string?", doc: "What the caller said the session is for." },
    },
  },
  time: {
    doc: "When the request is decided, in the bundle's time zone.",
    scope: "always",
    fields: {
      now: { type: "time", doc: "The moment of the decision." },
      hour: { type: "int", doc: "Hour of the day, 0 to 23." },
      minute: { type: "int", doc: "Minute of the hour, 0 to 59." },
      weekday: { type: "weekday", doc: "Day of the week, mon to sun." },
    },
  },
  monitor: {
    doc: "What the gateway's monitor has seen of this caller on this connection; unknown where `monitoring` in gw.yaml doesn't watch for it.",
    scope: "always",
    fields: {
      denials: { type: "int", doc: "Requests that were denied, in the window of `denials`." },
      rows_read: { type: "int", doc: "Rows that were read, in the window of `bulk`." },
      bytes_read: { type: "int", doc: "Bytes that were read, in the window of `bulk`." },
      rows_written: { type: "int", doc: "Rows that were written in the last minute." },
      is_first_access: {
        type: "bool",
        doc: "The statement uses a table with a tag of `first_access` that the caller has not used before.",
      },
      is_new_shape: { type: "bool", doc: "The caller has not run a statement of this shape before." },
      is_off_hours: { type: "bool", doc: "It is outside of `off_hours`." },
    },
  },
  sql: {
    doc: "The SQL statement. `verb`, `kind`, `has_where` and `where_always_true` are those of the access under evaluation.",
    scope: "sql",
    fields: {
      verb: { type: "verb", doc: "What the statement does to the table under evaluation." },
      kind: {
        type: "sql_kind",
        doc: "The kind of that verb: read, write, ddl, dcl, tcl, session, procedural or unknown.",
      },
      statements: { type: "int", doc: "Number of statements in the client's message." },
      tables: { type: "set<table>", doc: "All tables of the statement." },
      read_tables: { type: "set<table>", doc: "Tables that are read." },
      write_tables: { type: "set<table>", doc: "Tables that are written." },
      columns_read: { type: "set<column>", doc: "Columns that are read anywhere in the statement." },
      columns_written: { type: "set<column>", doc: "Columns that are written." },
      columns_returned: { type: "set<column>", doc: "Columns whose values reach the client." },
      functions: { type: "set<string>", doc: "Functions called: `name` for built-in ones, `schema.name` for others." },
      has_where: { type: "bool", doc: "The part of the statement that makes this access has a WHERE clause." },
      where_always_true: { type: "bool", doc: "That WHERE clause is true for every row, or there is none." },
      has_limit: { type: "bool", doc: "The statement has a LIMIT at the top level." },
      limit: { type: "int?", doc: "The constant of that LIMIT; not known of one WITH TIES." },
      joins: { type: "int", doc: "Number of joins." },
      parameters: {
        type: "json",
        doc: "Values of the statement's parameters as a list: `$1` is `sql.parameters[0]`. Not known where only the database can tell their types.",
      },
      estimated_rows: {
        type: "int?",
        doc: "Rows that the database's planner expects of the statement as it would be sent.",
      },
      text: { type: "string", doc: "The client's text of this statement." },
      fingerprint: { type: "string", doc: "Equal for statements that differ in literals only." },
    },
  },
  table: {
    doc: "The table of the access under evaluation.",
    scope: "sql",
    fields: {
      schema: { type: "string", doc: "Schema of the table." },
      name: { type: "string", doc: "Name of the table without its schema." },
      tags: { type: "set<string>", doc: "Tags of the table in the catalog." },
    },
  },
  column: {
    doc: "A column, as `sql.columns_read` and its siblings hold it.",
    scope: "type",
    fields: {
      table: { type: "table", doc: "The table that the column belongs to." },
      name: { type: "string", doc: "Name of the column." },
      tags: { type: "set<string>", doc: "Tags of the column and of its table." },
    },
  },
  http: {
    doc: "The HTTP request.",
    scope: "http",
    fields: {
      method: { type: "string", doc: "Method in capital letters." },
      host: { type: "string", doc: "Host that the request names, in lower case." },
      path: { type: "string", doc: "Path, decoded and normalised." },
      params: { type: "map<string,string>", doc: "Values of the route's placeholders." },
      query: { type: "map<string,string>", doc: "Query parameters." },
      headers: { type: "map<string,string>", doc: "Headers with lower-case names." },
      body: { type: "json?", doc: "Body, if it is JSON." },
      body_size: { type: "size", doc: "Size of the body." },
      operation: { type: "string?", doc: "Operation id of the route, if the connection has an OpenAPI document." },
    },
  },
  mcp: {
    doc: "The MCP message.",
    scope: "mcp",
    fields: {
      server: { type: "string", doc: "Name of the MCP server." },
      method: { type: "string", doc: "JSON-RPC method such as tools/call." },
      tool: { type: "string?", doc: "Tool that is called." },
      resource: { type: "string?", doc: "Resource that is read." },
      prompt: { type: "string?", doc: "Prompt that is fetched." },
      args: { type: "json", doc: "Arguments of the call." },
    },
  },
  llm: {
    doc: "The request to a model, or one tool use in its answer.",
    scope: "llm",
    fields: {
      provider: { type: "string", doc: "Provider of the model." },
      model: { type: "string", doc: "Name of the model." },
      tools: { type: "set<string>", doc: "Tools offered to the model." },
      tool_use: { type: "string?", doc: "Tool that the model wants to use." },
      tool_input: { type: "json?", doc: "What the model wants to call that tool with." },
      input_tokens: { type: "int", doc: "Tokens of the input, as the provider counted them: unknown for a request." },
      input_tokens_bound: { type: "int", doc: "The input has no more tokens than this, by its length." },
      max_tokens: { type: "int?", doc: "Bound on the answer that the request asks for." },
    },
  },
  decision: {
    doc: "The decision that was made; only in `alert` rules.",
    scope: "alert",
    fields: {
      effect: { type: "outcome", doc: "allow, deny or approval." },
      rules: { type: "set<string>", doc: "Names of the rules that made it." },
    },
  },
};
