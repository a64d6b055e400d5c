// numbers -> decisions. A tape of naturals drives the grammar; fast-check makes and shrinks the tape.
import fc from "fast-check";

/**
 * Each decision takes one number; an exhausted tape answers 0, which every choice lists its simplest option under. So
 * shrinking the tape shrinks the statement, whatever depth it came from, and scope can be threaded by plain code.
 */
export class Tape {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** From 0 to `n` - 1. */
  below(n: number): number {
    const number = this.#numbers[this.#at] ?? 0;
    this.#at += 1;
    return number % n;
  }

  /** True in `percent` of a hundred tapes; false on an exhausted one. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent;
  }

  pick<T>(options: readonly [T, ...T[]]): T {
    return options[this.below(options.length)] ?? options[0];
  }

  /** Picks by weight and calls what was picked. */
  among<T>(options: readonly (readonly [weight: number, make: () => T])[]): T {
    const total = options.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.below(total);
    for (const [weight, make] of options) {
      if (at < weight) return make();
      at -= weight;
    }
    throw new Error("no option with a weight");
  }
}

/** Tapes long enough for a large statement. */
export const tapes: fc.Arbitrary<number[]> = fc.array(fc.nat(9_999), { minLength: 40, maxLength: 400, size: "max" });
