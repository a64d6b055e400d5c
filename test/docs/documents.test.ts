// The documentation says what is so: links lead somewhere, tables equal the code, examples are policies, commands exist.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { exitCodes } from "../../cli/exit-codes.ts";
import { main } from "../../cli/main.ts";
import { snapshotAnalyzer } from "../../cli/snapshot-analyzer.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import { runTests } from "../../dsl/testing/run.ts";
import { captured } from "../support/terminal.ts";

const documents = globSync(["*.md", "docs/**/*.md"]).sort();
const read = (path: string): string => readFileSync(path, "utf8");

test("links lead to files and headings that are there", () => {
  const anchorsOf = (path: string): ReadonlySet<string> =>
    new Set(
      [...read(path).matchAll(/^#+ (.+)$/gm)].map((m) =>
        (m[1] ?? "")
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
          .replaceAll(" ", "-"),
      ),
    );
  const broken: string[] = [];
  for (const document of documents) {
    for (const match of withoutFences(read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      const [path = "", anchor] = (match[1] ?? "").split("#");
      if (/^[a-z]+:/.test(path)) continue;
      const target = path === "" ? document : join(dirname(document), path);
      if (!existsSync(target)) broken.push(`${document}: ${path}`);
      else if (anchor !== undefined && !anchorsOf(target).has(anchor)) broken.push(`${document}: ${path}#${anchor}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("docs/dependencies.md lists the packages of package.json with their versions and licences", () => {
  const manifest: Record<string, Record<string, string>> = JSON.parse(read("package.json"));
  const declared = ["dependencies", "optionalDependencies", "devDependencies"]
    .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
    .map(([name, version]) => `${name} ${version}`)
    .sort();
  const rows = [
    ...read("docs/dependencies.md").matchAll(/^\| (\S+) \| (\d\S*) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm),
  ];
  assert.deepEqual(rows.map((row) => `${row[1]} ${row[2]}`).sort(), declared);
  const wrong = rows.flatMap(([, name, , licence]) => {
    const path = `node_modules/${name}/package.json`;
    if (!existsSync(path)) return []; // of another platform
    const stated: { readonly license?: string } = JSON.parse(read(path));
    return stated.license === licence ? [] : [`${name}: ${stated.license}, not ${licence}`];
  });
  assert.deepEqual(wrong, []);
});

const options = { revision: "docs", timeZone: "UTC" };

for (const document of ["README.md", "docs/guide.md", "docs/http.md", "docs/mcp.md", "docs/model.md"]) {
  test(`policy examples in ${document} compile, and their tests pass`, () => {
    const examples = [...read(document).matchAll(/^```policy\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "");
    assert.ok(examples.length > 0);
    for (const example of examples) {
      // The tables of the examples are those of the demo.
      const text = example.replace(/^(package .*)$/m, '$1\n\ncatalog "shop-db" from "./catalog.json"');
      const files = new Map([
        [document.replace(".md", ".policy"), text],
        ["catalog.json", read("policies/demo/catalog.json")],
        ["docs/catalog.json", read("policies/demo/catalog.json")],
      ]);
      const { checked, diagnostics } = compileBundle(files, options);
      assert.deepEqual(
        diagnostics.map((d) => `${d.code} ${d.message}`),
        [],
      );
      const report = runTests(checked, { analyzeSql: snapshotAnalyzer(checked.catalogs), nowMs: () => 0 });
      assert.deepEqual(
        report.results.flatMap((r) => r.problems.map((p) => `${r.title}: ${p.diagnostic.message}`)),
        [],
      );
    }
  });
}

test("every gw command that the documentation names is there, with the flags it is shown with", async () => {
  const named = new Map<string, Set<string>>();
  for (const document of documents.filter(
    (path) => !path.startsWith("docs/decisions") && !path.startsWith("docs/errors"),
  )) {
    for (const match of read(document).matchAll(
      /(?:^|`|\| |&& )gw (audit hold [a-z]+|[a-z]+(?: [a-z]+)?)([^\n`|]*)/gm,
    )) {
      const flags = [...(match[2] ?? "").matchAll(/ (--[a-z-]+)/g)].map((flag) => flag[1] ?? "");
      const words = match[1] ?? "";
      named.set(words, new Set([...(named.get(words) ?? []), ...flags]));
    }
  }
  assert.ok(named.size > 10, [...named.keys()].join(", "));
  const wrong: string[] = [];
  for (const [words, flags] of named) {
    const terminal = captured();
    const code = await main([...words.split(" "), "--help"], terminal);
    const help = terminal.text();
    if (code !== 0 || !help.startsWith(`Usage: gw ${words}`)) {
      // `gw demo prints …` in a sentence: the first word alone must be a command.
      const first = captured();
      const [command = ""] = words.split(" ");
      if ((await main([command, "--help"], first)) !== 0 || !first.text().startsWith(`Usage: gw ${command}`))
        wrong.push(`gw ${words}`);
      else for (const flag of flags) if (!first.text().includes(flag)) wrong.push(`gw ${command} ${flag}`);
      continue;
    }
    for (const flag of flags) if (!help.includes(flag)) wrong.push(`gw ${words} ${flag}`);
  }
  assert.deepEqual(wrong, []);
});

test("the guide's table of exit codes is the program's", () => {
  const rows = [...read("docs/guide.md").matchAll(/^\| (\d+) \| /gm)].map((row) => Number(row[1]));
  assert.deepEqual(rows, Object.values(exitCodes));
});

test("every package of the starter library has a page, and the list of pages names it", () => {
  const packages = globSync("policies/std/*.policy")
    .filter((path) => !path.endsWith(".test.policy"))
    .map((path) => path.replace(/^.*\/(.+)\.policy$/, "$1"))
    .filter((name) => name !== "testbed") // helps the tests of the others, and is for no bundle
    .sort();
  const list = read("docs/policies/README.md");
  assert.deepEqual(
    packages.filter(
      (name) => !existsSync(`docs/policies/${name}.md`) || !list.includes(`[gw.std.${name}](${name}.md)`),
    ),
    [],
  );
});

const withoutFences = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, "").replaceAll(/`[^`\n]*`/g, "");
