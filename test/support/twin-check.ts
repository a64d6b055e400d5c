// one case -> does what the client sees depend on what it must not see?
import type pg from "pg";
import { disguisesOf, secretsOf, visibleWards } from "./clinic.ts";
import { withClient } from "./postgres.ts";
import type { TwinCase } from "./twin-cases.ts";
import type { Database } from "./twin-databases.ts";
import { type EngineHooks, EngineSession, runGated } from "./twin-engine.ts";
import { exceptionFor } from "./twin-exceptions.ts";
import { type Answer, failureOf, observe, withoutOrder } from "./twin-transcript.ts";
import type { TwinWorlds } from "./twin-worlds.ts";

export type CaseVerdict =
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** `reference` tells how the masked copy compares: an error may come earlier or later under another plan. */
  | { readonly kind: "agrees"; readonly reference: "same" | "other-error" }
  | {
      readonly kind: "differs";
      readonly oracle: "twins" | "reference" | "state" | "tripwire" | "crash";
      readonly detail: string;
    };

const wards = visibleWards.map((w) => `'${w}'`).join(", ");

/** Hidden rows and masked values: nothing that passes may change them. */
const hiddenState = `SELECT
  (SELECT md5(string_agg(v::text, ',' ORDER BY v.id)) FROM clinic.visits v WHERE v.ward NOT IN (${wards})),
  (SELECT md5(string_agg(ROW(p.id, p.email, p.tax_no, p.born, p.cover)::text, ',' ORDER BY p.id)) FROM clinic.patients p),
  (SELECT md5(string_agg(ROW(w.id, w.wage)::text, ',' ORDER BY w.id)) FROM staff.people w)`;

/** All that the policy shows, read past the gateway. */
const shownState = `SELECT
  (SELECT md5(string_agg(v::text, ',' ORDER BY v.id)) FROM clinic.visits v WHERE v.ward IN (${wards})),
  (SELECT md5(string_agg(ROW(p.id, p.chart, p.name)::text, ',' ORDER BY p.id)) FROM clinic.patients p),
  (SELECT md5(string_agg(ROW(w.id, w.name, w.bank)::text, ',' ORDER BY w.id)) FROM staff.people w),
  (SELECT md5(string_agg(r::text, ',' ORDER BY r.id)) FROM clinic.rooms r),
  (SELECT md5(string_agg(b::text, ',' ORDER BY b.id)) FROM clinic.bills b)`;

const pinnedPlan = ["join_collapse_limit = 1", "from_collapse_limit = 1"]
  .concat(
    ["hashjoin", "mergejoin", "indexscan", "bitmapscan", "indexonlyscan", "material", "memoize", "sort"].map(
      (p) => `enable_${p} = off`,
    ),
  )
  .map((setting) => `SET LOCAL ${setting};`)
  .join(" ");

const writing: ReadonlySet<string> = new Set(["insert", "update", "delete", "merge", "modifying cte"]);
const secrets = [...secretsOf("A"), ...secretsOf("B")].flatMap(disguisesOf);

/** Three open connections, a case at a time, each in a transaction that is rolled back. */
export class TwinChecker {
  readonly #worlds: TwinWorlds;
  readonly #hooks: EngineHooks;
  readonly #a: pg.Client;
  readonly #b: pg.Client;
  readonly #m: pg.Client;
  #hidden = "";

  private constructor(worlds: TwinWorlds, hooks: EngineHooks, a: pg.Client, b: pg.Client, m: pg.Client) {
    this.#worlds = worlds;
    this.#hooks = hooks;
    this.#a = a;
    this.#b = b;
    this.#m = m;
  }

  static async with<T>(worlds: TwinWorlds, hooks: EngineHooks, use: (checker: TwinChecker) => Promise<T>): Promise<T> {
    const open = <R>(database: Database, next: (client: pg.Client) => Promise<R>): Promise<R> =>
      withClient(database, async (client) => {
        await client.query(
          "SET timezone = 'UTC'; SET statement_timeout = '5s'; SET max_parallel_workers_per_gather = 0; SET jit = off",
        );
        return next(client);
      });
    return open(worlds.A, (a) =>
      open(worlds.B, (b) =>
        open(worlds.M, async (m) => {
          const checker = new TwinChecker(worlds, hooks, a, b, m);
          checker.#hidden = await textOf(a, hiddenState);
          return use(checker);
        }),
      ),
    );
  }

