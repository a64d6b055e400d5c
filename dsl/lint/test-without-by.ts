import type { LintRule } from "./rule.ts";

/** `expect deny` is met by any denial, for any reason. */
export const testWithoutBy: LintRule = {
  name: "test-without-by",
  code: "L0312",
  find: (checked) =>
    [...checked.files.values()].flatMap((file) =>
      file.decls.flatMap((decl) => {
        if (decl.kind !== "test") return [];
        return decl.expects.flatMap(({ what, isNegated, span }) => {
          if (what.kind !== "effect" || isNegated || what.by || what.because) return [];
          if (what.effect.kind !== "name" || what.effect.name.text !== "deny") return [];
          return [
            {
              path: file.path,
              span,
              message: "this test is content with any denial",
              label: "by which rule?",
              help: ['`expect deny by …`, or `expect deny because "…"` for the default'],
            },
          ];
        });
      }),
    ),
};
