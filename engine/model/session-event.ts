import type { Json } from "../lib/json.ts";

/**
 * A bind value: null, its text, `hex` of bytes that aren't text or have a type that isn't known. Where it is cut, `bytes` is its
 * length; `more` stands for so many values behind the last.
 */
export type RecordedValue =
  | null
  | string
  | { readonly hex: string }
  | { readonly text?: string; readonly hex?: string; readonly isCut: true; readonly bytes: number }
  | { readonly isCut: true; readonly more: number };

/** What is recorded of a statement beside its decision, as the configuration says. */
export type RecordedContent = {
  /** Bind values, `$1` first; left out where they are only counted. */
  readonly values?: readonly RecordedValue[];
  /** What the planner expected, where a rule or counter read it. Left out where there was no estimate. */
  readonly estimatedRows?: number;
  /** JWEs: of `values` as JSON, and of the text, in place of which `statement` is "". */
  readonly sealed?: { readonly values?: string; readonly statement?: string };
};

/**
 * What an answer held, as its client got it. `rows` of SQL, each with its values in order; `copy` for COPY TO STDOUT: the data as it
 * was sent. `body` of HTTP, MCP and a model: its text, `hex` where it isn't UTF-8 (`coding` says why, where the upstream packed it).
 * `isCut`: something is left out: rows behind the last (`completion.rows` counts them all), or bytes (`bytes` counts them all).
 */
export type RecordedResult =
  | {
      readonly columns?: readonly string[];
      readonly rows: readonly (readonly RecordedValue[])[];
      readonly isCut?: true;
    }
  | { readonly copy: RecordedValue; readonly isCut?: true }
  | {
      readonly media?: string;
      readonly coding?: string;
      readonly text?: string;
      readonly hex?: string;
      readonly isCut?: true;
      readonly bytes?: number;
    };

/** Facts about who asks that policies may read, by the language's names: `mfa`, `claims.department`. null: there is none. */
export type RecordedFacts = Readonly<Record<string, Json>>;

export type PruneBoundary = {
  /** Name of the file. */
  readonly segment: string;
  /** Lines of the chain up to its end, from the first line of all. */
  readonly size: number;
  /** Of the last of them, 64 hex digits. */
  readonly hash: string;
  /** 64 hex digits each, from left to right. */
  readonly roots: readonly string[];
};

/**
 * One line of the recording. `seq`, `prev` and `hash` are added by the recorder (hash chain per node); `atMs` is wall
 * clock, ms since the epoch.
 */
