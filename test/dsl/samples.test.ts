// The three samples of docs/language.md section 10 do what their own tests say, however they are run.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { roleSection, tableSection } from "../../dsl/document.ts";
import { explainDecision } from "../../dsl/explain.ts";
import { indexReport } from "../../dsl/index-report.ts";
import { interpretProgram } from "../../dsl/interpret.ts";
import { type AnalyzeSql, prepare } from "../../dsl/testing/given.ts";
import { runTests } from "../../dsl/testing/run.ts";
import { evaluate } from "../../engine/evaluate.ts";
import { analyzeSql } from "../../engine/sql/analyze.ts";

const folder = new URL("./samples", import.meta.url).pathname;
const files = new Map(
  globSync(`${folder}/**/*.{policy,json}`).map((path) => [relative(folder, path), readFileSync(path, "utf8")]),
);
const bundle = compileBundle(files, { revision: "1", timeZone: "UTC" });
const { checked, policySet } = bundle;

const analyze: AnalyzeSql = (sql, connection) => {
  const catalog = checked.catalogs.get(connection);
  if (!catalog) return { code: "no-catalog", message: "no catalog" };
  const context = {
    catalog,
    searchPath: ["public"],
    user: "gw",
    parameterTypes: [],
    allowedFunctions: new Set<string>(),
    temporary: new Map(),
  };
  const result = analyzeSql(sql, context);
  return result.ok ? result.value.map((s) => s.facts) : result.error;
};

test("the samples check without a diagnostic", () => {
  assert.deepEqual(bundle.diagnostics, []);
});

test("every test of the samples passes", () => {
  const report = runTests(checked, { analyzeSql: analyze, nowMs: () => 0 });
  const failed = report.results.filter((r) => r.problems.length > 0);
  assert.deepEqual(
    failed.map((r) => [r.title, r.row, r.problems.map((p) => p.diagnostic.message)]),
    [],
  );
  assert.ok(report.passed > 35);
});

test("every request of the samples' tests is decided alike by the compiled and the interpreted rules", () => {
  let compared = 0;
  for (const row of checked.tests.flatMap((t) => t.rows)) {
    const { requests } = prepare(checked, row.givens, analyze);
    for (const request of requests) {
      assert.deepEqual(policySet?.decide(request), evaluate(interpretProgram(checked), request));
      compared += 1;
    }
  }
  assert.ok(compared > 35);
});

test("an explanation names what allowed each access and the rule that came closest", () => {
  const row = checked.tests.find((t) => t.title === "one table that is not allowed is enough to deny the join")
    ?.rows[0];
  const [request] = row ? prepare(checked, row.givens, analyze).requests : [];
  assert.ok(request);
  const explanation = explainDecision(checked, request);
  assert.equal(explanation.decision.effect, "deny");
  assert.deepEqual(
    explanation.accesses.map((a) => [a.access, a.allowedBy, a.closest?.rule, a.closest?.outOfScope]),
    [
      ["select public.orders", ["acme.postgres.pii.agents_read_sales"], undefined, undefined],
      ["select public.payroll", [], "acme.postgres.pii.agents_read_sales", "public.payroll is not in this list"],
    ],
  );
  assert.deepEqual(
    explanation.accesses[1]?.closest?.conditions.map((c) => [c.word, c.text, c.truth, c.facts]),
    [
      ["when", "is_agent", "true", ["identity.kind = agent"]],
      ["and", 'identity.groups contains "sales-agents"', "true", ["identity.groups = sales-agents"]],
    ],
  );
});

test("an explanation finds the smallest change that turns the decision", () => {
  const row = checked.tests.find((t) => t.title === "writes need a WHERE that limits them")?.rows[0];
  const [request] = row ? prepare(checked, row.givens, analyze).requests : [];
  assert.ok(request);
  const denied = { ...request, identity: { ...request.identity, mfa: false } };
  assert.deepEqual(explainDecision(checked, denied).change, { what: ["identity.mfa = true"], effect: "allow" });
});

test("the index says which key finds a rule, or why it is scanned", () => {
  const rows = new Map(indexReport(checked).map((row) => [row.rule as string, row.guard ?? row.scanned]));
  assert.equal(
    rows.get("acme.postgres.pii.agents_read_sales"),
    "identity.kind = agent · identity.groups = sales-agents",
  );
  assert.equal(rows.get("acme.postgres.pii.unbounded_write"), "condition is an alternative");
  assert.equal(rows.get("acme.postgres.pii.session_chatter"), "has no condition");
});

test("the page of a bundle says what each role is given and which rules are about a table", () => {
  const roles = roleSection(checked);
  assert.ok(
    roles.includes("| group ops, kind human | ops_update_orders (sql update, select · public.orders) | – |"),
    roles,
  );
  assert.match(roles, /\n\| kind agent \|.*\| .*no_agent_ddl \(deny\).*\|\n/);
  const tables = tableSection(checked);
  assert.match(tables, /\n\| public\.payroll \| – \| .*unbounded_write.* \| – \| write_during_night \|\n/);
});