  /**
   * Which row fails first follows the plan, and plans follow table sizes: that is out of the promise. Where both twins
   * fail alike but for the text, the case is run again with the order of joins and scans pinned, and that run counts.
   */
  async check(given: TwinCase): Promise<CaseVerdict> {
    const verdict = await this.#run(given, "free");
    return verdict === "other row first" ? this.#runPinned(given) : verdict;
  }

  async #runPinned(given: TwinCase): Promise<CaseVerdict> {
    const verdict = await this.#run(given, "pinned");
    if (verdict === "other row first") throw new Error("a pinned run decides");
    return verdict;
  }

  async #run(given: TwinCase, plan: "free" | "pinned"): Promise<CaseVerdict | "other row first"> {
    const all = [this.#a, this.#b, this.#m];
    await Promise.all(all.map((client) => client.query(plan === "free" ? "BEGIN" : `BEGIN; ${pinnedPlan}`)));
    try {
      return await this.#compare(given, plan);
    } catch (error) {
      return {
        kind: "differs",
        oracle: "crash",
        detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
      };
    } finally {
      await Promise.all(all.map((client) => client.query("ROLLBACK; DEALLOCATE ALL")));
    }
  }

  async #compare(given: TwinCase, plan: "free" | "pinned"): Promise<CaseVerdict | "other row first"> {
    const session = new EngineSession(this.#worlds.catalog, this.#hooks);
    let reference: "same" | "other-error" = "same";
    for (const step of given.steps) {
      const [[a, b], m] = await Promise.all([runGated(session, step, [this.#a, this.#b]), observe(this.#m, step)]);
      if (!a || !b) throw new Error("no answer");
      if (a.kind === "refused") return a;
      const seen = JSON.stringify([a, b]);
      const secret = secrets.find((s) => seen.includes(s));
      if (secret !== undefined) return differs("tripwire", a, b);
      if (text([a]) !== text([b])) {
        const isAlike = failureOf(a)?.startsWith("22") === true && failureOf(a) === failureOf(b);
        return isAlike && plan === "free" ? "other row first" : differs("twins", a, b);
      }
      const masked: Answer = { kind: "answered", seen: m };
      const [failure, expected] = [failureOf(a), failureOf(masked)];
      if (failure !== expected) {
        if (isBreakage(failure) || isBreakage(expected)) return differs("reference", a, masked);
        reference = "other-error";
        break;
      }
      if (failure !== undefined) {
        if (given.form !== "savepoint") break;
        continue;
      }
      if (text([a]) !== text([masked]) && exceptionFor(given.steps, step, a, masked) === undefined)
        return differs("reference", a, masked);
    }
    return (await this.#stateOf(given, reference)) ?? { kind: "agrees", reference };
  }

  async #stateOf(given: TwinCase, reference: "same" | "other-error"): Promise<CaseVerdict | undefined> {
    if (!writing.has(given.form) || reference === "other-error") return undefined;
    const hidden = await textOf(this.#a, hiddenState);
    const [shown, wanted] = await Promise.all([textOf(this.#a, shownState), textOf(this.#m, shownState)]);
    // A statement that failed leaves an aborted transaction: there is no state to look at.
    if (hidden === "" || shown === "" || wanted === "") return undefined;
    if (hidden !== this.#hidden)
      return { kind: "differs", oracle: "state", detail: "hidden rows or masked values were changed" };
    if (shown !== wanted)
      return {
        kind: "differs",
        oracle: "state",
        detail: `what is shown isn't what the masked copy holds: ${shown} and not ${wanted}`,
      };
    return undefined;
  }
}

/** Errors that no data explain: the rewritten text is wrong, or the client's text was. */
const isBreakage = (code: string | undefined): boolean =>
  code !== undefined && (code.startsWith("42") || code.startsWith("XX") || code.startsWith("0A"));

function text(answers: readonly Answer[]): string {
  return JSON.stringify(
    withoutOrder(answers).map((a) =>
      a.kind === "refused"
        ? a
        : a.seen
            .filter((s) => s.kind !== "parameter")
            .map((s) =>
              s.kind === "error" || s.kind === "notice" ? { ...s, parts: { ...s.parts, position: "" } } : s,
            ),
    ),
  );
}

const differs = (oracle: "twins" | "reference" | "tripwire", a: Answer, b: Answer): CaseVerdict => ({
  kind: "differs",
  oracle,
  detail: `${JSON.stringify(a).slice(0, 1_500)}\nand\n${JSON.stringify(b).slice(0, 1_500)}`,
});

async function textOf(client: pg.Client, sql: string): Promise<string> {
  const seen = await observe(client, { text: sql });
  return seen.flatMap((s) => (s.kind === "row" ? [s.values.join(" ")] : [])).join("\n");
}
