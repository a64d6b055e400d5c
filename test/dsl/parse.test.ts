import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { PolicyParser } from "../../dsl/cst.ts";
import { formatPolicy } from "../../dsl/format.ts";
import { parseExpression, parsePolicy } from "../../dsl/parser.ts";
import { limits } from "../../engine/limits.ts";

const samples = join(import.meta.dirname, "../corpus/policies");

test("the grammar is LL(2) without ambiguities or left recursion", () => {
  assert.doesNotThrow(() => new PolicyParser(true));
});

for (const name of globSync("*.policy", { cwd: samples }).sort()) {
  test(`reads and formats the sample ${name} without a complaint`, () => {
    const text = readFileSync(join(samples, name), "utf8");
    assert.deepEqual(parsePolicy(name, text).diagnostics, []);
    const once = formatPolicy(name, text);
    assert.ok(once.ok);
    assert.deepEqual(formatPolicy(name, once.value), once);
    for (const comment of text.matchAll(/^ *(##? .*)$/gm)) assert.ok(once.value.includes(comment[1] ?? ""), comment[0]);
  });
}

/** What `let x = <text>` reads as, in a form that shows the grouping. */
const grouping = (text: string): string => {
  const { expr, diagnostics } = parseExpression("a.policy", text);
  assert.deepEqual(diagnostics, []);
  return JSON.stringify(expr, (key, value: unknown) => (key === "span" || key === "opSpan" ? undefined : value));
};

const samePairs: readonly (readonly [string, string])[] = [
  ["a + b ?? 0", "a + (b ?? 0)"],
  ["a ?? b ?? c", "a ?? (b ?? c)"],
  ["a - b - c", "(a - b) - c"],
  ["a + b * c", "a + (b * c)"],
  ["-a ?? b", "(-a) ?? b"],
  ["-x as int", "-(x as int)"],
  ["not a in b", "not (a in b)"],
  ["a in 1 .. 2 + 3", "a in (1 .. (2 + 3))"],
  ["any x in xs: x == 1 and a", "any x in xs: (x == 1 and a)"],
  ["a.b[c].d(e).f", "((((a.b)[c]).d)(e)).f"],
];
for (const [written, meant] of samePairs) {
  test(`\`${written}\` means \`${meant}\``, () => assert.equal(grouping(written), grouping(meant)));
}

test("words that matter in one position stay usable as names", () => {
  const text = `package a
func f(data: int, limit: int, test: string, present: bool): bool = data > limit and test == "x" and present
allow type on sql of public.filter, catalog.data(limit, from)
  let package = sql.limit
  when http.method == "GET" and row.where == package and time.in == 3
test "t" {
  given identity { from: 1, to: 2, count: 3 }
  expect limit limit
}
`;
  assert.deepEqual(parsePolicy("a.policy", text).diagnostics, []);
});

test("a placeholder may hold texts that hold placeholders", () => {
  const { file, diagnostics } = parsePolicy(
    "a.policy",
    'package a\ndeny x on http because "got {http.headers["x-{name}"] ?? "none \\{"} !"\n',
  );
  assert.deepEqual(diagnostics, []);
  const [rule] = file.decls;
  assert.equal(rule?.kind, "rule");
  if (rule?.kind !== "rule") return;
  assert.deepEqual(
    rule.because?.parts.map((part) => (part.kind === "text" ? part.value : part.expr.kind)),
    ["got ", "coalesce", " !"],
  );
});

test("patterns are never interpolated", () => {
  const { file, diagnostics } = parsePolicy(
    "a.policy",
    'package a\nallow x on http GET "/v1/{id:int}/[a-z]{2}" at "{x"\n',
  );
  assert.deepEqual(diagnostics, []);
  const [rule] = file.decls;
  assert.ok(rule?.kind === "rule" && rule.target?.kind === "http");
  assert.equal(rule.target.routes[0]?.raw, "/v1/{id:int}/[a-z]{2}");
  assert.equal(rule.at[0]?.raw, "{x");
});

test("documentation is the `##` lines right above a declaration", () => {
  const text =
    "package a\n\n## a heading\n\n## one\n## two\n@severity(high)\ndeny x on any ## not this\nallow y on any\n";
  const { file } = parsePolicy("a.policy", text);
  assert.deepEqual(
    file.decls.map((decl) => decl.doc),
    ["one\ntwo", undefined],
  );
});

test("a `let` at the start of a line ends the rule above it, an indented one belongs to it", () => {
  const { file } = parsePolicy("a.policy", "package a\nallow x on any\n  let a = 1\nlet b = 2\n");
  assert.deepEqual(
    file.decls.map((decl) => decl.kind),
    ["rule", "let"],
  );
});

test("what is made of parts reaches from bracket to bracket", () => {
  const texts = [
    "(a) and (b)",
    "(a or b) == (c)",
    "not (a)",
    "(a).b",
    "(a as string) is absent",
    "(a) as int",
    "1 + (2)",
    "- (1)",
    "f(a)[(b)]",
  ];
  for (const text of texts) {
    const whole = `package a\nlet x = ${text}\nlet y = 1\n`;
    const [decl] = parsePolicy("a.policy", whole).file.decls;
    const value = decl?.kind === "let" ? decl.value : undefined;
    assert.equal(whole.slice(value?.span.start, value?.span.end), text);
  }
});

const hostile: readonly (readonly [string, string, string])[] = [
  ["a file of 10 MB", "a".repeat(10_000_000), "P0016"],
  ["a file of 400,000 characters that take three bytes each", "€".repeat(400_000), "P0016"],
  ["more words than a file may have", "a ".repeat(limits.policyTokensMax + 1), "P0017"],
  ["5,000 nested parentheses", `let x = ${"(".repeat(5_000)}1${")".repeat(5_000)}`, "P0018"],
  ["5,000 nested lists", `let x = ${"[".repeat(5_000)}1${"]".repeat(5_000)}`, "P0018"],
  ["100,000 times `not`", `let x = ${"not ".repeat(100_000)}a`, "P0018"],
  ["100,000 minus signs", `let x = ${"-".repeat(100_000)}a`, "P0018"],
  ["a sum of 90,000 terms", `let x = a${"+a".repeat(90_000)}`, "P0018"],
  ["a path of 90,000 fields", `let x = a${".a".repeat(90_000)}`, "P0018"],
  ["90,000 times `??`", `let x = a${"??a".repeat(90_000)}`, "P0018"],
  ["20,000 nested conditions", `let x = ${"if a then b else ".repeat(20_000)}c`, "P0018"],
  ["20,000 nested quantifiers", `let x = ${"any a in b: ".repeat(20_000)}c`, "P0018"],
  ["90,000 nested types", `type x = ${"set<".repeat(90_000)}int`, "P0018"],
  ["100,000 declarations that break off", "allow ".repeat(100_000), "P0011"],
  ["100,000 closing brackets", ") ".repeat(100_000), "P0015"],
  ["60,000 unclosed placeholders", `let x = ${'"{" '.repeat(60_000)}`, "P0009"],
  ["300,000 nested quotes and braces", `let x = ${'"{'.repeat(300_000)}`, "P0017"],
  ["300,000 hidden characters", "\u202e".repeat(300_000), "E0003"],
];
/** Counting coverage makes the parser ten times as slow. */
const soonUs = process.env.NODE_V8_COVERAGE === undefined ? 5_000_000 : 50_000_000;
for (const [what, text, code] of hostile) {
  test(`answers ${what} with ${code}, soon`, () => {
    const started = process.cpuUsage();
    const { diagnostics } = parsePolicy("a.policy", `package a\n${text}\n`);
    const spent = process.cpuUsage(started);
    assert.equal(diagnostics[0]?.code, code);
    assert.ok(diagnostics.length <= limits.policyDiagnosticsMax + 1, `${diagnostics.length} diagnostics`);
    assert.ok(spent.user < soonUs, `${spent.user} µs`);
  });
}

const nests: readonly (readonly [string, string])[] = [
  ["[", "]"],
  ["{a: ", "}"],
  ["not (", ")"],
  ["f(", ")"],
  ["(1 + ", ")"],
];
test("what nests as deep as the limit allows is read, checked and formatted", () => {
  const depth = limits.policyNestingMax - 2;
  for (const [open, close] of nests) {
    const text = `package a\n\nlet x = ${open.repeat(depth)}1${close.repeat(depth)}\n`;
    assert.doesNotMatch(JSON.stringify(parsePolicy("a.policy", text).diagnostics), /P0018/);
    compileBundle(new Map([["a.policy", text]]), { revision: "1", timeZone: "UTC" });
    assert.ok(formatPolicy("a.policy", text).ok);
  }
});

test("reads 100,000 words on one line", () => {
  assert.deepEqual(parsePolicy("a.policy", `package a\nlet x = [${"1,".repeat(50_000)}1]\n`).diagnostics, []);
});
