// Policies that ask a connection for what its adapter can't do are not loaded: nothing is started.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startGateway } from "../../cli/compose.ts";
import { readConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

test("gw serve does not start with a limit that its connection cannot enforce, and names both", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "policies"));
  writeFileSync(
    join(folder, "policies", "a.policy"),
    'package a\nallow all on sql read\nlimit l to 1MB bytes on sql read at "test-*"\n',
  );
  writeFileSync(join(folder, "password"), "not used");
  const configPath = join(folder, "gw.yaml");
  writeFileSync(
    configPath,
    `
policies: { path: policies }
recording: { directory: recording }
identity:
  issuers:
    - { issuer: "https://idp.test", audience: gatewright, jwks_url: "https://idp.test/jwks", algorithms: [EdDSA] }
connections:
  - name: test-pg
    kind: postgres
    listen: 127.0.0.1:0
    tls: { required: false }
    upstream: { host: 127.0.0.1, port: 1, database: x, user: x, password: { file: password }, sslmode: disable }
`,
  );
  await assert.rejects(
    async () => startGateway(await readConfig(configPath, {})),
    (error: unknown) => {
      assert.ok(error instanceof GatewayError);
      assert.equal(error.code, "policy-rejected");
      assert.match(error.message, /error\[E0601\]: connection "test-pg" cannot apply `limit … bytes`/);
      assert.match(error.message, /a\.policy:3:7/);
      return true;
    },
  );
});
