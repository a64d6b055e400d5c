// What was let through, per counter and key: a sliding window of 60 buckets.
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { Clock } from "../deps.ts";

const bucketsPerWindow = 60;

type Window = {
  readonly bucketMs: number;
  readonly buckets: Float64Array;
  /** Number of the newest bucket since the epoch. */
  newest: number;
  total: number;
};

export class WindowCounters {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sum over the window; 0 for what was never counted. Unknown when there was no room to count: a rule on it then denies. */
  read(name: string, key: string): Fact<number> {
    const window = this.#windows.get(nameOf(name, key));
    if (window !== undefined) {
      advance(window, this.#clock.nowMs());
      return window.total;
    }
    return this.#windows.size < limits.counterKeysMax ? 0 : new Unknown("the counters' memory is full");
  }

  add(name: string, key: string, windowMs: number, amount: number): void {
    const id = nameOf(name, key);
    const nowMs = this.#clock.nowMs();
    const bucketMs = Math.max(1, Math.ceil(windowMs / bucketsPerWindow));
    let window = this.#windows.get(id);
    if (window === undefined || window.bucketMs !== bucketMs) {
      if (window === undefined && !this.#makeRoom(nowMs)) return;
      window = {
        bucketMs,
        buckets: new Float64Array(bucketsPerWindow),
        newest: Math.floor(nowMs / bucketMs),
        total: 0,
      };
      this.#windows.set(id, window);
    }
    advance(window, nowMs);
    const slot = window.newest % bucketsPerWindow;
    window.buckets[slot] = (window.buckets[slot] ?? 0) + amount;
    window.total += amount;
  }

  get size(): number {
    return this.#windows.size;
  }

  #makeRoom(nowMs: number): boolean {
    if (this.#windows.size < limits.counterKeysMax) return true;
    for (const [id, window] of this.#windows) {
      advance(window, nowMs);
      if (window.total === 0) this.#windows.delete(id);
    }
    return this.#windows.size < limits.counterKeysMax;
  }
}

/** INVARIANT: a clock that goes back never forgets: the window only moves forward. */
function advance(window: Window, nowMs: number): void {
  const now = Math.floor(nowMs / window.bucketMs);
  if (now <= window.newest) return;
  if (now - window.newest >= bucketsPerWindow) window.buckets.fill(0);
  else for (let n = window.newest + 1; n <= now; n += 1) window.buckets[n % bucketsPerWindow] = 0;
  window.newest = now;
  window.total = window.buckets.reduce((sum, n) => sum + n, 0);
}

const nameOf = (name: string, key: string): string => `${name}\u0000${key}`;
