// The policies of policies/rego decide as their originals do.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { compileBundle } from "../../dsl/bundle.ts";
import { limits } from "../../engine/limits.ts";
import type { Relation } from "../../engine/model/catalog.ts";
import { decodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";
import type { Decision } from "../../engine/model/decision.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { kindOfVerb, type SqlAccess, sqlVerbs } from "../../engine/model/statement.ts";
import { readBundleFiles } from "../../proxy/policy-source.ts";
import { buildRego, skip } from "../support/opa.ts";
import { loadInProcess, nowMs, relation, sqlFacts, sqlRequest } from "./support.ts";

const ports = [
  { packageName: "larch.shop", entrypoint: "larch/shop/decision" },
  { packageName: "gw.std.guards", entrypoint: "gw/std/guards/decision" },
  { packageName: "gw.std.readonly", entrypoint: "gw/std/readonly/decision" },
  { packageName: "gw.std.tenants", entrypoint: "gw/std/tenants/decision" },
  { packageName: "gw.std.windows", entrypoint: "gw/std/windows/decision" },
  { packageName: "gw.std.breakglass", entrypoint: "gw/std/breakglass/decision" },
  { packageName: "gw.std.pii", entrypoint: "gw/std/pii/decision" },
  { packageName: "gw.std.http", entrypoint: "gw/std/http/decision" },
  { packageName: "gw.std.mcp", entrypoint: "gw/std/mcp/decision" },
] as const;

function readSnapshot(): readonly Relation[] {
  const catalog = decodeCatalogSnapshot(readFileSync("policies/demo/catalog.json", "utf8"));
  assert.ok(catalog.ok);
  const shared = relation("app.docs", ["id", "tenant", "title"], { "": ["tenant_scoped"] });
  return [...catalog.value.relations.values(), shared, shared];
}

const regoFiles = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync("policies/rego", { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(?:rego|json)$/.test(name))
      .map((name) => [name, readFileSync(`policies/rego/${name}`, "utf8")]),
  );

/** In the policy language they allow nothing by themselves; a Rego policy always answers. */
const guardRails: ReadonlySet<string> = new Set(["gw.std.guards", "gw.std.tenants", "gw.std.windows", "gw.std.pii"]);

const groups = [
  "all-tenants",
  "support-agents",
  "on-call",
  "payroll",
  "analysts",
  "restricted-readers",
  "break-glass",
  "migrations",
  "database-admins",
];

/** Requests near the rules: verbs, tables, groups and claims that some rule names, and a few that none does. */
function requests(relations: readonly Relation[]): fc.Arbitrary<PolicyRequest> {
  const access: fc.Arbitrary<SqlAccess> = fc
    .record({
      verb: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom("select", "update", "insert", "delete", "begin", "show") },
        fc.constantFrom(...sqlVerbs),
      ),
      relation: fc.option(fc.constantFrom(...relations), { nil: undefined, freq: 6 }),
      columns: fc.array(fc.nat(20), { maxLength: 4 }),
      hasWhere: fc.boolean(),
      whereAlwaysTrue: fc.boolean(),
    })
    .map(({ columns, relation, verb, ...rest }) => ({
      ...rest,
      verb,
      kind: kindOfVerb[verb],
      relation: ["update", "delete", "truncate", "insert"].includes(verb) ? (relation ?? relations[0]) : relation,
      columns: [...new Set(columns.flatMap((i) => relation?.columns[i % relation.columns.length]?.name ?? []))],
      via: [],
    }));
  return fc
    .record({
      accesses: fc.oneof({ weight: 3, arbitrary: fc.tuple(access) }, fc.array(access, { minLength: 1, maxLength: 3 })),
      who: fc.oneof(
        fc.constantFrom(
          { kind: "agent", groups: ["support-agents"] } as const,
          { kind: "human", groups: ["on-call", "payroll"] } as const,
          { kind: "human", groups: ["on-call"] } as const,
          { kind: "human", groups: ["analysts", "restricted-readers"] } as const,
          { kind: "human", groups: ["break-glass"] } as const,
        ),
        fc.record({
          kind: fc.constantFrom("agent", "human", "service"),
          groups: fc.subarray(groups, { maxLength: 3 }),
        }),
      ),
      region: fc.constantFrom("north", "south", "moon", "", undefined),
      tenant: fc.constantFrom("t1", undefined),
      isGuarded: fc.boolean(),
      weekday: fc.constantFrom("mon", "sat"),
      hour: fc.constantFrom(7, 8, 17, 18),
      mfa: fc.boolean(),
      purpose: fc.constantFrom("INC-7", undefined),
      connection: fc.constantFrom("larch-db", "larch-db", "larch-db", "other-db"),
      statements: fc.constantFrom(1, 1, 2),
      functions: fc.subarray(["lower", "pg_sleep", "public.dblink", "app.own", "set_config"], { maxLength: 2 }),
    })
    .map((r) =>
      sqlRequest({
        sql: sqlFacts(r.accesses, { statements: r.statements, functions: new Set(r.functions) }),
        identity: {
          sub: "someone",
          kind: r.who.kind,
          groups: new Set(r.who.groups),
          email: undefined,
          ip: "10.0.0.1",
          mfa: r.mfa,
          on_behalf_of: undefined,
          claims: {
            ...(r.region === undefined ? {} : { region: r.region }),
            ...(r.tenant === undefined ? {} : { tenant: r.tenant }),
          },
        },
        session: { id: "se_1", age: 0, purpose: r.purpose },
        connection: { name: r.connection, env: "prod", tags: new Set(r.isGuarded ? ["change-window"] : []) },
        time: { now: nowMs, hour: r.hour, minute: 0, weekday: r.weekday },
      }),
    );
}

