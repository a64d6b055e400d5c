// The documentation says what is so: links lead somewhere, tables equal the code, examples are policies, commands exist.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { exitCodes } from "../../cli/exit-codes.ts";
import { parsePolicy } from "../../dsl/parser.ts";

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

test("policy examples are policies", () => {
  const wrong = documents.flatMap((document) =>
    [...read(document).matchAll(/^```policy\n([\s\S]*?)^```$/gm)].flatMap((match) =>
      parsePolicy(document, match[1] ?? "").diagnostics.map((d) => `${document}: ${d.code} ${d.message}`),
    ),
  );
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
