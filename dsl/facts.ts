// Fact -> how it is read from a request. One row per field of engine/model/fact-schema.ts (a test compares them).

import { Unknown } from "../engine/lib/truth.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import type { EvaluationContext } from "../engine/program.ts";
import type { Value } from "./checked.ts";
import { canonicalIp, isColumnRef, isRelation } from "./values.ts";

export type ReadFact = (c: EvaluationContext) => Value;

export const notHere = new Unknown("this request has no such data");
const noBound = new Unknown("the length of the input says nothing about its tokens");
const noDecision = new Unknown("there is no decision yet");
const noDurability = new Unknown("nothing says how durable the recording is");
const notMonitored = new Unknown("the gateway doesn't monitor this");
const noTable = new Unknown("this access has no table");

type Of<P extends PolicyRequest["protocol"]> = Extract<PolicyRequest, { protocol: P }>;

const sql =
  (read: (r: Of<"sql">["sql"]) => Value): ReadFact =>
  ({ request }) =>
    request.protocol === "sql" ? read(request.sql) : notHere;
const http =
  (read: (r: Of<"http">["http"]) => Value): ReadFact =>
  ({ request }) =>
    request.protocol === "http" ? read(request.http) : notHere;
const mcp =
  (read: (r: Of<"mcp">["mcp"]) => Value): ReadFact =>
  ({ request }) =>
    request.protocol === "mcp" ? read(request.mcp) : notHere;
const llm =
  (read: (r: Of<"llm">["llm"]) => Value): ReadFact =>
  ({ request }) =>
    request.protocol === "llm" ? read(request.llm) : notHere;

const readIp: ReadFact = ({ request }) => {
  const { ip } = request.identity;
  return ip instanceof Unknown ? ip : (canonicalIp(ip) ?? new Unknown("`identity.ip` is not an address"));
};

export const readTable: ReadFact = ({ access }) => access?.relation ?? noTable;

export const factReaders: Readonly<Record<string, Readonly<Record<string, ReadFact>>>> = {
  identity: {
    sub: ({ request }) => request.identity.sub,
    kind: ({ request }) => request.identity.kind,
    groups: ({ request }) => request.identity.groups,
    email: ({ request }) => request.identity.email,
    ip: readIp,
    mfa: ({ request }) => request.identity.mfa,
    on_behalf_of: ({ request }) => request.identity.on_behalf_of,
    claims: ({ request }) => request.identity.claims,
  },
  connection: {
    name: ({ request }) => request.connection.name,
    env: ({ request }) => request.connection.env,
    tags: ({ request }) => request.connection.tags,
    durability: ({ request }) => request.connection.durability ?? noDurability,
  },
  session: {
    id: ({ request }) => request.session.id,
    age: ({ request }) => request.session.age,
    purpose: ({ request }) => request.session.purpose,
  },
  time: {
    now: ({ request }) => request.time.now,
    hour: ({ request }) => request.time.hour,
    minute: ({ request }) => request.time.minute,
    weekday: ({ request }) => request.time.weekday,
  },
  monitor: {
    denials: ({ request }) => request.monitor?.denials ?? notMonitored,
    rows_read: ({ request }) => request.monitor?.rowsRead ?? notMonitored,
    bytes_read: ({ request }) => request.monitor?.bytesRead ?? notMonitored,
    rows_written: ({ request }) => request.monitor?.rowsWritten ?? notMonitored,
    is_first_access: ({ request }) => request.monitor?.isFirstAccess ?? notMonitored,
    is_new_shape: ({ request }) => request.monitor?.isNewShape ?? notMonitored,
    is_off_hours: ({ request }) => request.monitor?.isOffHours ?? notMonitored,
  },
  sql: {
    verb: (c) => c.access?.verb ?? sql((s) => s.verb)(c),
    kind: (c) => c.access?.kind ?? notHere,
    statements: sql((s) => s.statements),
    tables: sql((s) => s.tables),
    read_tables: sql((s) => s.readTables),
    write_tables: sql((s) => s.writeTables),
    columns_read: sql((s) => s.columnsRead),
    columns_written: sql((s) => s.columnsWritten),
    columns_returned: sql((s) => s.columnsReturned),
    functions: sql((s) => s.functions),
    has_where: (c) => c.access?.hasWhere ?? notHere,
    where_always_true: (c) => c.access?.whereAlwaysTrue ?? notHere,
    has_limit: sql((s) => s.hasLimit),
    limit: sql((s) => s.limit),
    joins: sql((s) => s.joins),
    parameters: sql((s) => s.parameters ?? new Unknown("the statement's values are not known")),
    estimated_rows: sql((s) => s.estimatedRows),
    text: sql((s) => s.text),
    fingerprint: sql((s) => s.fingerprint),
  },
  http: {
    method: http((h) => h.method),
    host: http((h) => h.host),
    path: http((h) => h.path),
    params: ({ params }) => params ?? notHere,
    query: http((h) => h.query),
    headers: http((h) => h.headers),
    body: http((h) => h.body),
    body_size: http((h) => h.bodySize),
    operation: http((h) => h.operation),
  },
  mcp: {
    server: mcp((m) => m.server),
    method: mcp((m) => m.method),
    tool: mcp((m) => m.tool),
    resource: mcp((m) => m.resource),
    prompt: mcp((m) => m.prompt),
    args: mcp((m) => m.args),
  },
  llm: {
    provider: llm((l) => l.provider),
    model: llm((l) => l.model),
    tools: llm((l) => l.tools),
    tool_use: llm((l) => l.toolUse),
    tool_input: llm((l) => l.toolInput),
    input_tokens: llm((l) => l.inputTokens),
    input_tokens_bound: llm((l) => l.inputTokensBound ?? noBound),
    max_tokens: llm((l) => l.maxTokens),
  },
  decision: {
    effect: ({ decision }) => decision?.effect ?? noDecision,
    rules: ({ decision }) => (decision ? new Set(decision.rules) : noDecision),
  },
};

/** A field of a table or column; tags of a column include those of its table. */
export function readCatalogField(object: Value, name: string): Value {
  if (isColumnRef(object)) {
    if (name === "name") return object.column;
    if (name === "table") return object.relation;
    const column = object.relation.columns?.find((c) => c.name === object.column);
    if (!column) return new Unknown(`the catalog does not know \`${object.column}\``);
    return joinTags(column.tags, object.relation.tags);
  }
  if (!isRelation(object)) return new Unknown("not a table");
  if (name === "schema") return object.schema;
  if (name === "name") return object.name;
  return "tags" in object ? object.tags : new Unknown("the tags of the table are not known");
}

function joinTags(a: Value, b: Value): Value {
  if (a instanceof Unknown) return a;
  if (b instanceof Unknown) return b;
  return new Set([...(a instanceof Set ? a : []), ...(b instanceof Set ? b : [])]);
}
