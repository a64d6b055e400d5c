// what the gates do -> those who watch, behind the request's back
import type { Decision } from "../../engine/model/decision.ts";
import type { SqlFacts } from "../../engine/model/statement.ts";
import type { GateSession } from "../postgres/sql-gate.ts";

/**
 * Where a span belongs. `spanId`: the one that the upstream was told; undefined: any. `parentId`: the client's; undefined for
 * the first of its trace.
 */
export type SpanPlace = {
  readonly traceId: string;
  readonly parentId: string | undefined;
  readonly spanId: string | undefined;
  readonly isSampled: boolean;
};

/** A verdict that is on record. Parts are those that the gate holds anyway: nothing is copied for it. */
export type Decided = {
  readonly atMs: number;
  readonly decisionId: string;
  readonly session: GateSession;
  readonly protocol: "sql" | "http" | "mcp" | "llm";
  readonly effect: "allow" | "deny" | "approval" | "fault";
  readonly decision: Decision | undefined;
  /** Of an SQL statement that was understood. */
  readonly sql: SqlFacts | undefined;
  /** Of another protocol: `GET /v1/users`, without values. */
  readonly access: string | undefined;
  readonly trace?: SpanPlace;
  readonly policyHash: string;
  readonly revision: string;
};

export type Completed = {
  readonly atMs: number;
  readonly decisionId: string;
  readonly session: GateSession;
  readonly outcome: string;
  readonly sqlstate: string | undefined;
  /** SQL: the command tag, `INSERT 0 30`. */
  readonly tag: string | undefined;
  readonly rows: number;
  readonly bytes: number;
  readonly durationUs: number;
  /** Names of canary rows that went to the client; left out: none. */
  readonly canaries?: readonly string[];
};

export type Watcher = {
  readonly decided?: (event: Decided) => void;
  readonly completed?: (event: Completed) => void;
};

type Seen =
  | { readonly kind: "decided"; readonly event: Decided }
  | { readonly kind: "completed"; readonly event: Completed };

/** A request adds to a list; watchers run once per turn of the event loop. One that throws harms nobody else. */
export class GateWatch {
  readonly #watchers: Watcher[] = [];
  readonly #first: ((event: Decided) => void)[] = [];
  readonly #failed: (error: unknown) => void;
  readonly #queueMax: number;
  #seen: Seen[] = [];
  #isScheduled = false;
  #dropped = 0;

  constructor(queueMax: number, failed: (error: unknown) => void) {
    this.#queueMax = queueMax;
    this.#failed = failed;
  }

  add(watcher: Watcher): void {
    this.#watchers.push(watcher);
  }

  /** Sees each decision in its own turn, and never misses one: for the little that must not come later. */
  addFirst(decided: (event: Decided) => void): void {
    this.#first.push(decided);
  }

  /** Events that nobody saw, because too many came in one turn. */
  get dropped(): number {
    return this.#dropped;
  }

  get isWatched(): boolean {
    return this.#watchers.length + this.#first.length > 0;
  }

  decided(event: Decided): void {
    for (const first of this.#first) {
      try {
        first(event);
      } catch (error) {
        this.#failed(error);
      }
    }
    if (this.#watchers.length > 0) this.#put({ kind: "decided", event });
  }

  completed(event: Completed): void {
    if (this.#watchers.length > 0) this.#put({ kind: "completed", event });
  }

  #put(seen: Seen): void {
    if (this.#seen.length >= this.#queueMax) {
      this.#dropped += 1;
      return;
    }
    this.#seen.push(seen);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.flush);
  }

  /** What waits is looked at now: at the end, and in tests. */
  readonly flush = (): void => {
    this.#isScheduled = false;
    const seen = this.#seen;
    this.#seen = [];
    for (const watcher of this.#watchers) {
      for (const { kind, event } of seen) {
        try {
          if (kind === "decided") watcher.decided?.(event);
          else watcher.completed?.(event);
        } catch (error) {
          this.#failed(error);
        }
      }
    }
  };
}
