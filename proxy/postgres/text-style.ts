// DateStyle, IntervalStyle, TimeZone -> what the text of a date means, as far as the server has said so
import type { SessionEffect } from "../../engine/sql/types.ts";

/** PostgreSQL reports changes of these with the next ReadyForQuery. */
const names = ["DateStyle", "IntervalStyle", "TimeZone"] as const;
const settings: ReadonlySet<string> = new Set(names.map((name) => name.toLowerCase()));

/**
 * A statement that people approved must mean what it meant when they were asked: `01/02/2026` is a day in January or in
 * February. INVARIANT: `now` is undefined while a change is under way.
 */
export class TextStyle {
  readonly #values = new Map<string, string>();
  /** The last segment of the pipeline that may change them. */
  #segment = 0;
  /** Of the session: ends of transactions may bring other values back. */
  #hasChanged = false;

  constructor(initial: ReadonlyMap<string, string>) {
    for (const name of names) this.report(name, initial.get(name) ?? "");
  }

  report(name: string, value: string): void {
    if (settings.has(name.toLowerCase())) this.#values.set(name.toLowerCase(), value);
  }

  announce(effects: readonly SessionEffect[], segment: number): void {
    if (effects.some(setsStyle)) this.#hasChanged = true;
    if (this.#hasChanged && effects.some(mayChangeStyle)) this.#segment = segment;
  }

  /** `settled`: all segments up to this one are answered. */
  now(settled: number): string | undefined {
    return this.#segment > settled ? undefined : JSON.stringify([...this.#values]);
  }

  /** A statement that SQL's PREPARE made earlier may have been read under other values. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }
}

/** What changes them by itself. */
export const setsStyle = (effect: SessionEffect): boolean =>
  effect.kind === "set"
    ? settings.has(effect.name.toLowerCase())
    : effect.kind === "reset-all" || effect.kind === "discard-all";

/** What may bring earlier values back, where there were others. */
export const mayChangeStyle = (effect: SessionEffect): boolean =>
  setsStyle(effect) || effect.kind === "commit" || effect.kind === "rollback" || effect.kind === "rollback-to";
