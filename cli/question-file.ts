// a request as JSON -> a question in the policy language, with every text quoted
import { GatewayError } from "../proxy/errors.ts";
import type { Action, Question } from "./ask-bundle.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonRecord = { readonly [key: string]: Json };

/**
 * `{ "identity": {…} or a fixture's name, "at": "prod-pg", "sql": "…" }`. In place of `sql`: `http` with `method`, `path`,
 * `headers`, `query`, `body`, `host`; `mcp` with `tool`, `resource` or `prompt`, and `args`; `llm` with `model` or `tool`.
 * Besides: `time`, `session`, `connection`, `counters`, `data`, `approvals`.
 *
 * @throws GatewayError `config-invalid` for anything else
 */
export function questionOf(text: string): Question {
  const request = recordOf(parsed(text), "the request");
  const { identity, at, sql, http, mcp, llm, time, session, connection, counters, data, approvals, ...rest } = request;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw wrong(`a request has no \`${shown(unknown)}\``);
  if (identity === undefined) throw wrong("the request has no `identity`");
  if (at !== undefined && typeof at !== "string") throw wrong("`at` is the name of a connection");
  const actions = [
    ...(sql === undefined ? [] : [{ kind: "sql", text: textOf(sql, "sql") } as const]),
    ...(http === undefined ? [] : [httpOf(recordOf(http, "`http`"))]),
    ...(mcp === undefined ? [] : [selected("mcp", recordOf(mcp, "`mcp`"), ["tool", "resource", "prompt"])]),
    ...(llm === undefined ? [] : [selected("llm", recordOf(llm, "`llm`"), ["tool", "model"])]),
  ];
  const [action, second] = actions;
  if (!action || second) throw wrong("a request has one of `sql`, `http`, `mcp`, `llm`");
  const roots = { time, session, connection };
  const given = [
    ...Object.entries(roots).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${literal(value)}`])),
    ...assigned("counter", counters),
    ...assigned("data", data),
    ...(approvals === undefined ? [] : listOf(approvals)).map((rule) => `approval ${nameOf(rule)}`),
  ];
  return { as: typeof identity === "string" ? nameOf(identity) : literal(identity), action, at, given };
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw wrong("the request is no JSON");
  }
}

function httpOf({ method, path, ...record }: JsonRecord): Action {
  const word = method === undefined ? "GET" : textOf(method, "http.method").toUpperCase();
  if (!/^[A-Z]+$/.test(word)) throw wrong("`http.method` is no method");
  return { kind: "http", word, name: quoted(textOf(path, "http.path")), record: literal(record) };
}

function selected(kind: "mcp" | "llm", request: JsonRecord, words: readonly string[]): Action {
  const word = words.find((w) => request[w] !== undefined && request[w] !== null);
  if (word === undefined) throw wrong(`\`${kind}\` has one of ${words.map((w) => `\`${w}\``).join(", ")}`);
  const { [word]: name = null, args, ...others } = request;
  const record = kind === "mcp" ? (args ?? {}) : others;
  return { kind, word, name: quoted(textOf(name, `${kind}.${word}`)), record: literal(recordOf(record, "`args`")) };
}

const assigned = (kind: string, values: Json | undefined): readonly string[] =>
  Object.entries(values === undefined ? {} : recordOf(values, `\`${kind}\``)).map(
    ([name, value]) => `${kind} ${nameOf(name)} = ${literal(value)}`,
  );

/** Words of enums stand without quotes in the language. */
const enumWords: ReadonlySet<string> = new Set(["kind", "weekday"]);

/** Null is absence: such an entry is left out. */
function literal(value: Json): string {
  if (value === null) throw wrong("`null` cannot stand in a list");
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return decimal(value);
  if (isList(value)) return `[${value.map(literal).join(", ")}]`;
  const entries = Object.entries(value).filter(([, entry]) => entry !== null);
  return `{ ${entries.map(([key, entry]) => `${keyOf(key)}: ${isWord(key, entry) ? entry : literal(entry)}`).join(", ")} }`;
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
const isWord = (key: string, value: Json): value is string =>
  enumWords.has(key) && typeof value === "string" && /^[a-z]+$/.test(value);

function decimal(value: number): string {
  const text = String(value);
  if (!/^-?\d+(\.\d+)?$/.test(text)) throw wrong(`the number ${text} is too large or too small`);
  return text;
}

const keyOf = (key: string): string => (/^[A-Za-z_]\w*$/.test(key) ? key : quoted(key));

function nameOf(value: Json): string {
  if (typeof value === "string" && /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(value)) return value;
  throw wrong("fixtures, counters, data and rules are told by their names");
}

/** A text of the language that is read back as this one: no placeholder, no hidden character, no end before its end. */
export const quoted = (text: string): string =>
  `"${text.replaceAll(/["\\{]/g, "\\$&").replaceAll(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;

const textOf = (value: Json | undefined, what: string): string => {
  if (typeof value === "string") return value;
  throw wrong(`\`${what}\` is a text`);
};

function recordOf(value: Json, what: string): JsonRecord {
  if (typeof value === "object" && value !== null && !isList(value)) return value;
  throw wrong(`${what} is an object`);
}

function listOf(value: Json): readonly Json[] {
  if (isList(value)) return value;
  throw wrong("`approvals` is a list of rules");
}

const shown = (text: string): string => text.slice(0, 40).replaceAll(/[^ -~]/g, "?");

const wrong = (message: string): GatewayError =>
  new GatewayError("config-invalid", message, "docs/guide.md shows a request as JSON");
