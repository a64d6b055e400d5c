// gw policy test | eval | explain --rego: the same tests, decided as by a gateway that has both.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../cli/main.ts";
import { skip } from "../support/opa.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";
import { compileRego } from "./support.ts";

const folder = temporaryFolder();
const policies = join(folder, "policies");
const bundle = join(folder, "guards.tar.gz");
mkdirSync(policies);
writeFileSync(join(policies, "catalog.json"), readFileSync("policies/std/catalog.json"));
writeFileSync(
  join(policies, "a.policy"),
  'package acme.test\n\ncatalog "db" from "./catalog.json"\n\nallow everything on any\n',
);
writeFileSync(
  join(policies, "a.test.policy"),
  `package acme.test

test "agents read" {
  given identity { sub: "bot", kind: agent, groups: [] }
  given sql "select id from public.orders" at "db"
  expect allow by everything
}

test "agents don't delete" {
  given identity { sub: "bot", kind: agent, groups: [] }
  given sql "delete from public.orders where id = 1" at "db"
  expect deny because "agents don't write"
}
`,
);

async function gw(...argv: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  const terminal = captured();
  const code = await main([...argv, "--no-color"], terminal);
  return { code, text: terminal.text() };
}

test("tests pass or fail by what policies and Rego decide together", { skip }, async () => {
  writeFileSync(
    bundle,
    await compileRego(`
deny contains {"rule": "no_writes", "message": "agents don't write"} if {
  some a in input.sql.accesses
  a.kind == "write"
}
decision := {"allow": true, "deny": deny, "tolerates": ["table.tags", "column.tags", "sql.limit"]}
`),
  );
  const alone = await gw("policy", "test", policies);
  assert.equal(alone.code, 1);
  assert.match(alone.text, /1 failed/);
  const together = await gw("policy", "test", policies, "--rego", bundle);
  assert.equal(together.code, 0, together.text);
});

test("eval and explain show what the two decide together", { skip }, async () => {
  const question = [
    "--as",
    '{ sub: "bot", kind: agent }',
    "--sql",
    "delete from public.orders where id = 1",
    "--rego",
    bundle,
  ];
  const { text } = await gw("policy", "eval", policies, ...question);
  assert.match(text, /^DENY[\s\S]*agents don't write/);
  const explained = await gw("policy", "explain", policies, ...question);
  assert.match(explained.text, /^ALLOW[\s\S]*together with \S+guards\.tar\.gz\nDENY[\s\S]*agents don't write/);
  assert.match(
    (await gw("policy", "test", policies, "--rego", join(folder, "no.tar.gz"))).text,
    /can't be read: ENOENT/,
  );
});
