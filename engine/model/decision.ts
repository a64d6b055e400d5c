import type { NonEmpty } from "../lib/non-empty.ts";
import type { Mask } from "./mask.ts";
import type { RowPredicate } from "./row-predicate.ts";

/** `package.rule`, unique in a policy set: the name used in records, `explain`, tests and client messages. */
export type RuleId = string & { readonly __brand: "RuleId" };

/** Why something is not let through. `message` is for the person at the prompt: a sentence without content of rows. */
export type Cause =
  | { readonly kind: "rule"; readonly rule: RuleId; readonly message: string; readonly severity: string | undefined }
  /** A restricting rule could not be decided: a fact was unknown or its evaluation failed. */
  | { readonly kind: "rule-error"; readonly rule: RuleId; readonly message: string }
  /** No allow rule covers this access. `access` is like `select public.payroll`. */
  | { readonly kind: "uncovered"; readonly access: string; readonly message: string }
  /** The window of a limit is used up. */
  | { readonly kind: "limit"; readonly rule: RuleId; readonly message: string }
  /** The engine doesn't understand the request, or an obligation can't be carried out on it. */
  | {
      readonly kind: "unsupported";
      readonly code: string;
      readonly message: string;
      readonly help: string | undefined;
    };

export type ColumnMask = { readonly mask: Mask; readonly rules: NonEmpty<RuleId> };
export type TableFilter = { readonly predicate: RowPredicate; readonly rules: NonEmpty<RuleId> };

export type LimitObligation = {
  readonly rule: RuleId;
  readonly unit: "rows" | "bytes" | "requests" | "calls" | "items" | "tokens" | "usd";
  readonly max: number;
  /** Of `rows` of SQL: those that a statement inserts, updates or deletes. Absent: those that it returns. */
  readonly counts?: "changed";
  /** For a rate: the window in ms and the value of its key. Absent for a limit on one result. */
  readonly window: { readonly ms: number; readonly key: string } | undefined;
};

/**
 * A mask of what a JSON or text answer carries: JSON paths such as `$.iban`, kinds of text such as `email`, or tags that
 * the schema of a JSON answer gives its parts, such as `pii`.
 */
export type ContentFormat = "json" | "text" | "tagged";
export type ContentMask = {
  readonly content: { readonly format: ContentFormat; readonly patterns: readonly string[] };
  readonly mask: Mask;
  readonly rule: RuleId;
};

/** Of the list at `path` of a JSON answer (`$.items`; `$` is the answer) only items for which the predicate is true stay. */
export type ItemFilter = { readonly path: string; readonly predicate: RowPredicate; readonly rule: RuleId };

/** What must be done to a request that passes. Keys of the maps: relation key, then column name. */
export type Obligations = {
  readonly masks: ReadonlyMap<string, ReadonlyMap<string, ColumnMask>>;
  readonly filters: ReadonlyMap<string, TableFilter>;
  readonly limits: readonly LimitObligation[];
  /** Left out where no rule masks content. An adapter that can't carry it out denies. */
  readonly content?: readonly ContentMask[];
  /** The same for filters of items: engine/content/keep-items.ts carries them out. */
  readonly items?: readonly ItemFilter[];
};

export const noObligations: Obligations = { masks: new Map(), filters: new Map(), limits: [] };

export type Approver = { readonly count: number; readonly kind: "group" | "user"; readonly name: string };

/** One `require approval` rule that matched. Every requirement must be met. */
export type ApprovalRequirement = {
  readonly rule: RuleId;
  /** Any one of these entries satisfies the rule; [] means any approver. */
  readonly approvers: readonly Approver[];
  /** How long a grant lives. */
  readonly withinMs: number;
  readonly message: string;
};

export type Alert = {
  readonly rule: RuleId;
  readonly channel: string;
  readonly severity: string | undefined;
  readonly message: string;
};

/** `would` lists what rules in shadow mode would have done; it enforces nothing. */
type Common = { readonly alerts: readonly Alert[]; readonly shadow: readonly Cause[] };

export type Decision = Common &
  (
    | { readonly effect: "allow"; readonly rules: NonEmpty<RuleId>; readonly obligations: Obligations }
    | { readonly effect: "deny"; readonly causes: NonEmpty<Cause>; readonly rules: readonly RuleId[] }
    | {
        readonly effect: "approval";
        readonly rules: NonEmpty<RuleId>;
        readonly requirements: NonEmpty<ApprovalRequirement>;
        readonly obligations: Obligations;
      }
  );
