// Section 6 of docs/language.md, case by case.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { factReaders } from "../../dsl/facts.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { Decision, RuleId } from "../../engine/model/decision.ts";
import { factSchema } from "../../engine/model/fact-schema.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { kindOfVerb, type SqlAccess, type SqlVerb } from "../../engine/model/statement.ts";
import { catalogText, testCatalog } from "../arbitraries/policy-rules.ts";

const catalog = testCatalog();

function load(text: string): PolicySet {
  const files = new Map([
    ["a.policy", `package a\n${text}`],
    ["catalog.json", catalogText],
  ]);
  const { policySet, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
  assert.ok(policySet, diagnostics.map((d) => d.message).join("; "));
  return policySet;
}

function access(verb: SqlVerb, table: string | undefined, columns?: readonly string[]): SqlAccess {
  const relation = table === undefined ? undefined : catalog.relations.get(table);
  if (table !== undefined && !relation) throw new Error(`no ${table}`);
  return {
    verb,
    kind: kindOfVerb[verb],
    relation,
    columns: columns ?? relation?.columns.map((c) => c.name) ?? [],
    hasWhere: true,
    whereAlwaysTrue: false,
    via: [],
  };
}

function request(accesses: readonly SqlAccess[], more: Partial<PolicyRequest> = {}): PolicyRequest {
  const base: PolicyRequest = {
    protocol: "sql",
    sql: {
      accesses,
      verb: accesses[0]?.verb ?? "unknown",
      statements: 1,
      tables: [],
      readTables: [],
      writeTables: [],
      columnsRead: [],
      columnsWritten: [],
      columnsReturned: [],
      functions: new Set(),
      hasLimit: false,
      limit: undefined,
      joins: 0,
      estimatedRows: 40,
      text: "",
      fingerprint: "0",
    },
    identity: {
      sub: "bot",
      kind: "agent",
      groups: new Set(["ops"]),
      email: undefined,
      ip: "10.0.0.1",
      mfa: true,
      on_behalf_of: undefined,
      claims: { tenant: "acme" },
    },
    connection: { name: "pg", env: "prod", tags: new Set() },
    session: { id: "s", age: 0, purpose: undefined },
    time: { now: 0, hour: 12, minute: 0, weekday: "wed" },
    counter: () => 0,
    approved: new Set(),
  };
  return { ...base, ...more } as PolicyRequest;
}

/** In one line: effect and the rules or causes. */
const shown = (d: Decision): string =>
  d.effect === "deny"
    ? `deny: ${d.causes.map((c) => `${c.kind} ${"rule" in c ? c.rule : c.kind === "uncovered" ? c.access : c.code}`).join(", ")}`
    : `${d.effect}: ${d.rules.join(", ")}`;

const unknown = new Unknown("not known");
const identityWith = (part: Partial<PolicyRequest["identity"]>): Partial<PolicyRequest> => ({
  identity: { ...request([]).identity, ...part },
});

/** What it shows, rules, request, decision. */
const cases: readonly (readonly [name: string, rules: string, request: PolicyRequest, decision: string])[] = [
  [
    "without an allow there is a deny",
    "",
    request([access("select", "public.orders")]),
    "deny: uncovered select public.orders",
  ],
  [
    "one access that no rule allows is enough",
    "allow o on sql read of public.orders",
    request([access("select", "public.orders"), access("select", "public.payroll")]),
    "deny: uncovered select public.payroll",
  ],
  [
    "an allow that can't be decided does not allow",
    "allow o on sql read when identity.mfa",
    request([access("select", "public.orders")], identityWith({ mfa: unknown })),
    "deny: uncovered select public.orders",
  ],
  [
    "a deny that can't be decided denies",
    'allow o on sql read deny d on sql when identity.mfa because "no"',
    request([access("select", "public.orders")], identityWith({ mfa: unknown })),
    "deny: rule-error a.d",
  ],
  [
    "a deny that is certainly false whatever is unknown stays silent",
    'allow o on sql read deny d on sql when identity.mfa and identity.kind == human because "no"',
    request([access("select", "public.orders")], identityWith({ mfa: unknown })),
    "allow: a.o",
  ],
  [
    "a mask that can't be decided denies",
    "allow o on sql read mask m of public.customers.email using hash when identity.mfa",
    request([access("select", "public.customers")], identityWith({ mfa: unknown })),
    "deny: rule-error a.m",
  ],
  [
    "a filter whose value is not known denies",
    "schema identity.claims: { tenant: string } allow o on sql read filter f of public.orders where row.tenant == identity.claims.tenant",
    request([access("select", "public.orders")], identityWith({ claims: {} })),
    "deny: rule-error a.f",
  ],
  [
    "columns of several allows add up",
    "allow x on sql read of public.customers(id) allow y on sql read of public.customers(email)",
    request([access("select", "public.customers", ["id", "email"])]),
    "allow: a.x, a.y",
  ],
  [
    "a column that no allow names is not covered",
    "allow x on sql read of public.customers(id)",
    request([access("select", "public.customers", ["id", "ssn"])]),
    "deny: uncovered select public.customers",
  ],
  [
    "an allow of columns covers count(*)",
    "allow x on sql read of public.customers(id)",
    request([access("select", "public.customers", [])]),
    "allow: a.x",
  ],
  [
    "an allow of columns covers no DELETE",
    "allow x on sql write of public.customers(id)",
    request([access("delete", "public.customers", [])]),
    "deny: uncovered delete public.customers",
  ],
  [
    "unknown tags match a deny",
    'allow o on sql read deny d on sql of tagged "secret" because "no"',
    request([access("select", "public.drafts")]),
    "deny: rule a.d",
  ],
  [
    "unknown tags don't match an allow",
    'allow o on sql read of tagged "public"',
    request([access("select", "public.drafts")]),
    "deny: uncovered select public.drafts",
  ],
  [
    "a tag of a touched column matches a deny",
    'allow o on sql read deny d on sql of tagged "pii" because "no"',
    request([access("select", "public.customers", ["email"])]),
    "deny: rule a.d",
  ],
  [
    "a tag of another column does not",
    'allow o on sql read deny d on sql of tagged "pii" because "no"',
    request([access("select", "public.customers", ["id"])]),
    "allow: a.o",
  ],
  [
    "reads of the system catalog are let through",
    "",
    request([access("select", "pg_catalog.pg_class")]),
    "allow: gw.builtin.catalog",
  ],
  [
    "a deny still sees reads of the system catalog",
    'deny d on sql of pg_catalog.* because "no"',
    request([access("select", "pg_catalog.pg_class")]),
    "deny: rule a.d",
  ],
  [
    "writes to the system catalog are not let through",
    "",
    request([access("update", "pg_catalog.pg_class")]),
    "deny: uncovered update pg_catalog.pg_class",
  ],
  [
    "what nobody understands needs an allow that says so",
    "allow o on sql read, write, ddl",
    request([access("unknown", undefined)]),
    "deny: uncovered unknown",
  ],
  [
    "a rule about tables stays out of BEGIN",
    'allow t on sql tcl deny d on sql when table.schema == "secret" because "no"',
    request([access("begin", undefined)]),
    "allow: a.t",
  ],
  [
    "a rule about tables concerns what nobody understands",
    'allow every on any deny d on sql when table.schema == "secret" because "no"',
    request([access("unknown", undefined)]),
    "deny: rule-error a.d",
  ],
  [
    "an approval waits",
    'allow o on sql write require approval p from group "dba" on sql write',
    request([access("update", "public.orders")]),
    "approval: a.p",
  ],
  [
    "a granted approval lets through",
    'allow o on sql write require approval p from group "dba" on sql write',
    request([access("update", "public.orders")], { approved: new Set(["a.p" as RuleId]) }),
    "allow: a.o",
  ],
  [
    "an approval is no allow",
    'require approval p from group "dba" on sql write',
    request([access("update", "public.orders")], { approved: new Set(["a.p" as RuleId]) }),
    "deny: uncovered update public.orders",
  ],
  [
    "deny beats approval",
    'allow o on sql require approval p on sql write deny d on sql write because "no"',
    request([access("update", "public.orders")]),
    "deny: rule a.d",
  ],
  [
    "a used-up rate denies",
    "allow o on sql limit r to 5 requests per 1m by identity.sub on sql",
    request([access("select", "public.orders")], { counter: () => 5 }),
    "deny: limit a.r",
  ],
  [
    "a rate that can't be read denies",
    "allow o on sql limit r to 5 requests per 1m by identity.sub on sql",
    request([access("select", "public.orders")], { counter: () => unknown }),
    "deny: rule-error a.r",
  ],
  [
    "a counter that can't be read denies",
    'counter n = count of sql read by identity.sub over 1h allow o on sql deny d on sql when n > 3 because "no"',
    request([access("select", "public.orders")], { counter: () => unknown }),
    "deny: rule-error a.d",
  ],
  [
    "a shadow rule does not deny",
    'allow o on sql @mode(shadow) deny d on sql because "no"',
    request([access("select", "public.orders")]),
    "allow: a.o",
  ],
  [
    "overflow is a rule error",
    'allow o on sql deny d on sql when sql.joins + 9_007_199_254_740_991 > 0 because "no"',
    request([access("select", "public.orders")], withJoins(2)),
    "deny: rule-error a.d",
  ],
  ["a statement without any access is denied", "allow o on any", request([]), "deny: unsupported no-access"],
  [
    "a mask of text, which SQL connections can't carry out, denies",
    'allow o on sql mask t of text "email" using redact',
    request([access("select", "public.orders")]),
    "deny: unsupported content-mask",
  ],
  [
    "rules of another connection take no part",
    'allow o on sql read at "dev-*"',
    request([access("select", "public.orders")]),
    "deny: uncovered select public.orders",
  ],
];

function withJoins(joins: number): Partial<PolicyRequest> {
  const base = request([access("select", "public.orders")]);
  return base.protocol === "sql" ? ({ sql: { ...base.sql, joins } } as Partial<PolicyRequest>) : {};
}

for (const [name, rules, r, decision] of cases) {
  test(name, () => assert.equal(shown(load(rules).decide(r)), decision));
}

test("a shadow deny is reported with its message", () => {
  const d = load(
    'allow o on sql @severity(high) @mode(shadow) deny d on sql because "{identity.sub} may not {sql.verb} {table}"',
  ).decide(request([access("select", "public.orders")]));
  assert.deepEqual(d.shadow, [
    { kind: "rule", rule: "a.d", message: "bot may not select public.orders", severity: "high" },
  ]);
});

test("the obligations of a decision are those of all matching rules together", () => {
  const d = load(`
    schema identity.claims: { tenant: string }
    allow o on sql read
    mask m1 of *.*.email using partial(keep_domain: true)
    mask m2 of tagged "pii" using hash(salt: "x")
    mask m3 of tagged "secret" using redact
    filter f1 of public.customers where row.tenant == identity.claims.tenant
    filter f2 of public.customers where row.id in [3, 1] or row.tenant is absent
    limit l1 to 500 rows on sql read
    limit l2 to 100 rows on sql read`).decide(request([access("select", "public.customers")]));
  assert.ok(d.effect === "allow", JSON.stringify(d));
  assert.deepEqual(d.obligations, {
    masks: new Map([
      [
        "public.customers",
        new Map([
          ["email", { mask: { kind: "hash", salt: "x" }, rules: ["a.m1", "a.m2"] }],
          ["ssn", { mask: { kind: "redact" }, rules: ["a.m2", "a.m3"] }],
        ]),
      ],
    ]),
    filters: new Map([
      [
        "public.customers",
        {
          predicate: {
            kind: "and",
            parts: [
              { kind: "compare", column: "tenant", op: "=", value: { type: "string", value: "acme" } },
              {
                kind: "or",
                parts: [
                  {
                    kind: "in",
                    column: "id",
                    values: [
                      { type: "int", value: 1 },
                      { type: "int", value: 3 },
                    ],
                  },
                  { kind: "is-null", column: "tenant" },
                ],
              },
            ],
          },
          rules: ["a.f1", "a.f2"],
        },
      ],
    ]),
    limits: [{ rule: "a.l2", unit: "rows", max: 100, window: undefined }],
  });
});

test("a part of a filter without SQL form is an error even where no catalog knows the column", () => {
  for (const where of [
    "row.a + 1 == 2",
    'row.a contains "x"',
    "count(row.a) > 1",
    "any g in identity.groups: row.t == g",
  ]) {
    const files = new Map([["a.policy", `package a filter f of public.t where ${where}`]]);
    const { diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
    assert.deepEqual(
      diagnostics.map((d) => d.code),
      ["E0501"],
      where,
    );
  }
});

test("alerts see the decision and don't change it", () => {
  const d = load('alert t to "#sec" on sql when decision.effect == deny and identity.kind == agent').decide(
    request([access("select", "public.orders")]),
  );
  assert.equal(shown(d), "deny: uncovered select public.orders");
  assert.deepEqual(
    d.alerts.map((a) => [a.rule, a.channel]),
    [["a.t", "#sec"]],
  );
});

test("the default's text is that of the package, with the caller's facts in it", () => {
  const d = load('default deny because "{identity.kind}s may not"').decide(
    request([access("select", "public.orders")]),
  );
  assert.deepEqual(d.effect === "deny" && d.causes, [
    { kind: "uncovered", access: "select public.orders", message: "agents may not" },
  ]);
});

test("a counter is told what a request adds to it, and under which key", () => {
  const { counters } = load(`
    counter n = count of sql read of public.orders by identity.sub over 1h
    counter rows = sum of sql.estimated_rows on sql read by session.id over 5m`);
  const read = request([access("select", "public.orders")]);
  assert.deepEqual(
    counters.map((c) => [
      c.name,
      c.protocol,
      c.windowMs,
      c.contribution(read),
      c.contribution(request([access("delete", "public.orders")])),
    ]),
    [
      ["a.n", "sql", 3_600_000, { key: "bot", amount: 1 }, undefined],
      ["a.rows", "sql", 300_000, { key: "s", amount: 40 }, undefined],
    ],
  );
});

test("a counter of the largest or of different things is told amounts and items, and what nobody could tell", () => {
  const { counters } = load(`
    counter largest = max of sql.estimated_rows on sql read by identity.sub over 1h
    counter tables = distinct of table on sql read by identity.sub over 1h
    counter functions = distinct of sql.functions on sql by identity.sub over 1h
    counter sizes = distinct of sql.estimated_rows on sql by identity.sub over 1h`);
  const two = request([access("select", "public.orders"), access("select", "public.customers")]);
  assert.deepEqual(
    counters.map((c) => [c.name, c.measure, c.contribution(two)]),
    [
      ["a.largest", "max", { key: "bot", amount: 40 }],
      ["a.tables", "distinct", { key: "bot", amount: 0, items: ['["public","orders"]', '["public","customers"]'] }],
      ["a.functions", "distinct", { key: "bot", amount: 0, items: [] }],
      ["a.sizes", "distinct", { key: "bot", amount: 0, items: ["40"] }],
    ],
  );
  if (two.protocol !== "sql") return;
  const dark: PolicyRequest = { ...two, sql: { ...two.sql, estimatedRows: new Unknown("dark") } };
  assert.deepEqual(
    counters.map((c) => c.contribution(dark)?.amount),
    [Number.POSITIVE_INFINITY, 0, 0, 2],
  );
});

test("every fact of the schema can be read, and no other", () => {
  for (const [root, { fields, scope }] of Object.entries(factSchema)) {
    if (scope === "type" || root === "table") continue;
    assert.deepEqual(Object.keys(factReaders[root] ?? {}).sort(), Object.keys(fields).sort(), root);
  }
});

test("a policy set knows which costly facts it needs", () => {
  assert.deepEqual(load("allow o on sql").needs, { estimatedRows: false, parameters: false, body: false });
  assert.equal(load("allow o on sql when (sql.estimated_rows ?? 0) < 10").needs.estimatedRows, true);
});

test("the hash of a bundle is that of its content", () => {
  const [a, b, c] = [load("allow o on sql"), load("allow o on sql"), load("allow p on sql")];
  assert.match(a.hash, /^sha256:[0-9a-f]{64}$/);
  assert.equal(a.hash, b.hash);
  assert.notEqual(a.hash, c.hash);
});
