// Failed logins make the next failure of the same source and name slower: guessing is slow, and nobody is locked out.
import { setTimeout as wait } from "node:timers/promises";
import { limits } from "../../engine/limits.ts";
import type { Clock } from "../deps.ts";

type Failures = {
  count: number;
  lastMs: number /** The end of the queue of attempts that are made one by one. */;
  turn: Promise<unknown>;
  waiting: number;
};

/**
 * What is slow is the refusal: a good password is let in at once unless guesses at the same name from the same address
 * wait before it. Other names from there, and the same name from elsewhere, wait for nobody.
 */
export class LoginDelay {
  readonly #failures = new Map<string, Failures>();
  readonly #clock: Clock;
  readonly #sleep: (ms: number) => Promise<unknown>;

  constructor(clock: Clock, sleep: (ms: number) => Promise<unknown> = (ms) => wait(ms, undefined, { ref: false })) {
    this.#clock = clock;
    this.#sleep = sleep;
  }

  /** Runs `attempt` in its turn; undefined, without an attempt, when too many of the same kind wait already. */
  async run<T extends { readonly ok: boolean }>(
    source: string,
    name: string,
    attempt: () => Promise<T>,
  ): Promise<T | undefined> {
    const key = `${source}\0${name.slice(0, 128)}`;
    const known = this.#known(key);
    if (known === undefined) return this.#attempt(key, attempt);
    if (known.waiting >= limits.loginAttemptsWaitingMax) return undefined;
    known.waiting += 1;
    const mine = known.turn.then(() => this.#attempt(key, attempt));
    known.turn = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      known.waiting -= 1;
    }
  }

  get size(): number {
    return this.#failures.size;
  }

  async #attempt<T extends { readonly ok: boolean }>(key: string, attempt: () => Promise<T>): Promise<T> {
    const outcome = await attempt();
    if (outcome.ok) this.#failures.delete(key);
    else await this.#sleep(this.#failed(key));
    return outcome;
  }

  #known(key: string): Failures | undefined {
    const known = this.#failures.get(key);
    if (known === undefined) return undefined;
    if (this.#clock.nowMs() - known.lastMs <= limits.loginFailureMemoryMs) return known;
    this.#failures.delete(key);
    return undefined;
  }

  /** How long the refusal waits, ms. */
  #failed(key: string): number {
    const known = this.#known(key) ?? { count: 0, lastMs: 0, turn: Promise.resolve(), waiting: 0 };
    known.count += 1;
    known.lastMs = this.#clock.nowMs();
    // The newest last: the oldest is forgotten first when the memory is full.
    this.#failures.delete(key);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size >= limits.loginFailureKeysMax && oldest !== undefined) this.#failures.delete(oldest);
    this.#failures.set(key, known);
    return Math.min(limits.loginDelayMaxMs, limits.loginDelayMs * 2 ** Math.min(16, known.count - 1));
  }
}
