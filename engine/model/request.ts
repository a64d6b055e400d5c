import type { Json } from "../lib/json.ts";
import type { Fact } from "../lib/truth.ts";
import type { RuleId } from "./decision.ts";
import type { ConnectionFacts, IdentityFacts, SessionFacts, TimeFacts } from "./principal.ts";
import type { SqlFacts } from "./statement.ts";

export type Protocol = "sql" | "http" | "mcp" | "llm";

export type HttpFacts = {
  readonly method: string;
  /** Unknown where a request is decided again from its record. */
  readonly host: Fact<string>;
  /** Normalised, decoded where decoding is unambiguous. */
  readonly path: string;
  readonly query: Fact<Readonly<Record<string, string>>>;
  /** Lower-case names. */
  readonly headers: Fact<Readonly<Record<string, string>>>;
  readonly body: Fact<Json | undefined>;
  readonly bodySize: Fact<number>;
  /** `operationId` of the route in the connection's OpenAPI document; left out where it has none. */
  readonly operation?: Fact<string | undefined>;
};

export type McpFacts = {
  readonly server: string;
  readonly method: string;
  readonly tool: Fact<string | undefined>;
  readonly resource: Fact<string | undefined>;
  readonly prompt: Fact<string | undefined>;
  readonly args: Fact<Json>;
};

export type LlmFacts = {
  /** Unknown where a request is decided again from its record. */
  readonly provider: Fact<string>;
  readonly model: string;
  readonly tools: Fact<ReadonlySet<string>>;
  readonly toolUse: Fact<string | undefined>;
  /** Complete input of that tool use; left out where there is none. */
  readonly toolInput?: Fact<Json>;
  readonly inputTokens: Fact<number>;
  /** Never fewer than are counted later. Left out: unknown. */
  readonly inputTokensBound?: Fact<number>;
  readonly maxTokens: Fact<number | undefined>;
};

/** What the monitor has seen of this principal on this connection: the `monitor` root. Its windows are those of gw.yaml. */
export type MonitorFacts = {
  readonly denials: Fact<number>;
  readonly rowsRead: Fact<number>;
  readonly bytesRead: Fact<number>;
  readonly rowsWritten: Fact<number>;
  readonly isFirstAccess: Fact<boolean>;
  readonly isNewShape: Fact<boolean>;
  readonly isOffHours: Fact<boolean>;
};

type Action =
  | { readonly protocol: "sql"; readonly sql: SqlFacts }
  | { readonly protocol: "http"; readonly http: HttpFacts }
  | { readonly protocol: "mcp"; readonly mcp: McpFacts }
  | { readonly protocol: "llm"; readonly llm: LlmFacts };

/** Everything a policy may ask about one request. Nothing else reaches a decision: it can be decided again from the record. */
export type PolicyRequest = Action & {
  readonly identity: IdentityFacts;
  readonly connection: ConnectionFacts;
  readonly session: SessionFacts;
  readonly time: TimeFacts;
  /** Left out where nothing is monitored. */
  readonly monitor?: MonitorFacts;
  /** Reads a declared counter or the window of a rate limit; `key` is the value of its `by`. */
  readonly counter: (name: string, key: string) => Fact<number>;
  /**
   * Asks whether some request of this shape could pass, for lists of what there is: what isn't known counts in favour,
   * windows don't count. Never for anything that is let through.
   */
  readonly isProbe?: true;
  /** The rules whose approval requirement a valid grant for exactly this request has met. */
  readonly approved: ReadonlySet<RuleId>;
};
