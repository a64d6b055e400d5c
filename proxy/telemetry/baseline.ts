// amounts over time -> what is usual: an average of recent minutes, and the busiest minute of this hour of the week

/** Weight of the newest minute: half of what is remembered is of the last 23 minutes. */
const weight = 0.03;
/** Minutes without anything, after which the rest of the average is forgotten. */
const forgetMinutes = 400;
export const hoursInWeek = 168;

/** What is kept of one principal, connection, object and verb: about 900 bytes. */
export class Baseline {
  /** Since the epoch. */
  #minute: number;
  #count = 0;
  #mean = 0;
  #variance = 0;
  #minutes = 0;
  #hour: number;
  #peak = 0;
  /** Busiest minute of each hour of the week, fading by a third each week in which it was quieter. */
  #hours: Float32Array | undefined;

  constructor(minute: number, hourOfWeek: number) {
    this.#minute = minute;
    this.#hour = hourOfWeek;
  }

  /** As `save` gave it; undefined for anything else. */
  static from(value: unknown): Baseline | undefined {
    const [minute, count, mean, variance, minutes, hour, peak, hours] = Array.isArray(value) ? value : [];
    const numbers = [minute, count, mean, variance, minutes, hour, peak].map(Number);
    if (numbers.some((n) => !Number.isFinite(n))) return undefined;
    const made = new Baseline(Number(minute), Number(hour));
    made.#count = Number(count);
    made.#mean = Number(mean);
    made.#variance = Number(variance);
    made.#minutes = Number(minutes);
    made.#peak = Number(peak);
    if (Array.isArray(hours)) made.#hours = Float32Array.from({ length: hoursInWeek }, (_, i) => Number(hours[i]) || 0);
    return made;
  }

  save(): readonly unknown[] {
    const hours = this.#hours && [...this.#hours].map((n) => Math.round(n * 10) / 10);
    const now = [this.#minute, this.#count, this.#mean, this.#variance, this.#minutes, this.#hour, this.#peak];
    return [...now, hours ?? null];
  }

  /** `amount` more in this minute. @returns the minute's total */
  add(minute: number, hourOfWeek: number, amount: number): number {
    if (minute > this.#minute) this.#advance(minute, hourOfWeek);
    this.#count += amount;
    if (this.#count > this.#peak) this.#peak = this.#count;
    return this.#count;
  }

  /** Most that a usual minute of this hour has; undefined while too little is known. The running minute doesn't count. */
  usual(hourOfWeek: number): number | undefined {
    if (this.#minutes < 30) return undefined;
    const recent = this.#mean + 3 * Math.sqrt(this.#variance);
    const hours = this.#hours;
    if (hours === undefined) return recent;
    // Jobs come a little early or late.
    const around = [hourOfWeek + hoursInWeek - 1, hourOfWeek, hourOfWeek + 1].map((h) => hours[h % hoursInWeek] ?? 0);
    return Math.max(recent, ...around);
  }

  #advance(minute: number, hourOfWeek: number): void {
    const gap = minute - this.#minute;
    this.#fold(this.#count);
    const quiet = Math.min(gap - 1, forgetMinutes);
    for (let i = 0; i < quiet; i += 1) this.#fold(0);
    this.#minutes += gap;
    if (hourOfWeek !== this.#hour) {
      this.#hours ??= new Float32Array(hoursInWeek);
      const known = this.#hours[this.#hour] ?? 0;
      this.#hours[this.#hour] = Math.max(this.#peak, known * 0.67);
      this.#hour = hourOfWeek;
      this.#peak = 0;
    }
    this.#minute = minute;
    this.#count = 0;
  }

  #fold(count: number): void {
    const delta = count - this.#mean;
    this.#mean += weight * delta;
    this.#variance = (1 - weight) * (this.#variance + weight * delta * delta);
  }
}

/** A sum over the last `windowMs`, to a tenth of it. */
export class SlidingSum {
  readonly #bucketMs: number;
  readonly #buckets = new Float64Array(10);
  #newest = 0;

  constructor(windowMs: number) {
    this.#bucketMs = Math.max(1, Math.ceil(windowMs / 10));
  }

  add(nowMs: number, amount: number): number {
    this.#advance(nowMs);
    const slot = this.#newest % 10;
    this.#buckets[slot] = (this.#buckets[slot] ?? 0) + amount;
    return this.total(nowMs);
  }

  total(nowMs: number): number {
    this.#advance(nowMs);
    return this.#buckets.reduce((sum, n) => sum + n, 0);
  }

  /** As `save` gave it; an empty one where the window is another now. */
  static from(windowMs: number, value: unknown): SlidingSum {
    const made = new SlidingSum(windowMs);
    const [bucketMs, newest, ...buckets] = Array.isArray(value) ? value.map(Number) : [];
    if (bucketMs !== made.#bucketMs || newest === undefined || !buckets.every(Number.isFinite)) return made;
    made.#newest = newest;
    for (const [i, amount] of buckets.slice(0, 10).entries()) made.#buckets[i] = amount;
    return made;
  }

  save(): readonly number[] {
    return [this.#bucketMs, this.#newest, ...this.#buckets];
  }

  /** A clock that goes back forgets nothing. */
  #advance(nowMs: number): void {
    const now = Math.floor(nowMs / this.#bucketMs);
    if (now <= this.#newest) return;
    const steps = Math.min(now - this.#newest, 10);
    for (let i = 1; i <= steps; i += 1) this.#buckets[(now - steps + i) % 10] = 0;
    this.#newest = now;
  }
}
