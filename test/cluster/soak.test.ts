// A short slice of the soak: the long one is `node test/soak.ts --minutes N --seed S`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../support/gateway.ts";

test("mixed work over a bad network, killed clients and an upstream that goes away leave nothing behind", async () => {
  const args = ["test/soak.ts", "--minutes", "0.02", "--seed", "7", "--clients", "8"];
  const { code, out, err } = await run(process.execPath, args, { HOME: process.env.HOME ?? "" });
  assert.equal(code, 0, `${out}\n${err}`);
  assert.match(out, /^seed 7, /);
});