const callers = fc.record({
  kind: fc.constantFrom("agent", "agent", "human", "service"),
  tags: fc.constantFrom(["agents"], ["agents", "core"], []),
  used: fc.constantFrom(0, 3, 119, 120, 500),
});
type Caller = typeof callers extends fc.Arbitrary<infer T> ? T : never;

/** Everything but what is asked for. Counters of the policy language, which Rego doesn't see, stay at 0. */
function around({ kind, tags, used }: Caller) {
  const { identity, session, time, approved } = sqlRequest();
  return {
    identity: { ...identity, kind },
    connection: { name: "api", env: "prod", tags: new Set(tags) },
    session,
    time,
    approved,
    counter: (name: string) => (name.endsWith("_rate") ? used : 0),
  } as const;
}

const httpRequests: fc.Arbitrary<PolicyRequest> = fc
  .record({
    caller: callers,
    method: fc.constantFrom("GET", "HEAD", "POST", "DELETE", "PATCH"),
    path: fc.constantFrom(
      ...[
        "/",
        "/admin",
        "/admin/users",
        "/administrator",
        "/v1/admin",
        "/v1/admin/x/y",
        "/v1/orders",
        "/internal/",
        "/x/admin",
      ],
    ),
    headers: fc.constantFrom<Record<string, string>>(
      {},
      { "x-http-method": "DELETE" },
      { "x-http-method-override": "" },
    ),
  })
  .map(({ caller, method, path, headers }) => ({
    ...around(caller),
    protocol: "http" as const,
    http: { method, host: "api.example", path, query: {}, headers, body: undefined, bodySize: 0 },
  }));

const mcpRequests: fc.Arbitrary<PolicyRequest> = fc
  .record({
    caller: callers,
    method: fc.constantFrom("tools/call", "tools/call", "tools/call", "tools/list", "initialize", "resources/read"),
    tool: fc.constantFrom(
      ...[
        "github.get_issue",
        "github.create_issue",
        "x.exec",
        "x.y.list_z",
        "web.search_all",
        "get_this",
        "a.merge_b",
        "a.shellx",
      ],
    ),
  })
  .map(({ caller, method, tool }) => ({
    ...around(caller),
    protocol: "mcp" as const,
    mcp: {
      server: "tools",
      method,
      tool: method === "tools/call" ? tool : undefined,
      resource: method === "resources/read" ? "file:///a" : undefined,
      prompt: undefined,
      args: {},
    },
  }));

