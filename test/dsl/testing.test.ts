// The runner of policy tests: what fails, what warns, and what is said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import type { Checked } from "../../dsl/checked.ts";
import { diffBundles } from "../../dsl/testing/diff.ts";
import type { AnalyzeSql } from "../../dsl/testing/given.ts";
import { runMutants } from "../../dsl/testing/mutate.ts";
import { runProperties } from "../../dsl/testing/property.ts";
import { runTests, type TestReport } from "../../dsl/testing/run.ts";
import { analyzeSql } from "../../engine/sql/analyze.ts";

const catalog = JSON.stringify({
  gatewright: "catalog/1",
  database: "shop",
  schemas: {
    public: {
      relations: {
        orders: {
          columns: [
            { name: "id", type: "integer" },
            { name: "tenant", type: "text" },
          ],
        },
        documents: {
          columns: [
            { name: "id", type: "integer" },
            { name: "meta", type: "jsonb" },
          ],
        },
        customers: {
          columns: [
            { name: "id", type: "integer" },
            { name: "email", type: "text", tags: ["pii"] },
          ],
        },
      },
    },
  },
});

function load(text: string): Checked {
  const files = new Map([
    ["a.policy", `package a\ncatalog "pg" from "./catalog.json"\n${text}`],
    ["catalog.json", catalog],
  ]);
  const { checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
  assert.deepEqual(
    diagnostics.filter((d) => d.severity === "error").map((d) => d.message),
    [],
  );
  return checked;
}

const analyzerOf =
  (checked: Checked): AnalyzeSql =>
  (sql, connection) => {
    const known = checked.catalogs.get(connection);
    if (!known) return { code: "no-catalog", message: `no catalog of ${connection}` };
    const result = analyzeSql(sql, {
      catalog: known,
      searchPath: ["public"],
      user: "gw",
      parameterTypes: [],
      allowedFunctions: new Set(),
      temporary: new Map(),
    });
    return result.ok ? result.value.map((s) => s.facts) : result.error;
  };

const run = (text: string): TestReport => {
  const checked = load(text);
  return runTests(checked, { analyzeSql: analyzerOf(checked), nowMs: () => 0 });
};

const failures = (report: TestReport): readonly string[] =>
  report.results.flatMap((r) =>
    r.problems.map((p) => `${p.diagnostic.code} ${p.diagnostic.message}; ${p.diagnostic.label ?? ""}`),
  );

const rules = `
default deny because "no rule of a allows this"
schema identity.claims: { tenant: string }
allow agents_read on sql read of public.orders, public.customers when identity.kind == agent
mask email of public.customers.email using hash when identity.kind == agent
filter own of public.orders where row.tenant == identity.claims.tenant
limit page to 100 rows on sql read
deny no_write on sql write when identity.kind == agent because "{identity.sub} may not {sql.verb} {table}"
alert told to "#x" on sql when decision.effect == deny
`;
const bot = 'given identity { sub: "bot", kind: agent, claims: { tenant: "acme" } }';

test("a test passes when decision, cause and obligations are as expected", () => {
  const report = run(`${rules}
test "reads" {
  ${bot}
  given sql "select o.id, c.email from orders o join customers c on c.id = o.id" at "pg"
  expect allow by agents_read
  expect mask public.customers.email using hash
  expect not mask public.orders.id
  expect filter public.orders as "\\"tenant\\" = 'acme'"
  expect limit page
  expect not alert
}
test "writes" {
  ${bot}
  given sql "delete from orders where id = 1" at "pg"
  expect deny by no_write because "bot may not delete public.orders"
  expect alert told
}`);
  assert.deepEqual(failures(report), []);
  assert.equal(report.passed, 2);
});

test("a test that fails shows what was expected and what came", () => {
  const report = run(`${rules}
test "reads" {
  ${bot}
  given sql "select email from customers" at "pg"
  expect deny
  expect mask public.customers.email using redact
}`);
  assert.deepEqual(failures(report), [
    "T0101 expected deny; got allow by a.agents_read",
    "T0101 expected mask public.customers.email using redact; got mask public.customers.email using hash by a.email",
  ]);
});

test("reading a fact that the test did not give fails the test", () => {
  const report = run(`${rules}
test "reads" {
  given identity { sub: "bot", kind: agent }
  given sql "select id from orders" at "pg"
  expect allow
}`);
  assert.ok(
    failures(report).includes(
      "T0301 the rule `own` read `identity.claims.tenant`, which this test does not give; no `claims` here",
    ),
  );
});

test("a fact that is given as absent is known", () => {
  const report = run(`
allow p on sql when session.purpose is absent
test "absent" {
  given session { purpose: absent }
  given sql "select id from orders" at "pg"
  expect allow by p
}`);
  assert.deepEqual(failures(report), []);
});

test("a bare deny that only the default meets warns", () => {
  const report = run(`${rules}
test "reads" {
  given identity { sub: "sam", kind: human, claims: { tenant: "acme" } }
  given sql "update orders set id = 1 where id = 2" at "pg"
  expect deny
}`);
  assert.deepEqual(failures(report), []);
  assert.deepEqual(
    report.results.flatMap((r) => r.warnings.map((w) => [w.code, ...w.notes])),
    [
      [
        "L0201",
        "`no_write` is in scope for this request but did not fire: `identity.kind == agent` is false (identity.kind = human)",
      ],
    ],
  );
});

test("a misspelt statement fails its test instead of passing as a deny", () => {
  const report = run(`${rules}
test "typo" { ${bot} given sql "select id from ordrs" at "pg" expect deny }`);
  assert.equal(report.failed, 1);
  assert.match(failures(report)[0] ?? "", /^T0302 /);
});

test("each row of a case table is a result of its own", () => {
  const report = run(`${rules}
test "rows" {
  cases
    | q                                  | want  |
    | "select id from orders"            | allow |
    | "delete from orders where id = 1"  | allow |
  ${bot}
  given sql q at "pg"
  expect want
}`);
  assert.deepEqual(
    report.results.map((r) => [r.row, r.problems.length]),
    [
      ['1: "select id from orders" | allow', 0],
      ['2: "delete from orders where id = 1" | allow', 1],
    ],
  );
});

test("coverage tells fired, reached and never, and which outcomes a condition had", () => {
  const report = run(`${rules}
allow never on http
test "reads" { ${bot} given sql "select id from orders" at "pg" expect allow }`);
  const states = Object.fromEntries(report.coverage.rules.map((r) => [r.rule, r.state]));
  assert.deepEqual(states, {
    "a.agents_read": "fired",
    "a.email": "never",
    "a.never": "never",
    "a.no_write": "never",
    "a.own": "fired",
    "a.page": "fired",
    "a.told": "reached",
  });
  const [read] = report.coverage.rules;
  assert.deepEqual(
    read?.conditions.map((c) => [c.text, c.sawTrue, c.sawFalse]),
    [["identity.kind == agent", true, false]],
  );
});

test("a property that does not hold is shown as the smallest test", () => {
  const checked = load(`
allow ops on sql update, select of public.orders when identity.groups contains "ops" and identity.mfa
property "agents never write" {
  forall who: identity where who.kind == agent
  forall q: sql where q.kind == write
  given identity who
  given sql q at "pg"
  expect deny
}`);
  const [result] = runProperties(checked, { analyzeSql: analyzerOf(checked), seed: 7 });
  assert.equal(result?.outcome, "failed");
  assert.match(
    result?.counterexample?.test ?? "",
    /^test "agents never write: regression 1" \{\n {2}given identity \{ sub: "a", kind: agent, groups: \["ops"\], mfa: true \}\n {2}given sql "update public\.orders .*" at "pg"\n {2}expect deny\n\}$/,
  );
});

test("a property that holds says over how many cases", () => {
  const checked = load(`
allow ops on sql update, select of public.orders when identity.kind == human
property "agents never write" {
  forall who: identity where who.kind == agent
  forall q: sql where q.kind == write
  given identity who
  given sql q at "pg"
  expect deny
}`);
  const [result] = runProperties(checked, { analyzeSql: analyzerOf(checked), seed: 7 });
  assert.equal(result?.outcome, "held");
  assert.ok((result?.cases ?? 0) > 20);
});

test("mutants that no test notices are listed", () => {
  const checked = load(`
allow r on sql read of public.orders when identity.kind == agent
test "reads" { given identity { kind: agent } given sql "select id from orders" at "pg" expect allow }`);
  const mutants = runMutants(checked, { analyzeSql: analyzerOf(checked), nowMs: () => 0 });
  assert.deepEqual(
    mutants.map((m) => [m.what, m.isNoticed]),
    [
      ["without the rule", true],
      ["without `when identity.kind == agent`", false],
      ["with `when identity.kind == agent` negated", true],
    ],
  );
});

test("a difference that permits more is found, with a witness", () => {
  const before = load(
    'allow r on sql read of public.orders when identity.kind == human and identity.groups contains "ops"',
  );
  const after = load('allow r on sql read of public.orders when identity.groups contains "ops"');
  const diff = diffBundles(before, after, { analyzeSql: analyzerOf(before), seed: 1, cases: 500 });
  assert.equal(diff.isWidened, true);
  assert.equal(diff.differences[0]?.what, "deny → allow");
  assert.match(diff.differences[0]?.witness ?? "", /given sql "select .* from public\.orders/);
  assert.deepEqual(
    diffBundles(before, before, { analyzeSql: analyzerOf(before), seed: 1, cases: 500 }).differences,
    [],
  );
});

test("what is expected of answers is compared: masks of json and text, filters of items", () => {
  const report = run(`
    allow items on http GET "/v1/items"
    allow tools on mcp tool "*"
    mask iban of json "$.items[*].iban" using partial(last: 4) on http
    mask keys of text "api_key", "jwt" using redact on mcp
    filter own of json "$.items" where item.owner as string == identity.sub and (item.size as int) < 5 on http
    fixture bot: identity = { sub: "bot", kind: agent }
    test "met" {
      given identity bot
      given http GET "/v1/items" at "api"
      expect allow by items
      expect mask json "$.items[*].iban" using partial(last: 4)
      expect not mask json "$.items"
      expect not mask text "jwt"
      expect filter json "$.items" as "(item -> 'owner')::string = 'bot' AND (item -> 'size')::int < 5"
    }
    test "missed" {
      given identity bot
      given mcp tool "crm.get" at "tools"
      expect mask text "jwt" using hash
      expect not mask text "api_key"
      expect filter json "$.items"
    }`);
  assert.deepEqual(
    report.results.flatMap((r) => r.problems.map((p) => [r.title, p.expected, p.actual])),
    [
      ["missed", 'mask text "jwt" using hash', 'mask text "jwt" using redact by a.keys'],
      ["missed", 'not mask text "api_key"', 'mask text "api_key" using redact by a.keys'],
      ["missed", 'filter json "$.items"', 'no filter of json "$.items"'],
    ],
  );
});

test("a filter of rows looks into jsonb, and its condition is shown as it is asked", () => {
  const report = run(`
    allow read on sql read of public.documents
    filter own of public.documents where (row.meta.owner.name as string) == identity.sub
    filter open of public.documents where row.meta["tags"] is present and not (row.meta.hidden as bool)
    test "t" {
      given identity { sub: "bot", kind: agent }
      given sql "select id from documents" at "pg"
      expect filter public.documents as "other"
    }`);
  assert.deepEqual(
    report.results.map((r) => r.problems.map((p) => p.actual)),
    [
      [
        `filter as ${JSON.stringify(
          `("meta" -> 'tags' IS NOT NULL AND NOT (("meta" -> 'hidden')::bool = true)) AND ("meta" -> 'owner' -> 'name')::string = 'bot'`,
        )}`,
      ],
    ],
  );
});

test("coverage says which tables no test asks for", () => {
  const { coverage } = run(`
    allow read on sql read of public.orders
    test "t" {
      given identity { sub: "bot", kind: agent }
      given sql "select id from orders" at "pg"
      expect allow
    }`);
  assert.deepEqual(
    coverage.tables.map((t) => [t.connection, t.table, t.isTested]),
    [
      ["pg", "public.customers", false],
      ["pg", "public.documents", false],
      ["pg", "public.orders", true],
    ],
  );
});
