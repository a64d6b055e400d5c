import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../../proxy/config.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const environment = { GW_STORE_PASSWORD: "x", GW_HOOK_SECRET: "x", GW_SLACK_URL: "https://hooks.slack.com/services/x" };

for (const [document, connections] of [
  ["docs/identity.md", ["prod-pg"]],
  ["docs/approvals.md", ["prod-pg"]],
  ["docs/secrets.md", ["orders", "billing", "prod-pg"]],
] as const) {
  test(`the configuration in ${document} is a good one`, () => {
    const text = /```yaml\n([\s\S]*?)```/.exec(readFileSync(document, "utf8"))?.[1] ?? "";
    const folder = temporaryFolder();
    mkdirSync(join(folder, "policies"));
    for (const file of ["revoked", "vault-secret-id", "olga-password"]) writeFileSync(join(folder, file), "");
    const config = parseConfig(text, join(folder, "gw.yaml"), environment);
    assert.deepEqual(
      config.connections.map(({ name }) => name),
      connections,
    );
  });
}

const wrong: readonly (readonly [document: string, edit: (text: string) => string, message: RegExp])[] = [
  ["docs/identity.md", (t) => t.replace('prod-pg: "urn', 'prd-pg: "urn'), /there is no connection `prd-pg`/],
  [
    "docs/identity.md",
    (t) => t.replace("login: { issuer: https://id.", "login: { issuer: https://other."),
    /none of `identity.issuers`/,
  ],
  ["docs/approvals.md", (t) => t.replace("origin: https:", "origin: http:"), /over https only/],
  ["docs/approvals.md", (t) => t.replace("  # file:", "  file: x.sqlite #"), /either in a `file` or in `postgres`/],
  ["docs/approvals.md", (t) => t.replace("review_within", "review_witin"), /did you mean `review_within`/],
  ["docs/secrets.md", (t) => t.replace("https://vault", "http://vault"), /by https only/],
  ["docs/secrets.md", (t) => t.replace(/vault:\n.*\n.*\n/, ""), /this secret lies in Vault/],
  [
    "docs/secrets.md",
    (t) => t.replace("group: ops,", "group: ops, sub: x,"),
    /one of `group`, `sub`, `kind`, `everyone: true`/,
  ],
  [
    "docs/secrets.md",
    (t) => t.replace("role: app_writer", "role: app_writer, user: x"),
    /either a `role`, or a `user`/,
  ],
  ["docs/secrets.md", (t) => t.replace("role: app_writer", "role: none"), /`none` is no role/],
  ["docs/secrets.md", (t) => t.replace("command: [aws", "file: x\n        command: [aws"), /a secret is one of/],
];
for (const [document, edit, message] of wrong) {
  test(`a mistake in the configuration of ${document} is named: ${message.source}`, () => {
    const text = /```yaml\n([\s\S]*?)```/.exec(readFileSync(document, "utf8"))?.[1] ?? "";
    assert.notEqual(edit(text), text);
    const folder = temporaryFolder();
    for (const file of ["revoked", "vault-secret-id", "olga-password"]) writeFileSync(join(folder, file), "");
    assert.throws(() => parseConfig(edit(text), join(folder, "gw.yaml"), environment), message);
  });
}
