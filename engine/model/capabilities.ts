// What the adapter of a connection can do with a decision's obligations: data that the check of policies reads (E0601).
import type { LimitObligation } from "./decision.ts";
import type { MaskKind } from "./mask.ts";
import type { Protocol } from "./request.ts";

export type LimitUnit = LimitObligation["unit"];

export type Capabilities = {
  /** Rules about another protocol never reach the connection. */
  readonly protocol: Protocol;
  /** Masks of columns of rows. */
  readonly columnMasks: ReadonlySet<MaskKind>;
  /** Masks of JSON paths and kinds of text in answers. */
  readonly contentMasks: ReadonlySet<MaskKind>;
  /** Masks of what the schema of an answer tags. */
  readonly masksTagged?: true;
  readonly filtersRows: boolean;
  /** Filters of the items of JSON answers. */
  readonly filtersItems?: true;
  /** Units of a limit on one result. */
  readonly resultLimits: ReadonlySet<LimitUnit>;
  /** Units of a limit over a window of time. */
  readonly windowLimits: ReadonlySet<LimitUnit>;
};

/** A connection that the policies will decide about. */
export type ConnectionCapabilities = { readonly name: string; readonly capabilities: Capabilities };
