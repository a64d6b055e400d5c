// PolicyRequest -> `input` of a Rego policy: the facts of engine/model/fact-schema.ts as JSON. Shape: `gw schema input`.
import { unreachable } from "../lib/assert.ts";
import type { Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Fact, Unknown } from "../lib/truth.ts";
import type { Limits } from "../limits.ts";
import { needsNoAllow } from "../mcp/methods.ts";
import { type Relation, relationKey } from "../model/catalog.ts";
import type { PolicyNeeds } from "../model/policy.ts";
import type { PolicyRequest } from "../model/request.ts";
import type { ColumnRef, SqlAccess, SqlFacts } from "../model/statement.ts";
import type { RegoFault } from "./fault.ts";
import type { InputBytes } from "./opa-wasm.ts";

/** Version of the shape: it stands in each input. Fields are added under it; anything else makes another one. */
export const inputFormat = "input/1";

/**
 * A fact that could not be determined. It is left out of the input, except where leaving it out would be the permissive
 * reading: then it is given as the value that a guard must assume.
 */
export type UnknownFact = {
  /** As the schema names it: `table.tags`, `sql.limit`. */
  readonly fact: string;
  /** Of which table, column or access. */
  readonly of: string | undefined;
  readonly why: string;
  readonly isGiven: boolean;
};

export type RegoInput = { readonly json: { readonly [key: string]: Json }; readonly unknown: readonly UnknownFact[] };

type Members = Record<string, Json>;

/** `needs`: facts that cost something and that the policy asks for; the others are left out silently. */
export function inputOf(request: PolicyRequest, needs: PolicyNeeds): RegoInput {
  const unknown: UnknownFact[] = [];
  const writer = new Writer(unknown);
  const { identity, connection, session, time } = request;
  const json: Members = {
    gatewright: inputFormat,
    protocol: request.protocol,
    identity: {
      ...writer.fact("identity.sub", identity.sub),
      ...writer.fact("identity.kind", identity.kind),
      ...writer.set("identity.groups", identity.groups),
      ...writer.fact("identity.email", identity.email),
      ...writer.fact("identity.ip", identity.ip),
      ...writer.fact("identity.mfa", identity.mfa),
      ...writer.fact("identity.on_behalf_of", identity.on_behalf_of),
      ...writer.fact("identity.claims", identity.claims),
    },
    connection: {
      name: connection.name,
      ...writer.fact("connection.env", connection.env),
      ...writer.set("connection.tags", connection.tags),
      ...(connection.durability === undefined ? {} : writer.fact("connection.durability", connection.durability)),
    },
    session: {
      ...writer.fact("session.id", session.id),
      ...writer.fact("session.age", session.age),
      ...writer.fact("session.purpose", session.purpose),
    },
    time: {
      ...writer.fact("time.now", time.now),
      ...writer.fact("time.hour", time.hour),
      ...writer.fact("time.minute", time.minute),
      ...writer.fact("time.weekday", time.weekday),
    },
    ...actionOf(request, needs, writer),
    approved: [...request.approved].sort(),
  };
  json.unknown = unknown.map(({ fact, of, why }) => ({ fact, ...(of === undefined ? {} : { of }), why }));
  return { json, unknown };
}

function actionOf(request: PolicyRequest, needs: PolicyNeeds, writer: Writer): Members {
  switch (request.protocol) {
    case "sql":
      return { sql: sqlOf(request.sql, needs, writer) };
    case "http": {
      const { http } = request;
      return {
        http: {
          method: http.method,
          ...writer.fact("http.host", http.host),
          path: http.path,
          ...(http.operation === undefined ? {} : writer.fact("http.operation", http.operation)),
          ...writer.fact("http.query", http.query),
          ...writer.fact("http.headers", http.headers),
          ...(needs.body ? writer.fact("http.body", http.body) : {}),
          ...writer.fact("http.body_size", http.bodySize),
        },
      };
    }
    case "mcp": {
      const { mcp } = request;
      return {
        mcp: {
          server: mcp.server,
          method: mcp.method,
          // Plumbing and lists: the policy language lets them through without an allow of their own.
          needs_no_allow: needsNoAllow(mcp.method),
          ...writer.fact("mcp.tool", mcp.tool),
          ...writer.fact("mcp.resource", mcp.resource),
          ...writer.fact("mcp.prompt", mcp.prompt),
          ...writer.fact("mcp.args", mcp.args),
        },
      };
    }
    case "llm": {
      const { llm } = request;
      return {
        llm: {
          ...writer.fact("llm.provider", llm.provider),
          model: llm.model,
          ...writer.set("llm.tools", llm.tools),
          ...writer.fact("llm.tool_use", llm.toolUse),
          ...writer.fact("llm.tool_input", llm.toolInput),
          ...writer.fact("llm.input_tokens", llm.inputTokens),
          ...writer.fact("llm.input_tokens_bound", llm.inputTokensBound ?? new Unknown("its length isn't known")),
          ...writer.fact("llm.max_tokens", llm.maxTokens),
        },
      };
    }
    default:
      return unreachable(request);
  }
}