export type SessionEvent = { readonly atMs: number; readonly session: string } & (
  | {
      readonly type: "session-start";
      readonly connection: string;
      readonly protocol: "postgres" | "http" | "mcp" | "llm";
      readonly principal: {
        readonly sub: string;
        readonly kind: string;
        readonly groups: readonly string[];
        readonly onBehalfOf: string | undefined;
        /** Everyone behind it, the one acted for first; left out where nobody else is. */
        readonly chain?: readonly string[];
      };
      readonly client: string;
      readonly application: string | undefined;
      /** Of the connection, as the configuration has them. */
      readonly env?: string;
      readonly tags?: readonly string[];
      /** Those that the configuration names and nothing else of a token; left out: they aren't recorded. */
      readonly facts?: RecordedFacts;
      /** A JWE of `facts` as JSON, in place of them. */
      readonly sealed?: { readonly facts: string };
    }
  | ({
      readonly type: "statement";
      readonly id: string;
      readonly statement: string;
      readonly fingerprint: string | undefined;
      /** `statement` is a prefix only: `statementSha256` is of the whole text. */
      readonly isCut: boolean;
      readonly statementSha256: string | undefined;
      readonly parameters: number;
      readonly accesses: readonly string[];
      readonly factsDigest: string | undefined;
      readonly effect: "allow" | "deny" | "approval";
      readonly rules: readonly string[];
      readonly causes: readonly Json[];
      readonly masks: readonly string[];
      readonly filters: readonly string[];
      /** Hash of the policies that decided, and the name that their author gave to that state. */
      readonly policy: string;
      readonly revision: string;
      /** Join keys of other channels: trace id, JSON-RPC id, the model's tool_use id. Ids only. */
      readonly refs?: Readonly<Record<string, string>>;
    } & RecordedContent)
  | {
      readonly type: "approval";
      readonly id: string;
      readonly statementId: string;
      /** `approved` is one person's yes, `granted` that there are enough of them. A stand-in is about no request: `id` is "". */
      readonly state:
        | "requested"
        | "approved"
        | "granted"
        | "refused"
        | "expired"
        | "withdrawn"
        | "used"
        | "glass-broken"
        | "reviewed"
        | "stand-in"
        | "stand-in-ended";
      readonly by: string | undefined;
      readonly reason: string | undefined;
    }
  | {
      readonly type: "completion";
      readonly id: string;
      readonly outcome: string;
      readonly tag: string | undefined;
      readonly sqlstate: string | undefined;
      readonly rows: number;
      readonly bytes: number;
      readonly durationUs: number;
      /** The rule whose ceiling of changed rows the statement went over: the server has undone it. */
      readonly overLimit?: string;
      /** Of the model channel. */
      readonly tokens?: number;
      readonly usd?: number;
      readonly refs?: Readonly<Record<string, string>>;
      /** What the client got, where the configuration asks for it. */
      readonly result?: RecordedResult;
      /** A JWE of `result` as JSON, in place of it. */
      readonly sealed?: { readonly result: string };
    }
  | {
      readonly type: "alert";
      readonly id: string;
      readonly rule: string;
      readonly channel: string;
      readonly severity: string | undefined;
      readonly message: string;
    }
  /** Messages about alerts that reached nobody; `total`: of this sink and cause since the start. */
  | {
      readonly type: "alert-dropped";
      readonly id: string;
      readonly rule: string;
      readonly channel: string;
      readonly sink: string;
      readonly why: "queue-full" | "refused" | "given-up" | "rate";
      readonly total: number;
    }
  | {
      readonly type: "policy";
      /** Hash of the policies, as in `statement`. */
      readonly policy: string;
      readonly state: "loaded" | "rejected";
      readonly message: string | undefined;
    }
  /** What policies in shadow would have done with the statement `id`, where that isn't what was done. */
  | {
      readonly type: "shadow";
      readonly id: string;
      readonly policy: string;
      readonly live: "allow" | "deny" | "approval";
      readonly effect: "allow" | "deny" | "approval";
      readonly rules: readonly string[];
      readonly causes: readonly Json[];
      readonly obligations: readonly string[];
    }
  | { readonly type: "session-end"; readonly reason: string }
  /**
   * A CancelRequest that cancelled nothing: no session has its key (`session` is "" then), or the session had nothing under
   * way. `count`: as many from this address, since the last such line. One that ended something is in its completion.
   */
  | { readonly type: "cancel-request"; readonly connection: string; readonly client: string; readonly count: number }
  /** A worker process: what it records is in the folder of its name. `head`: `number:hash` of its last line, once it ended well. */
  | {
      readonly type: "worker";
      readonly worker: string;
      readonly generation: number;
      readonly state: "started" | "retired" | "ended" | "died";
      readonly head: string | undefined;
    }
  /** A key that fields are sealed under from here on, `wrapped` (a JWE) for whoever has the private key. `session` is "". */
  | { readonly type: "content-key"; readonly id: string; readonly recipient: string; readonly wrapped: string }
  /**
   * The beginning of this chain is taken away: recorded, and durable, before any file goes. `session` is "". `boundaries` are the
   * ends of the segments that go, in order: lines up to there, the last one's hash, the roots of the full Merkle subtrees over them.
   * `keys` are content keys that fields behind it may need. `signed`: a JWS over `boundaries`.
   */
  | {
      readonly type: "prune";
      readonly id: string;
      readonly node: string;
      readonly why: "age" | "size";
      readonly boundaries: readonly PruneBoundary[];
      readonly keys: readonly { readonly id: string; readonly recipient: string; readonly wrapped: string }[];
      readonly signed?: string;
    }
  /** A legal hold, as it stands in holds.jsonl. `subject`: of `session` and `person`. `session` is "". */
  | {
      readonly type: "hold";
      readonly id: string;
      readonly state: "added" | "released";
      readonly scope: "session" | "person" | "all";
      readonly subject: string | undefined;
      readonly until: string | undefined;
      readonly by: string;
      readonly reason: string;
    }
  /** The recorder's own life: `session` is "". `recovered`: a torn last line of `bytes` bytes was moved to the file `kept`. */
  | {
      readonly type: "recorder";
      readonly state: "opened" | "recovered" | "resumed" | "closed";
      readonly node: string;
      readonly bytes: number | undefined;
      readonly kept: string | undefined;
    }
);
