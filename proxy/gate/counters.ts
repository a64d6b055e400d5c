// What was let through, per counter and key: a sliding window of 60 buckets.
import { createHash } from "node:crypto";
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { CounterMeasure } from "../../engine/model/policy.ts";
import type { Clock } from "../deps.ts";
import type { Contribution } from "./contributions.ts";

const bucketsPerWindow = 60;

type Window = {
  readonly bucketMs: number;
  readonly buckets: Float64Array;
  readonly measure: CounterMeasure;
  /** Of a `distinct` counter: the bucket in which each item was last seen. */
  readonly items: Map<string, number>;
  /** Number of the newest bucket since the epoch. */
  newest: number;
  /** Of the buckets; items are counted besides. */
  total: number;
};

/** What a gate needs of counters: in memory, or shared by several processes. */
export type Counters = Pick<WindowCounters, "read" | "count" | "add" | "reserve">;

export class WindowCounters {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();
  /** Of all windows together. */
  #items = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What the window holds together with `pending`, which isn't counted yet; 0 for what was never counted. Unknown when
   * there was no room to count, or an amount was not known: a rule on it then denies.
   */
  read(name: string, key: string, pending: readonly Contribution[] = []): Fact<number> {
    const window = this.#windows.get(nameOf(name, key));
    if (window === undefined) {
      if (this.#windows.size >= limits.counterKeysMax) return new Unknown("the counters' memory is full");
      return pending.length === 0 ? 0 : asFact(joined(emptyWindow(1, 0, pending[0]?.measure), pending));
    }
    this.#advance(window, this.#clock.nowMs());
    return asFact(pending.length === 0 ? window.total + window.items.size : joined(window, pending));
  }

  count({ name, key, windowMs, amount, measure, items }: Contribution): void {
    this.add(name, key, windowMs, amount, measure, items);
  }

  add(
    name: string,
    key: string,
    windowMs: number,
    amount: number,
    measure: CounterMeasure = "sum",
    items: readonly string[] = [],
  ): void {
    const id = nameOf(name, key);
    const nowMs = this.#clock.nowMs();
    const bucketMs = Math.max(1, Math.ceil(windowMs / bucketsPerWindow));
    let window = this.#windows.get(id);
    if (window === undefined || window.bucketMs !== bucketMs || window.measure !== measure) {
      if (window === undefined && !this.#makeRoom(nowMs)) return;
      this.#items -= window?.items.size ?? 0;
      window = emptyWindow(bucketMs, Math.floor(nowMs / bucketMs), measure);
      this.#windows.set(id, window);
    }
    this.#advance(window, nowMs);
    this.#put(window, amount);
    for (const item of items) this.#see(window, shortened(item));
  }

  /**
   * Adds at `atMs` what something may still come to; with the amount below zero, takes the same back: once what it came to is
   * known, or it came to nothing. What has left the window by then is forgotten already.
   */
  reserve(name: string, key: string, windowMs: number, amount: number, atMs: number): void {
    if (amount >= 0) this.add(name, key, windowMs, amount);
    else this.#takeBack(name, key, windowMs, -amount, atMs);
  }

  /** INVARIANT: takes no more out of a bucket than it holds. A clock that went back leaves the rest in another one. */
  #takeBack(name: string, key: string, windowMs: number, amount: number, atMs: number): void {
    const window = this.#windows.get(nameOf(name, key));
    const bucketMs = Math.max(1, Math.ceil(windowMs / bucketsPerWindow));
    if (window === undefined || window.bucketMs !== bucketMs || window.measure !== "sum") return;
    this.#advance(window, this.#clock.nowMs());
    const bucket = Math.floor(atMs / bucketMs);
    if (bucket > window.newest || window.newest - bucket >= bucketsPerWindow) return;
    const slot = bucket % bucketsPerWindow;
    window.buckets[slot] = Math.max(0, (window.buckets[slot] ?? 0) - amount);
    window.total = window.buckets.reduce((sum, n) => sum + n, 0);
  }

  get size(): number {
    return this.#windows.size;
  }

  #put(window: Window, amount: number): void {
    const slot = window.newest % bucketsPerWindow;
    const known = window.buckets[slot] ?? 0;
    window.buckets[slot] = combine(window.measure, known, amount);
    window.total = combine(window.measure, window.total, amount);
  }

  /** Without room for one more item the number is no longer known, for as long as the window lasts. */
  #see(window: Window, item: string): void {
    if (!window.items.has(item)) {
      if (window.items.size >= limits.counterItemsMax || this.#items >= limits.counterItemsTotalMax) {
        this.#put(window, Number.POSITIVE_INFINITY);
        return;
      }
      this.#items += 1;
    }
    window.items.set(item, window.newest);
  }

  #makeRoom(nowMs: number): boolean {
    if (this.#windows.size < limits.counterKeysMax) return true;
    for (const [id, window] of this.#windows) {
      this.#advance(window, nowMs);
      if (window.total === 0 && window.items.size === 0) this.#windows.delete(id);
    }
    return this.#windows.size < limits.counterKeysMax;
  }

  /** INVARIANT: a clock that goes back never forgets: the window only moves forward. */
  #advance(window: Window, nowMs: number): void {
    const now = Math.floor(nowMs / window.bucketMs);
    if (now <= window.newest) return;
    if (now - window.newest >= bucketsPerWindow) window.buckets.fill(0);
    else for (let n = window.newest + 1; n <= now; n += 1) window.buckets[n % bucketsPerWindow] = 0;
    window.newest = now;
    window.total = window.buckets.reduce((sum, n) => combine(window.measure, sum, n), 0);
    for (const [item, seen] of window.items) {
      if (now - seen < bucketsPerWindow) continue;
      window.items.delete(item);
      this.#items -= 1;
    }
  }
}

const emptyWindow = (bucketMs: number, newest: number, measure: CounterMeasure = "sum"): Window => ({
  bucketMs,
  buckets: new Float64Array(bucketsPerWindow),
  measure,
  items: new Map(),
  newest,
  total: 0,
});

const combine = (measure: CounterMeasure, a: number, b: number): number => (measure === "max" ? Math.max(a, b) : a + b);

/** With what is not counted yet. */
function joined(window: Window, pending: readonly Contribution[]): number {
  const total = pending.reduce((sum, { amount }) => combine(window.measure, sum, amount), window.total);
  const more = new Set(pending.flatMap(({ items = [] }) => items.map(shortened)).filter((i) => !window.items.has(i)));
  return total + window.items.size + more.size;
}

const asFact = (total: number): Fact<number> =>
  Number.isFinite(total) ? total : new Unknown("an amount that the counter holds is not known");

/** Long items, such as statements, are kept as digests: a bound of the memory. */
const shortened = (item: string): string =>
  item.length <= 44 ? item : createHash("sha256").update(item).digest("base64");

const nameOf = (name: string, key: string): string => `${name}\u0000${key}`;