function sqlOf(sql: SqlFacts, needs: PolicyNeeds, writer: Writer): Members {
  const tables = (relations: readonly Relation[]): Json => relations.map((relation) => tableOf(relation, writer));
  const columns = (refs: readonly ColumnRef[]): Json =>
    refs.map((ref) => ({ table: keyOf(ref.relation), ...columnOf(ref.relation, ref.column, writer) }));
  return {
    verb: sql.verb,
    accesses: sql.accesses.map((access) => accessOf(access, writer)),
    statements: sql.statements,
    tables: tables(sql.tables),
    read_tables: tables(sql.readTables),
    write_tables: tables(sql.writeTables),
    columns_read: columns(sql.columnsRead),
    columns_written: columns(sql.columnsWritten),
    columns_returned: columns(sql.columnsReturned),
    functions: [...sql.functions].sort(),
    has_limit: sql.hasLimit,
    ...writer.fact("sql.limit", sql.limit),
    joins: sql.joins,
    ...(needs.estimatedRows ? writer.fact("sql.estimated_rows", sql.estimatedRows) : {}),
    text: sql.text,
    fingerprint: sql.fingerprint,
  };
}

function accessOf(access: SqlAccess, writer: Writer): Json {
  const { relation } = access;
  return {
    verb: access.verb,
    kind: access.kind,
    ...(relation === undefined ? {} : { table: wholeTableOf(relation, writer) }),
    columns: access.columns,
    has_where: access.hasWhere,
    ...writer.guarded("sql.where_always_true", access.whereAlwaysTrue, true, relation && keyOf(relation)),
    via: access.via,
  };
}

const keyOf = (relation: Relation): string => relationKey(relation.schema, relation.name);

function tableOf(relation: Relation, writer: Writer): Members {
  const key = keyOf(relation);
  return { key, schema: relation.schema, name: relation.name, ...writer.set("table.tags", relation.tags, key) };
}

/** With all its columns: a mask concerns those that carry a tag, whether the statement names them or not. */
const wholeTableOf = (relation: Relation, writer: Writer): Json => ({
  ...tableOf(relation, writer),
  columns: relation.columns.map((column) => columnOf(relation, column.name, writer)),
});

/** A column carries its table's tags too. System columns aren't in the catalog and have those only. */
function columnOf(relation: Relation, name: string, writer: Writer): Members {
  const own = relation.columns.find((column) => column.name === name)?.tags ?? new Set<string>();
  const tags =
    own instanceof Unknown || relation.tags instanceof Unknown
      ? new Unknown("the tags of the column or of its table are not known")
      : new Set([...own, ...relation.tags]);
  return { name, ...writer.set("column.tags", tags, `${keyOf(relation)}.${name}`) };
}

/** Writes one fact as the last part of its name, or nothing when it is absent or unknown. */
class Writer {
  readonly #unknown: UnknownFact[];
  readonly #reported = new Set<string>();
  constructor(unknown: UnknownFact[]) {
    this.#unknown = unknown;
  }
  fact(name: string, fact: Fact<Json | undefined>, of?: string): Members {
    if (fact instanceof Unknown) {
      this.#report(name, of, fact.why, false);
      return {};
    }
    return fact === undefined ? {} : { [lastPart(name)]: fact };
  }
  set(name: string, fact: Fact<ReadonlySet<string>>, of?: string): Members {
    return this.fact(name, fact instanceof Unknown ? fact : [...fact].sort(), of);
  }
  /** `assumed`: what a guard has to take for true while the fact isn't known. */
  guarded(name: string, fact: Fact<boolean>, assumed: boolean, of?: string): Members {
    if (!(fact instanceof Unknown)) return { [lastPart(name)]: fact };
    this.#report(name, of, fact.why, true);
    return { [lastPart(name)]: assumed };
  }
  #report(fact: string, of: string | undefined, why: string, isGiven: boolean): void {
    const key = `${fact} ${of ?? ""}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.#unknown.push({ fact, of, why, isGiven });
  }
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

const encoder = new TextEncoder();

class Unwritable extends Error {}

/** JSON that a module's parser can't misread: plain objects, finite numbers, whole characters, bounded size and depth. */
export function encodeInput(input: { readonly [key: string]: Json }, limits: Limits): Result<InputBytes, RegoFault> {
  let text: string;
  try {
    text = JSON.stringify(plain(input, limits.regoJsonDepthMax));
  } catch (error) {
    if (error instanceof Unwritable) return err({ code: "rego-input-invalid", message: error.message });
    throw error;
  }
  const bytes = encoder.encode(text);
  if (bytes.length > limits.regoInputBytesMax) {
    return err({
      code: "rego-input-too-large",
      message: `the facts of this request take more than ${limits.regoInputBytesMax} bytes`,
      help: "send a shorter statement",
    });
  }
  return ok(bytes as InputBytes); // the brand is made here and nowhere else on this side of a thread
}

/** A copy without lone surrogates; a string that had some reads U+FFFD in their place, as it does in UTF-8 everywhere. */
function plain(json: Json, depthLeft: number): Json {
  switch (typeof json) {
    case "string":
      return json.isWellFormed() ? json : json.toWellFormed();
    case "number":
      if (!Number.isFinite(json)) throw new Unwritable("a fact is a number without a JSON form");
      return json;
    case "boolean":
      return json;
    case "object":
      break;
    default:
      throw new Unwritable("a fact has no JSON form");
  }
  if (json === null) return null;
  if (depthLeft <= 0) throw new Unwritable("the facts of this request are nested too deeply");
  if (Array.isArray(json)) return json.map((item: Json) => plain(item, depthLeft - 1));
  const prototype: unknown = Object.getPrototypeOf(json);
  if (prototype !== Object.prototype && prototype !== null) throw new Unwritable("a fact is not plain data");
  const copy: Record<string, Json> = Object.create(null);
  for (const [key, value] of Object.entries(json)) {
    // Two broken names could become one: refused rather than merged.
    if (!key.isWellFormed()) throw new Unwritable("a fact has a name that is not Unicode text");
    copy[key] = plain(value, depthLeft - 1);
  }
  return copy;
}
