// Generated functions, closures and the interpreter decide alike, and no text of a policy reaches a generated source.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { compile, readBundle } from "../../cli/read-bundle.ts";
import { snapshotAnalyzer } from "../../cli/snapshot-analyzer.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import type { Checked } from "../../dsl/checked.ts";
import { Frame } from "../../dsl/compile.ts";
import { compileProgram } from "../../dsl/compile-program.ts";
import { generateCode, isClosed } from "../../dsl/generate-code.ts";
import { interpretProgram } from "../../dsl/interpret.ts";
import { prepare } from "../../dsl/testing/given.ts";
import { evaluate } from "../../engine/evaluate.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { anyRules, filesOf, testCatalog } from "../arbitraries/policy-rules.ts";
import { protocolWorlds } from "../arbitraries/protocol-rules.ts";
import { anySqlRequest, knowLess } from "../arbitraries/request.ts";
import { shopCatalog } from "../dsl/shop-catalog.ts";
import { languageDocument } from "../dsl/write-language-tables.ts";

const runs = { numRuns: Number(process.env.GW_RUNS ?? 200) };
const options = { revision: "1", timeZone: "UTC" };
const root = join(import.meta.dirname, "../..");

function sameDecisions(checked: Checked, requests: readonly PolicyRequest[]): void {
  const programs = [compileProgram(checked), compileProgram(checked, "closures")];
  const naive = interpretProgram(checked);
  for (const request of requests) {
    const expected = evaluate(naive, request);
    for (const program of programs) assert.deepEqual(evaluate(program, request), expected);
  }
}

function sourcesOf(checked: Checked): readonly string[] {
  return checked.rules.flatMap((rule) => generateCode(rule.clauses, new Frame(checked.data))?.source ?? []);
}

test("generated functions decide as closures and the interpreter do, whatever is known", () => {
  const sql = { rules: anyRules, request: anySqlRequest(testCatalog()) };
  const anyCase = fc.oneof(
    ...[sql, sql, ...protocolWorlds].map(({ rules, request }) =>
      fc.tuple(rules, fc.array(request, { minLength: 1, maxLength: 5 })),
    ),
  );
  fc.assert(
    fc.property(anyCase, fc.func(fc.boolean()), ([rules, some], isHidden) => {
      const { checked } = compileBundle(filesOf(rules), options);
      sameDecisions(checked, [...some, ...some.map((r) => knowLess(r, (name) => isHidden(name)))]);
    }),
    runs,
  );
});

/** Every request of every test, with the data that the test gives. @returns how many requests there were. */
function sameInTests(checked: Checked): number {
  const analyzeSql = snapshotAnalyzer(checked.catalogs);
  let count = 0;
  for (const { rows } of checked.tests) {
    for (const row of rows) {
      const { requests, data } = prepare(checked, row.givens, analyzeSql);
      const given = new Map(checked.data);
      for (const [id, value] of data) {
        const known = checked.data.get(id);
        if (known) given.set(id, { ...known, value });
      }
      sameDecisions({ ...checked, data: given }, requests);
      count += requests.length;
    }
  }
  return count;
}

test("generated functions decide the tests of policies/ as closures and the interpreter do", async () => {
  for (const path of ["policies", "policies/std"]) {
    const { checked } = compile(await readBundle(join(root, path)));
    assert.ok(sameInTests(checked) > 50);
  }
});

test("generated functions decide the language document's examples and samples as closures and the interpreter do", () => {
  const blocks = [...readFileSync(languageDocument, "utf8").matchAll(/```policy\n([\s\S]*?)```/g)];
  let count = 0;
  for (const [, block = ""] of blocks) {
    const catalog = 'package shop.catalog\n\ncatalog "prod-pg" from "./prod-pg.json"\n';
    const files = new Map([
      ["example.policy", block],
      ["prod-pg.json", shopCatalog],
      ...(block.includes("\ncatalog ") ? [] : [["catalog.policy", catalog] as const]),
    ]);
    count += sameInTests(compileBundle(files, options).checked);
  }
  const folder = join(root, "test/dsl/samples");
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((p) => /\.(policy|json)$/.test(p));
  const samples = new Map(paths.map((path) => [path, readFileSync(join(folder, path), "utf8")]));
  count += sameInTests(compileBundle(samples, options).checked);
  assert.ok(count > 50, `${count} requests`);
});

const hostile = [
  "'; process.exit(1); //",
  '\\"; throw 1; //',
  "`); throw 1; (`",
  ["$", "{process.exit(1)}"].join(""),
  "__proto__",
  "constructor",
  "\u2028throw 1\u2029",
  "*/ throw 1 /*",
  "\\u0022",
  "k0",
  "]; throw 1; [",
];

/** As a literal of the language: `{` and `}` would be a placeholder. Line separators stand in it as they are. */
const literal = (text: string): string => JSON.stringify(text).replaceAll("{", "\\{").replaceAll("}", "\\}");

const hostileRules = (text: string): readonly string[] => [
  `allow a on sql read when identity.sub == ${literal(text)} and identity.groups contains ${literal(text)}\n`,
  `deny b on sql when not (identity.sub in [${literal(text)}, "olga"]) because ${literal(text)}\n`,
  `deny c on sql when session.purpose is present and session.purpose in [${literal(text)}, "x"] because "no"\n`,
  `deny d on sql when any g in identity.groups: g == ${literal(text)} because "no"\n`,
  `deny e on sql when identity.sub endswith ${literal(text)} because "no"\n`,
];

