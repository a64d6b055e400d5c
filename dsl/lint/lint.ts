// Checked -> what is worth a second look
import type { Checked } from "../checked.ts";
import { type Diagnostic, diagnose, type Severity, sortDiagnostics } from "../diagnostic.ts";
import { agentWriteWithoutApproval } from "./agent-write-without-approval.ts";
import { allowUnknown } from "./allow-unknown.ts";
import { approvalWithoutAllow } from "./approval-without-allow.ts";
import { constantCondition } from "./constant-condition.ts";
import { denyWithoutBecause } from "./deny-without-because.ts";
import { dollarPlaceholder } from "./dollar-placeholder.ts";
import { maskNeverApplies } from "./mask-never-applies.ts";
import { notIndexed } from "./not-indexed.ts";
import { nullableInFilter } from "./nullable-in-filter.ts";
import { regexWhereLikeWorks } from "./regex-where-like-works.ts";
import type { LintRule } from "./rule.ts";
import { shadowedAllow } from "./shadowed-allow.ts";
import { testWithoutBy } from "./test-without-by.ts";
import { unreachableRule } from "./unreachable-rule.ts";
import { untestedRule } from "./untested-rule.ts";
import { unusedLet } from "./unused-let.ts";

/** In the order of their codes. */
export const lintRules: readonly LintRule[] = [
  denyWithoutBecause,
  approvalWithoutAllow,
  nullableInFilter,
  dollarPlaceholder,
  regexWhereLikeWorks,
  allowUnknown,
  constantCondition,
  unusedLet,
  unreachableRule,
  shadowedAllow,
  untestedRule,
  testWithoutBy,
  maskNeverApplies,
  agentWriteWithoutApproval,
  notIndexed,
];

/** Rule name → what becomes of its findings; a rule that is not named gives warnings. */
export type LintConfig = Readonly<Record<string, Severity | "off">>;

/** Names in a configuration that no rule has: a misspelt one would switch nothing off. */
export const unknownLintRules = (config: LintConfig): readonly string[] =>
  Object.keys(config).filter((name) => !lintRules.some((rule) => rule.name === name));

/** For a bundle without errors: of one with errors only parts are seen. Sorted by place. */
export function lintBundle(checked: Checked, config: LintConfig = {}): readonly Diagnostic[] {
  const findings = lintRules.flatMap((rule) => {
    const severity = config[rule.name] ?? "warning";
    if (severity === "off") return [];
    return rule.find(checked).map((finding) => diagnose({ ...finding, code: rule.code, severity }));
  });
  return sortDiagnostics(findings);
}
