// What running requests may still come to, so that those beside them see it in the windows of limits.
import type { LimitObligation } from "../../engine/model/decision.ts";
import type { Contribution } from "./contributions.ts";

/** Of one process: requests that other processes let through at the same moment aren't among them. */
export class Reservations {
  readonly #byWindow = new Map<string, Map<string, Contribution>>();
  readonly #windowsOf = new Map<string, readonly string[]>();

  add(
    decisionId: string,
    windows: readonly LimitObligation[],
    reserve: { readonly tokens: number; readonly usd: number } | undefined,
  ): void {
    if (reserve === undefined) return;
    const names: string[] = [];
    for (const { rule, unit, window } of windows) {
      if (window === undefined || (unit !== "tokens" && unit !== "usd")) continue;
      const name = nameOf(rule, window.key);
      const running = this.#byWindow.get(name) ?? new Map<string, Contribution>();
      running.set(decisionId, { name: rule, key: window.key, windowMs: window.ms, amount: reserve[unit] });
      this.#byWindow.set(name, running);
      names.push(name);
    }
    if (names.length > 0) this.#windowsOf.set(decisionId, names);
  }

  end(decisionId: string): void {
    for (const name of this.#windowsOf.get(decisionId) ?? []) {
      const running = this.#byWindow.get(name);
      running?.delete(decisionId);
      if (running?.size === 0) this.#byWindow.delete(name);
    }
    this.#windowsOf.delete(decisionId);
  }

  of(counter: string, key: string): readonly Contribution[] {
    const running = this.#byWindow.get(nameOf(counter, key));
    return running === undefined ? [] : [...running.values()];
  }
}

const nameOf = (counter: string, key: string): string => `${counter}\u0000${key}`;
