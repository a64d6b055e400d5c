// A Rego policy that names `sql.estimated_rows` has it in its input.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { skip } from "../support/opa.ts";
import { access, compileRego, loadInProcess, sqlFacts, sqlRequest } from "./support.ts";

const withRows = (estimatedRows: Fact<number | undefined>): PolicyRequest =>
  sqlRequest({ sql: sqlFacts([access()], { estimatedRows }) });

test("a Rego policy decides by the planner's estimate, and doesn't pass without one", { skip }, async () => {
  const { set } = loadInProcess(await compileRego(`decision := {"allow": input.sql.estimated_rows < 100}`));
  assert.equal(set.needs.estimatedRows, true);
  assert.equal(set.decide(withRows(40)).effect, "allow");
  assert.equal(set.decide(withRows(400)).effect, "deny");
  assert.equal(set.decide(withRows(new Unknown("the planner was not asked"))).effect, "deny");
});

test("one that doesn't name it costs no question", { skip }, async () => {
  const { set } = loadInProcess(await compileRego(`decision := {"allow": true}`));
  assert.equal(set.needs.estimatedRows, false);
  assert.equal(set.decide(withRows(new Unknown("the planner was not asked"))).effect, "allow");
});
