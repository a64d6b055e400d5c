import type { Decision, RuleId } from "./decision.ts";
import type { PolicyRequest, Protocol } from "./request.ts";

/**
 * A compiled bundle: all that the proxy knows of policies. Immutable; a reload makes another one.
 */
export type PolicySet = {
  /** `sha256:` and 64 hex digits over the content of the bundle. Named in each decision. */
  readonly hash: string;
  readonly revision: string;
  /** IANA name, e.g. `Europe/Berlin`: what `time.hour` and `time.weekday` of a request are told in; UTC where it is left out. */
  readonly timeZone?: string;
  /** Packages that take part, sorted. */
  readonly packages: readonly string[];
  readonly decide: (request: PolicyRequest) => Decision;
  readonly needs: PolicyNeeds;
  /** Tags per connection name, relation key and column, from the bundle's catalog snapshots. */
  readonly tags: (connection: string) => CatalogTags | undefined;
  /** Counters to keep: the gate adds to them after a request was let through. */
  readonly counters: readonly CounterSpec[];
  /** Denials and alerts after which a session ends at its next statement; left out: none. */
  readonly endsSession?: ReadonlySet<RuleId>;
};

/** Facts that cost something to find and that some rule reads. */
export type PolicyNeeds = { readonly estimatedRows: boolean; readonly parameters: boolean; readonly body: boolean };

export type CatalogTags = {
  readonly relations: ReadonlyMap<
    string,
    { readonly tags: ReadonlySet<string>; readonly columns: ReadonlyMap<string, ReadonlySet<string>> }
  >;
};

export type CounterSpec = {
  readonly name: string;
  readonly protocol: Protocol;
  readonly windowMs: number;
  /** How the contributions of a window become a number: they add up, where it is left out. */
  readonly measure?: CounterMeasure;
  /** What to add for a request and under which key; undefined when the request isn't counted. */
  readonly contribution: (request: PolicyRequest) => CounterContribution | undefined;
};

/** `sum`: amounts add up. `max`: the largest amount. `distinct`: how many different items; amounts are those nobody could tell. */
export type CounterMeasure = "sum" | "max" | "distinct";

export type CounterContribution = {
  readonly key: string;
  /** Infinity: not known; the counter can then not be read as long as the window holds it. */
  readonly amount: number;
  /** Of a `distinct` counter only. */
  readonly items?: readonly string[];
};
