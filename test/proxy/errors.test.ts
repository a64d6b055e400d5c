import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { faultCodes } from "../../proxy/errors.ts";

test("docs/error-codes.md lists the gateway's codes and what they mean, no more and no fewer", () => {
  const text = readFileSync("docs/error-codes.md", "utf8");
  const section = text.slice(text.indexOf("## The gateway"), text.indexOf("## Statements"));
  const rows = [...section.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(([, code, meaning]) => [code, meaning]);
  assert.deepEqual(rows, Object.entries(faultCodes));
});

test("every code of the gateway is used somewhere", () => {
  const sources = globSync("{proxy,cli}/**/*.ts").filter((path) => path !== "proxy/errors.ts");
  const text = sources.map((path) => readFileSync(path, "utf8")).join("\n");
  assert.deepEqual(
    Object.keys(faultCodes).filter((code) => !text.includes(`"${code}"`)),
    [],
  );
});