/** Of tables with personal data, mostly, and often by agents. */
const piiRequests: fc.Arbitrary<PolicyRequest> = fc
  .record({
    request: requests(readSnapshot().filter((r) => r.columns.some((c) => c.tags instanceof Set && c.tags.has("pii")))),
    kind: fc.constantFrom("agent", "agent", "human"),
    owner: fc.constantFrom("nina", undefined),
    groups: fc.constantFrom(["secret-readers"], []),
  })
  .map(({ request, kind, owner, groups }) => ({
    ...request,
    identity: { ...request.identity, kind, on_behalf_of: owner, groups: new Set(groups) },
  }));

const requestsFor = (packageName: string): fc.Arbitrary<PolicyRequest> => {
  if (packageName === "gw.std.http") return httpRequests;
  if (packageName === "gw.std.mcp") return mcpRequests;
  if (packageName === "gw.std.pii") return piiRequests;
  return requests(readSnapshot());
};

async function original(packageName: string): Promise<PolicySet> {
  const everything = "package test.everything\n\nallow everything on sql\n";
  const files = new Map([...(await readBundleFiles("policies")), ["everything.policy", everything] as const]);
  const packages = guardRails.has(packageName) ? [packageName, "test.everything"] : [packageName];
  const bundle = compileBundle(files, { revision: "1", timeZone: "UTC", packages });
  assert.ok(bundle.policySet, JSON.stringify(bundle.diagnostics.slice(0, 3)));
  return bundle.policySet;
}

/** Whole decisions, in an order of their own where the order says nothing. */
function comparable(decision: Decision): unknown {
  const sorted = <K, V>(map: ReadonlyMap<K, V>): readonly (readonly [K, V])[] =>
    [...map].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  if (decision.effect === "deny") return decision;
  const { masks, filters, limits: bounds } = decision.obligations;
  const rules = decision.rules.filter(
    (rule) =>
      rule !== "test.everything.everything" && !/^gw[.]std[.](?:guards|tenants|windows|pii)[.]allow$/.test(rule),
  );
  return {
    ...decision,
    rules,
    obligations: {
      content: decision.obligations.content ?? [],
      masks: sorted(masks).map(([key, columns]) => [key, sorted(columns)]),
      filters: sorted(filters),
      limits: bounds,
    },
  };
}

for (const { packageName, entrypoint } of ports) {
  test(`${packageName} decides in Rego as it does in the policy language`, { skip }, async (t) => {
    const rego = loadInProcess(
      await buildRego(
        regoFiles(),
        ports.map((p) => p.entrypoint),
      ),
      entrypoint,
    ).set;
    const policy = await original(packageName);
    const seen = { allow: 0, deny: 0, approval: 0 };
    fc.assert(
      fc.property(requestsFor(packageName), (request) => {
        const wanted = policy.decide(request);
        seen[wanted.effect] += 1;
        assert.deepEqual(comparable(rego.decide(request)), comparable(wanted));
      }),
      { numRuns: 3_000 },
    );
    t.diagnostic(JSON.stringify(seen));
    assert.ok(Object.values(seen).filter((n) => n > 20).length >= 2, JSON.stringify(seen));
  });
}

test("the ports' data are those of the originals", () => {
  const data: unknown = JSON.parse(readFileSync("policies/rego/data.json", "utf8"));
  const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
  assert.deepEqual(data, {
    larch: { agent_regions: json("policies/demo/data/agent_regions.json") },
    gw: { change_freeze: json("policies/std/data/change_freeze.json") },
  });
  assert.ok(limits.regoJsonDepthMax > 3);
});
