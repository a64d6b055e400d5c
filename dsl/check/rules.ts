// The checks that look at whole rules, in the order that reads best. One file per rule.
import type { Checked } from "../checked.ts";
import { capability } from "./capability.ts";
import type { CheckContext } from "./context.ts";
import { maskFit } from "./mask-fit.ts";
import { operationNames } from "./operation-names.ts";
import { overlappingMasks } from "./overlapping-masks.ts";
import { unusedNames } from "./unused-names.ts";

export type RuleCheck = (context: CheckContext, checked: Checked) => void;

const ruleChecks: readonly RuleCheck[] = [capability, maskFit, operationNames, overlappingMasks, unusedNames];

export function checkRules(context: CheckContext, checked: Checked): void {
  for (const check of ruleChecks) check(context, checked);
}
