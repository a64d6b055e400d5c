// The pieces of gw.yaml in the documentation are ones that gw reads.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse, stringify } from "yaml";
import { parseConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";

const whole = {
  policies: { path: "policies" },
  recording: { directory: "recording" },
  identity: { issuers: [{ issuer: "https://id.example.com", audience: "gatewright", discovery: true }] },
  connections: [
    {
      name: "app-db",
      kind: "postgres",
      listen: "127.0.0.1:0",
      upstream: { host: "db", database: "app", user: "gateway" },
    },
  ],
};

/** Files and variables that an example names aren't there; everything else has to be right. */
const isAboutExample = (complaint: string): boolean =>
  /can't be read: ENOENT$|isn't set$|a mask key needs at least 16 bytes|there is no connection `/.test(complaint);

test("pieces of gw.yaml in the documentation are ones that gw reads", () => {
  const wrong: string[] = [];
  let pieces = 0;
  for (const path of globSync("docs/**/*.md").sort()) {
    for (const [, text = ""] of readFileSync(path, "utf8").matchAll(/^```yaml\n(.*?)^```/gms)) {
      const piece: unknown = parse(text);
      const known = Object.keys(Object(piece)).every(
        (key) => key in whole || ["node", "log", "approvals", "admin", "workers"].includes(key),
      );
      if (!known) continue;
      pieces += 1;
      try {
        parseConfig(stringify({ ...whole, ...Object(piece) }), path, {});
      } catch (error) {
        assert.ok(error instanceof GatewayError);
        wrong.push(...error.message.split("\n").filter((line) => !isAboutExample(line)));
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(pieces >= 4);
});
