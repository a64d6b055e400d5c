// input bytes -> a Rego policy's raw answer, with an instance that is replaced after every throw.
import type { Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { describeThrown, type RegoFault } from "./fault.ts";
import { hostBuiltins } from "./host-builtins.ts";
import { type InputBytes, instantiateRego, type RegoInstance, type RegoModule } from "./opa-wasm.ts";

/** All that is needed to evaluate, in any thread. */
export type RegoProgram = {
  readonly module: RegoModule;
  readonly data: { readonly [key: string]: Json };
  readonly entrypoint: string | undefined;
  /** Bound on an instance's memory, pages of 64 KiB. */
  readonly pagesMax: number;
};

/** Evaluates in the calling thread: nothing stops a policy that runs away. `proxy/rego` has one with a deadline. */
export class RegoEvaluator {
  readonly entrypoint: string;
  readonly #program: RegoProgram;
  readonly #memoryBytesKept: number;
  #instance: RegoInstance | undefined;
  #nowMs = 0;

  private constructor(program: RegoProgram) {
    this.#program = program;
    const first = this.#makeInstance();
    this.#instance = first;
    this.entrypoint = first.entrypoint;
    // Memory never shrinks: an instance that one large input blew up isn't kept.
    this.#memoryBytesKept = Math.max(2 * first.memoryBytes(), (program.pagesMax * 65_536) / 4);
  }

  static load(program: RegoProgram): Result<RegoEvaluator, string> {
    try {
      return ok(new RegoEvaluator(program));
    } catch (error) {
      if (error instanceof LoadError) return err(error.message);
      throw error;
    }
  }

  /** The value of the entrypoint. `nowMs`: what `time.now_ns` says. */
  evaluate(input: InputBytes, nowMs: number): Result<unknown, RegoFault> {
    this.#nowMs = nowMs;
    try {
      this.#instance ??= this.#makeInstance();
      const results = this.#instance.evaluate(input);
      if (this.#instance.memoryBytes() > this.#memoryBytesKept) this.#instance = undefined;
      return soleValue(results);
    } catch (thrown) {
      // INVARIANT: an instance that threw is never used again.
      this.#instance = undefined;
      return err({ code: "rego-failed", message: `the policy failed: ${describeThrown(thrown)}` });
    }
  }

  /** Makes the instance for the next evaluation now, so that it doesn't count against that one's deadline. */
  renew(): void {
    try {
      this.#instance ??= this.#makeInstance();
    } catch {
      // It is tried again, and reported, by the next evaluation.
    }
  }

  memoryBytes(): number {
    return this.#instance?.memoryBytes() ?? 0;
  }

  #makeInstance(): RegoInstance {
    const { module, data, entrypoint, pagesMax } = this.#program;
    const builtins = hostBuiltins(() => this.#nowMs);
    const made = instantiateRego(module, { data, entrypoint, builtins, pagesMax });
    if (!made.ok) throw new LoadError(made.error);
    return made.value;
  }
}

class LoadError extends Error {}

/** A result set is a list of one `{ result }`, or of none when the entrypoint is undefined. */
function soleValue(results: unknown): Result<unknown, RegoFault> {
  if (!Array.isArray(results) || results.length > 1) {
    return err({ code: "rego-answer-invalid", message: "the policy's result set is not a list of at most one result" });
  }
  const first: unknown = results[0];
  if (first === undefined) return err({ code: "rego-undefined", message: "the policy has no answer for this request" });
  if (typeof first !== "object" || first === null || !Object.hasOwn(first, "result")) {
    return err({ code: "rego-answer-invalid", message: "the policy's result set has no `result`" });
  }
  return ok(Reflect.get(first, "result"));
}
