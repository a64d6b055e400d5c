import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { diagnose } from "../../dsl/diagnostic.ts";
import { renderDiagnostic, renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { LineMap } from "../../dsl/source.ts";

const path = "a.policy";
const text = "package a\n\nallow x on sql\n\tdeny\n";
const sources = new Sources([[path, text]]);
const at = (word: string, from = text) => ({ start: from.indexOf(word), end: from.indexOf(word) + word.length });

test("shows the place with a caret for each column, and lines of two places in their order", () => {
  const diagnostic = diagnose({
    code: "E0105",
    path,
    span: at("sql"),
    message: "`x` is wrong",
    label: "here",
    related: [{ path, span: at("package"), label: "because of this" }],
    notes: ["two\nlines"],
    help: ["mend it"],
  });
  assert.equal(
    renderDiagnostic(diagnostic, sources),
    `error[E0105]: \`x\` is wrong
 --> a.policy:3:12
  |
1 | package a
  | ------- because of this
  |
3 | allow x on sql
  |            ^^^ here
  = note: two
          lines
  = help: mend it`,
  );
});

test("keeps tabs, so that carets stand under their words", () => {
  const rendered = renderDiagnostic(diagnose({ code: "P0013", path, span: at("deny"), message: "no" }), sources);
  assert.ok(rendered.endsWith("4 | \tdeny\n  | \t^^^^"), rendered);
});

test("names places in other files in a note, and a file without a text without a frame", () => {
  const related = [{ path: "b.policy", span: { start: 0, end: 1 }, label: "first defined here" }];
  const both = new Sources([
    [path, text],
    ["b.policy", "x"],
  ]);
  assert.match(
    renderDiagnostic(diagnose({ code: "E0105", path, span: at("sql"), message: "twice", related }), both),
    /= note: first defined here: b\.policy:1:1$/,
  );
  const unknown = diagnose({ code: "E0403", path: "gone.policy", span: at("sql"), message: "gone" });
  assert.equal(renderDiagnostic(unknown, sources), "error[E0403]: gone\n --> gone.policy");
});

test("cuts a long line around its place, and lets nothing through that moves the cursor", () => {
  const long = `package a\nlet x = [${"1, ".repeat(5_000)}\u001b[31m\u202e bad]`;
  const rendered = renderDiagnostic(
    diagnose({ code: "P0013", path, span: at("bad", long), message: "no" }),
    new Sources([[path, long]]),
  );
  const lines = rendered.split("\n");
  assert.ok(
    lines.every((line) => line.length < 140),
    rendered,
  );
  assert.doesNotMatch(rendered, /[\u001b\u202e]/);
  const [shown, carets] = lines.slice(-2);
  assert.equal(carets?.indexOf("^^^"), shown?.indexOf("bad"));
});

test("colours only what the palette colours", () => {
  const mark = (name: string) => (part: string) => `<${name}>${part}</${name}>`;
  const palette = { error: mark("e"), warning: mark("w"), gutter: mark("g"), headline: mark("h"), hint: mark("i") };
  const rendered = renderDiagnostic(
    diagnose({ code: "L0301", severity: "warning", path, span: at("sql"), message: "odd", help: ["look"] }),
    sources,
    palette,
  );
  assert.match(rendered, /^<w>warning\[L0301\]<\/w><h>: odd<\/h>\n/);
  assert.match(rendered, /<i>help:<\/i> look$/);
});

const one = diagnose({
  code: "E0102",
  path,
  span: at("sql"),
  message: "50% wrong: a, b",
  label: "here",
  help: ["mend\nit"],
});

test("counts errors and warnings at the end of a report", () => {
  const warning = diagnose({ ...one, severity: "warning" });
  assert.match(renderDiagnostics([one, one, warning], sources), /\n\n2 errors, 1 warning$/);
  assert.equal(renderDiagnostics([], sources), "");
});

test("writes JSON with lines and columns", () => {
  const [written] = JSON.parse(renderDiagnostics([one], sources, "json")) as { region: unknown; code: string }[];
  assert.equal(written?.code, "E0102");
  assert.deepEqual(written?.region, { startLine: 3, startColumn: 12, endLine: 3, endColumn: 15 });
});

test("writes SARIF 2.1.0", () => {
  const sarif = JSON.parse(renderDiagnostics([one], sources, "sarif")) as {
    version: string;
    runs: { results: { ruleId: string; level: string; locations: unknown[] }[] }[];
  };
  assert.equal(sarif.version, "2.1.0");
  const [result] = sarif.runs[0]?.results ?? [];
  assert.equal(result?.ruleId, "E0102");
  assert.equal(result?.level, "error");
  assert.deepEqual(result?.locations, [
    {
      physicalLocation: {
        artifactLocation: { uri: path },
        region: { startLine: 3, startColumn: 12, endLine: 3, endColumn: 15 },
      },
    },
  ]);
});

test("writes workflow commands that a message cannot break out of", () => {
  assert.equal(
    renderDiagnostics([one], sources, "github"),
    "::error file=a.policy,line=3,endLine=3,col=12,endColumn=15,title=E0102::50%25 wrong: a, b%0Ahelp: mend%0Ait",
  );
});

test("a place survives the way to line and column and back", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "\n", "é", "😀") }), fc.nat(), (source, n) => {
      const lines = new LineMap(source);
      const offset = n % (source.length + 1);
      assert.equal(lines.offsetOf(lines.positionOf(offset)), offset);
    }),
  );
});
