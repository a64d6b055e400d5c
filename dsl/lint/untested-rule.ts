import type { LintRule } from "./rule.ts";

/** No test names the rule. Only in packages that have tests: a package without any is a matter for coverage. */
export const untestedRule: LintRule = {
  name: "untested-rule",
  code: "L0311",
  find: (checked) => {
    const tested = new Set(checked.tests.map((test) => test.package));
    const named = new Set<string>();
    for (const test of checked.tests) {
      for (const { what } of test.rows.flatMap((row) => row.expects)) {
        if (what.kind === "effect" && what.by !== undefined) named.add(what.by);
        if ((what.kind === "limit" || what.kind === "alert") && what.rule !== undefined) named.add(what.rule);
      }
      for (const given of test.rows.flatMap((row) => row.givens)) if (given.kind === "approval") named.add(given.rule);
    }
    return checked.rules
      .filter(({ payload }) => payload.effect === "deny" || payload.effect === "approval")
      .filter((rule) => tested.has(rule.package) && !named.has(rule.id))
      .map((rule) => ({
        path: rule.path,
        span: rule.decl.name.span,
        message: `no test names \`${rule.name}\``,
        label: "it could be deleted and every test would pass",
        help: [`add a test with \`expect ${rule.payload.effect} by ${rule.name}\``],
      }));
  },
};
