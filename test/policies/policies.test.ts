// Every policy that comes with gw: it checks, its tests pass and reach every rule, and its text is in the one style.
import assert from "node:assert/strict";
import { test } from "node:test";
import { policyCheck } from "../../cli/commands/policy-check.ts";
import { policyFmt } from "../../cli/commands/policy-fmt.ts";
import { policyLint } from "../../cli/commands/policy-lint.ts";
import { policyTest } from "../../cli/commands/policy-test.ts";
import { runSelection } from "../../cli/policy-tests.ts";
import { selectBundles } from "../../cli/read-bundle.ts";
import { captured } from "../support/terminal.ts";

const bundles = ["policies", "policies/std"] as const;
const choice = { filter: undefined, seed: 1, mutate: false };

for (const path of bundles) {
  test(`${path} has no mistakes, nothing to remark, and is in the one style`, async () => {
    const terminal = captured();
    const codes = [
      await policyCheck(terminal, [path], { format: "text", warnings: true }),
      await policyLint(terminal, [path], { format: "text", rule: {} }),
      await policyFmt(terminal, [path], { check: true, diff: false }),
    ];
    assert.deepEqual(codes, [0, 0, 0], terminal.text());
    assert.match(terminal.text(), /nothing to remark/);
  });

  test(`the tests of ${path} pass, fire every rule and see both outcomes of every condition`, async () => {
    const terminal = captured();
    const flags = { json: false, coverage: "text", mutate: false, seed: 1, watch: false } as const;
    assert.equal(await policyTest(terminal, [path], flags), 0, terminal.text());
    const runs = (await selectBundles([path])).map((selection) => runSelection(selection, choice));
    const rules = runs.flatMap((run) => run.rules);
    assert.ok(rules.length > 10);
    assert.deepEqual(
      rules.filter((rule) => rule.state !== "fired").map((rule) => rule.rule),
      [],
    );
    const unseen = rules.flatMap((r) =>
      r.conditions.filter((c) => !c.sawTrue || !c.sawFalse).map((c) => `${r.rule}: ${c.text}`),
    );
    assert.deepEqual(unseen, []);
  });
}

test("nothing can be dropped from or negated in the demo's rules without a test noticing", async () => {
  const [selection] = await selectBundles(["policies"]);
  assert.ok(selection);
  const { mutants } = runSelection(selection, { ...choice, mutate: true });
  assert.ok(mutants.length > 30);
  assert.deepEqual(
    mutants.filter((m) => !m.isNoticed).map((m) => `${m.rule} ${m.what}`),
    [],
  );
});
