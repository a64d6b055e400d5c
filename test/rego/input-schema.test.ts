import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Unknown } from "../../engine/lib/truth.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { regoFaultCodes } from "../../engine/rego/fault.ts";
import { hostBuiltins, sdkBuiltins } from "../../engine/rego/host-builtins.ts";
import { inputOf } from "../../engine/rego/input.ts";
import { inputSchema } from "../../engine/rego/input-schema.ts";
import { access, customers, sqlFacts, sqlRequest } from "./support.ts";

const allNeeds = { estimatedRows: true, parameters: true, body: true };
const schema = inputSchema();

/** The keywords that our schema uses, and no others. Gives the places that don't fit. */
function misfits(value: unknown, part: unknown, at: string): readonly string[] {
  if (typeof part !== "object" || part === null) return [`${at}: no schema`];
  const get = (key: string): unknown => Reflect.get(part, key);
  const ref = get("$ref");
  if (typeof ref === "string") {
    const target: unknown = ref
      .split("/")
      .slice(1)
      .reduce<unknown>((node, key) => Reflect.get(Object(node), key), schema);
    return misfits(value, target, at);
  }
  const constant = get("const");
  if (constant !== undefined && value !== constant) return [`${at}: not ${String(constant)}`];
  const values = get("enum");
  if (Array.isArray(values) && !values.includes(value)) return [`${at}: not of the list`];
  const type = get("type");
  const actual = Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (typeof type === "string" && type !== actual) return [`${at}: ${actual}, not ${type}`];
  if (Array.isArray(value)) return value.flatMap((item, i) => misfits(item, get("items"), `${at}[${i}]`));
  if (actual !== "object" || type !== "object") return [];
  const properties = Object(get("properties"));
  const required: unknown = get("required");
  const missing = Array.isArray(required) ? required.filter((key) => !Object.hasOwn(Object(value), key)) : [];
  return [
    ...missing.map((key) => `${at}.${key}: missing`),
    ...Object.entries(Object(value)).flatMap(([key, inner]) => {
      if (Object.hasOwn(properties, key)) return misfits(inner, Reflect.get(properties, key), `${at}.${key}`);
      const others = get("additionalProperties");
      return typeof others === "object" ? misfits(inner, others, `${at}.${key}`) : [`${at}.${key}: not in the schema`];
    }),
  ];
}

const common = (): Omit<PolicyRequest, "protocol" | "sql"> => {
  const { identity, connection, session, time, counter, approved } = sqlRequest();
  return { identity, connection, session, time, counter, approved };
};

const requests: readonly PolicyRequest[] = [
  sqlRequest(),
  sqlRequest({
    identity: { ...sqlRequest().identity, email: "a@b.test" },
    session: { id: "x", age: 1, purpose: "INC-1" },
  }),
  sqlRequest({
    sql: sqlFacts([access(), access({ verb: "begin", kind: "tcl", relation: undefined, columns: [] })], {
      estimatedRows: 10,
      limit: 5,
      functions: new Set(["lower"]),
      columnsWritten: [{ relation: customers, column: "email" }],
    }),
  }),
  sqlRequest({
    sql: sqlFacts(
      [access({ relation: { ...customers, tags: new Unknown("no snapshot") }, whereAlwaysTrue: new Unknown("x") })],
      {
        limit: new Unknown("a parameter"),
      },
    ),
  }),
  {
    ...common(),
    protocol: "http",
    http: {
      method: "GET",
      host: "api.test",
      path: "/v1/users",
      query: { q: "1" },
      headers: { accept: "*/*" },
      body: { a: [1, null] },
      bodySize: 12,
    },
  },
  {
    ...common(),
    protocol: "mcp",
    mcp: {
      server: "git",
      method: "tools/call",
      tool: "push",
      resource: undefined,
      prompt: undefined,
      args: { force: true },
    },
  },
  {
    ...common(),
    protocol: "llm",
    llm: {
      provider: "p",
      model: "m",
      tools: new Set(["a"]),
      toolUse: undefined,
      inputTokens: 10,
      maxTokens: new Unknown("not given"),
    },
  },
];

test("every input fits the schema that `gw schema input` prints", () => {
  for (const request of requests) assert.deepEqual(misfits(inputOf(request, allNeeds).json, schema, "input"), []);
});

test("the schema has a place for every fact of the language", () => {
  assert.deepEqual(misfits({ ...inputOf(sqlRequest(), allNeeds).json, secret: 1 }, schema, "input"), [
    "input.secret: not in the schema",
  ]);
});

test("an unknown fact is left out and listed; a WHERE that can't be told is given as always true", () => {
  const [, , , request] = requests;
  assert.ok(request);
  const { json, unknown } = inputOf(request, { estimatedRows: false, parameters: false, body: false });
  assert.deepEqual(
    unknown.map(({ fact, of, isGiven }) => [fact, of, isGiven]),
    [
      ["table.tags", "public.customers", false],
      ["column.tags", "public.customers.id", false],
      ["column.tags", "public.customers.name", false],
      ["column.tags", "public.customers.email", false],
      ["column.tags", "public.customers.region", false],
      ["sql.where_always_true", "public.customers", true],
      ["sql.limit", undefined, false],
    ],
  );
  assert.partialDeepStrictEqual(json, { sql: { accesses: [{ where_always_true: true }] } });
});

test("docs/rego.md names every code and every built-in function", () => {
  const text = readFileSync("docs/rego.md", "utf8");
  const names = [...Object.keys(regoFaultCodes), ...Object.keys(hostBuiltins(() => 0)), ...sdkBuiltins];
  assert.deepEqual(
    names.filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
});

test("an HTTP request has its operation where the connection has a document, and none where it hasn't", () => {
  const http = { method: "GET", host: "h", path: "/", query: {}, headers: {}, body: undefined, bodySize: 0 };
  const operationOf = (operation: string | undefined): unknown => {
    const { json } = inputOf({ ...common(), protocol: "http", http: { ...http, operation } }, allNeeds);
    assert.deepEqual(misfits(json, schema, "input"), []);
    return Object(json.http).operation;
  };
  assert.deepEqual(["getAccount", undefined].map(operationOf), ["getAccount", undefined]);
});