test("hostile texts are constants: they stand in no source, and change none", () => {
  const bundleOf = (text: string): Checked => {
    const files = filesOf(hostileRules(text));
    const { checked, diagnostics } = compileBundle(files, options);
    assert.deepEqual(
      diagnostics.filter((d) => d.severity === "error").map((d) => d.message),
      [],
    );
    return checked;
  };
  const plain = sourcesOf(bundleOf("plain"));
  assert.equal(plain.length, 5);
  const [request] = fc.sample(anySqlRequest(testCatalog()), { numRuns: 1, seed: 1 });
  assert.ok(request);
  for (const text of hostile) {
    const checked = bundleOf(text);
    assert.deepEqual(sourcesOf(checked), plain);
    const identity = { ...request.identity, sub: text, groups: new Set([text]) };
    sameDecisions(checked, [request, { ...request, identity }]);
  }
});

test("names of rules, lets, functions, variables and claims stand in no source", () => {
  const names = ["process", "require", "__proto__", "constructor", "arguments", "eval", "toString"];
  let accepted = 0;
  for (const name of names) {
    const of = (n: string): string =>
      `package gen.x\nschema identity.claims: { ${n}: string }\nlet l_${n} = identity.claims.${n} == "a"\nfunc f_${n}(${n}: string): bool = ${n} == "b"\n` +
      `deny ${n} on sql\n  let ${n} = identity.sub\n  when l_${n} or f_${n}(${n}) or (any x_${n} in identity.groups: f_${n}(x_${n}))\n  because "no"\n`;
    const result = (n: string) => compileBundle(new Map([["x.policy", of(n)]]), options);
    const errors = result(name).diagnostics.filter((d) => d.severity === "error");
    if (errors.length > 0) continue; // The language refuses the name, which is as good.
    accepted += 1;
    assert.deepEqual(sourcesOf(result(name).checked), sourcesOf(result("innocent").checked));
  }
  assert.ok(accepted >= 4, `${accepted}`);
});

test("every generated source consists of the generator's own words", () => {
  fc.assert(
    fc.property(anyRules, (rules) => {
      for (const source of sourcesOf(compileBundle(filesOf(rules), options).checked))
        assert.ok(isClosed(source), source);
    }),
    runs,
  );
  for (const bad of [
    "process.exit()",
    "return `x`",
    'return "x"',
    "return 'x'",
    "k[0]\u2028",
    "a\\b",
    "eval(k)",
    "import(k)",
  ])
    assert.ok(!isClosed(bad), bad);
});

test("rules that differ only in literals share one source", () => {
  const rules = Array.from(
    { length: 20 },
    (_, i) => `allow r${i} on sql read when identity.sub == "u${i}" and sql.joins < ${i + 1}\n`,
  );
  assert.equal(new Set(sourcesOf(compileBundle(filesOf(rules), options).checked)).size, 1);
});

test("a condition that is too long runs as closures", () => {
  const long = Array.from({ length: 2_000 }, (_, i) => `identity.sub != "u${i}"`).join(" and ");
  const { checked, diagnostics } = compileBundle(filesOf([`allow a on sql read when ${long}\n`]), options);
  assert.deepEqual(
    diagnostics.filter((d) => d.severity === "error").map((d) => d.message),
    [],
  );
  assert.deepEqual(sourcesOf(checked), []);
  sameDecisions(checked, fc.sample(anySqlRequest(testCatalog()), { numRuns: 5, seed: 2 }));
});

test("where the runtime refuses to compile texts, closures decide", () => {
  const script = `
    import { compileBundle } from ${JSON.stringify(join(root, "dsl/bundle.ts"))};
    const { policySet } = compileBundle(new Map([["a.policy", 'package a\\nallow x on http when identity.sub == "bot"\\n']]), { revision: "1", timeZone: "UTC" });
    let refused = false;
    try { new Function("return 1") } catch { refused = true }
    const request = { protocol: "http", http: { method: "GET", path: "/" }, identity: { sub: "bot", groups: new Set() }, connection: { name: "c" }, session: {}, time: {}, counter: () => 0, approved: new Set() };
    console.log(JSON.stringify([refused, policySet.decide(request).effect]));
  `;
  const flags = ["--disallow-code-generation-from-strings", "--input-type=module", "--eval", script];
  assert.equal(execFileSync(process.execPath, flags, { encoding: "utf8" }).trim(), '[true,"allow"]');
});

test("a variable of a rule is forgotten between two requests", () => {
  const text =
    'deny a on sql\n  let who = identity.sub\n  when who == "bot" or (any g in identity.groups: g == who)\n  because "no"\n';
  const { checked } = compileBundle(filesOf([text]), options);
  const [request] = fc.sample(anySqlRequest(testCatalog()), { numRuns: 1, seed: 3 });
  assert.ok(request);
  const as = (sub: string): PolicyRequest => ({
    ...request,
    identity: { ...request.identity, sub, groups: new Set() },
  });
  sameDecisions(checked, ["bot", "olga", "bot"].map(as));
});
