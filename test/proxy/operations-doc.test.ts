import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../../proxy/config.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

test("the configuration in docs/operations.md is a good one", () => {
  const text = /```yaml\n([\s\S]*?)```/.exec(readFileSync("docs/operations.md", "utf8"))?.[1] ?? "";
  const folder = temporaryFolder();
  mkdirSync(join(folder, "certs"));
  writeFileSync(join(folder, "certs", "db-ca.pem"), "");
  const environment = { GW_MASK_KEY: "0123456789abcdef", GW_UPSTREAM_PASSWORD: "x" };
  const config = parseConfig(text, join(folder, "gw.yaml"), environment);
  assert.deepEqual(
    config.connections.map((c) => c.name),
    ["prod-pg"],
  );
});
