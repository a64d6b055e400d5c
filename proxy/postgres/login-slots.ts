// clients that want a session at the server -> so many logins at a time, the others in line, within bounds
import { FairQueue } from "./fair-queue.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import type { UpstreamFault } from "./upstream.ts";

export type LoginRules = {
  /** Logins at the server that one process has under way. */
  readonly atOnceMax: number;
  /** Clients that wait for theirs; over it one is refused, of whoever has most in the line. */
  readonly waitingMax: number;
  readonly waitMs: number;
};

export type Entry = "entered" | "full" | "late" | "gone";

/**
 * A server that is asked for five hundred sessions at once opens each of them slowly, and answers nobody meanwhile. So a
 * storm waits here: by turns of `key` (who asks), a bounded number for a bounded time.
 */
export class LoginSlots {
  readonly #rules: LoginRules;
  readonly #waiting = new FairQueue<(entry: Entry) => void>();
  #underWay = 0;

  constructor(rules: LoginRules) {
    this.#rules = rules;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** `gone`: `signal` was aborted. After `entered` comes `leave`, whatever happened in between. */
  enter(key: string, signal: AbortSignal): Promise<Entry> {
    if (signal.aborted) return Promise.resolve("gone");
    const { atOnceMax, waitingMax, waitMs } = this.#rules;
    if (this.#underWay < atOnceMax) {
      this.#underWay += 1;
      return Promise.resolve("entered");
    }
    if (this.#waiting.length >= waitingMax) {
      const displaced = this.#waiting.displaceFor(key);
      if (displaced === undefined) return Promise.resolve("full");
      displaced("full");
    }
    return new Promise((resolve) => {
      const settle = (entry: Entry): void => {
        clearTimeout(late);
        signal.removeEventListener("abort", leave);
        resolve(entry);
      };
      const giveUp = (entry: Entry): void => {
        if (this.#waiting.remove(key, settle)) settle(entry);
      };
      const leave = (): void => giveUp("gone");
      const late = setTimeout(() => giveUp("late"), waitMs);
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(key, settle);
    });
  }

  leave(): void {
    const next = this.#waiting.take();
    if (next === undefined) this.#underWay -= 1;
    else next("entered");
  }
}

/** What the client is told who didn't get in; the code is for the log. */
export const notEntered = (entry: Exclude<Entry, "entered">): UpstreamFault => ({
  code: { full: "login-queue-full", late: "login-queue-timeout", gone: "client-gone" }[entry],
  error: {
    severity: "FATAL",
    sqlstate: sqlstate.tooManyConnections,
    message: "sorry, too many clients want a session at once",
    hint: "Try again in a moment, or keep sessions open; the operator sets `sessions.logins` of this connection.",
  },
});
