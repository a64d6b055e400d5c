// The configurations of docs/mcp.md and docs/model.md are configurations, and docs/error-codes.md has every code.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parseConfig } from "../../proxy/config.ts";

const postgres = `
  - { name: shop-db, kind: postgres, listen: 127.0.0.1:0, upstream: { host: h, database: d, user: u } }
`;

for (const document of ["docs/mcp.md", "docs/model.md"]) {
  test(`the configurations in ${document} are read`, () => {
    const examples = [...readFileSync(document, "utf8").matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((m) => m[1] ?? "");
    assert.ok(examples.length > 0);
    for (const example of examples) {
      const head = `
policies: { path: policies }
recording: { directory: recording }
identity: { issuers: [{ issuer: i, audience: a, jwks_url: "http://127.0.0.1/x" }] }
`;
      const secrets = { GW_MASK_KEY: "0123456789abcdef", CRM_TOKEN: "t", ANTHROPIC_API_KEY: "k" };
      const config = parseConfig(head + example + postgres, "/tmp/gw.yaml", secrets);
      assert.equal(config.http.length + (config.stdio?.length ?? 0), 1);
    }
  });
}

test("docs/error-codes.md has the codes of MCP messages and requests to models, no more and no fewer", () => {
  const text = readFileSync("docs/error-codes.md", "utf8");
  const section = text.slice(text.indexOf("## MCP messages")).split("\n## ")[0] ?? "";
  const listed = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map((row) => row[1] ?? "").sort();
  const sources = globSync("{engine,proxy}/{mcp,llm}/**/*.ts").concat("cli/compose-mcp.ts");
  const used = sources.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/"((?:mcp|llm)-[a-z-]+|mask-unsupported)"/g)].map((m) => m[1] ?? ""),
  );
  const others = new Set([
    "mcp-server-failed",
    "mcp-sessions-unavailable",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-stdio",
    "mcp-answer-unasked",
    "mcp-stream-ended",
  ]);
  assert.deepEqual(listed, [...new Set(used)].filter((code) => !others.has(code)).sort());
});
