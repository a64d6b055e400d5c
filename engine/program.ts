// What makes a decision: rules that can be asked, and how they are found.
import type { Fact, Truth, Unknown } from "./lib/truth.ts";
import type { Relation } from "./model/catalog.ts";
import type { Approver, ContentMask, Decision, LimitObligation, RuleId } from "./model/decision.ts";
import type { Mask } from "./model/mask.ts";
import type { PolicyRequest } from "./model/request.ts";
import type { RowPredicate } from "./model/row-predicate.ts";
import type { SqlAccess } from "./model/statement.ts";

/** What a rule sees while it is asked about one access. Made once per decision, filled anew per access and rule. */
export type EvaluationContext = {
  readonly request: PolicyRequest;
  /** undefined for protocols whose request is one access by itself. */
  access: SqlAccess | undefined;
  /** Placeholders of the route by which the rule was found. */
  params: Readonly<Record<string, string | number>> | undefined;
  /** Variables of the rule that is being asked. */
  readonly locals: unknown[];
  /** In the second stratum only. */
  decision: { readonly effect: Decision["effect"]; readonly rules: readonly RuleId[] } | undefined;
};

type RuleBase = {
  readonly id: RuleId;
  readonly severity: string | undefined;
  /** Evaluated and reported, not enforced. */
  readonly isShadow: boolean;
  readonly holds: (c: EvaluationContext) => Truth;
  readonly message: (c: EvaluationContext) => string;
};

/** A rule that can be asked. An allow says which columns it covers: all of the access, or these. */
export type ExecutableRule = RuleBase &
  (
    | { readonly effect: "allow"; readonly covers: (access: SqlAccess) => "all" | ReadonlySet<string> }
    | { readonly effect: "deny" }
    | { readonly effect: "mask"; readonly mask: Mask; readonly columns: (relation: Relation) => readonly string[] }
    | { readonly effect: "content-mask"; readonly content: ContentMask["content"]; readonly mask: Mask }
    | {
        readonly effect: "item-filter";
        readonly path: string;
        readonly where: (c: EvaluationContext) => RowPredicate | Unknown;
      }
    | { readonly effect: "filter"; readonly where: (c: EvaluationContext) => RowPredicate | Unknown }
    | { readonly effect: "approval"; readonly approvers: readonly Approver[]; readonly withinMs: number }
    | {
        readonly effect: "limit";
        readonly unit: LimitObligation["unit"];
        readonly max: (c: EvaluationContext) => Fact<number>;
        readonly window: { readonly ms: number; readonly key: (c: EvaluationContext) => Fact<string> } | undefined;
      }
    | { readonly effect: "alert"; readonly channel: string }
  );

export type Candidate = {
  readonly rule: ExecutableRule;
  readonly params: Readonly<Record<string, string | number>> | undefined;
};

/** Rules whose scope holds the access, alerts apart. */
export type Candidates = { readonly rules: readonly Candidate[]; readonly alerts: readonly Candidate[] };

export type Program = {
  readonly candidates: (request: PolicyRequest, access: SqlAccess | undefined) => Candidates;
  /** What is said when nothing allows an access: the `default deny because` of the packages, in order. */
  readonly defaultMessage: (c: EvaluationContext) => string | undefined;
  /** Variables that the largest rule needs. */
  readonly localsMax: number;
};

export const newContext = (program: Program, request: PolicyRequest): EvaluationContext => ({
  request,
  access: undefined,
  params: undefined,
  locals: new Array(program.localsMax),
  decision: undefined,
});
