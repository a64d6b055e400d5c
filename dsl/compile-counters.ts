// CheckedCounter -> CounterSpec
import type { EvaluationContext } from "../engine/evaluate.ts";
import { Unknown } from "../engine/lib/truth.ts";
import type { CounterSpec } from "../engine/model/policy.ts";
import type { PolicyRequest, Protocol } from "../engine/model/request.ts";
import type { SqlAccess } from "../engine/model/statement.ts";
import type { Checked, CheckedCounter } from "./checked.ts";
import { compileCore, Frame } from "./compile.ts";
import { anyMatches } from "./glob.ts";
import { matchScope } from "./matching.ts";

/** One entry per counter and protocol that it counts. */
export const compileCounters = (checked: Checked): readonly CounterSpec[] =>
  checked.counters.flatMap((counter) => compileCounter(counter, checked));

/**
 * A request counts once however many of its accesses match. What can't be told counts: an unknown `when` as true, an
 * unknown or absent amount as 1, so that a counter errs on the side of reaching its bound.
 */
function compileCounter(counter: CheckedCounter, checked: Checked): readonly CounterSpec[] {
  const frame = new Frame(checked.data);
  const when = counter.when && compileCore(counter.when, frame);
  const by = compileCore(counter.by, frame);
  const of = counter.of && compileCore(counter.of, frame);
  const protocols: readonly Protocol[] =
    counter.scope.protocol === "any" ? ["sql", "http", "mcp", "llm"] : [counter.scope.protocol];
  const contribution = (request: PolicyRequest): { key: string; amount: number } | undefined => {
    if (!anyMatches(counter.at, request.connection.name)) return undefined;
    const accesses: readonly (SqlAccess | undefined)[] =
      request.protocol === "sql" ? request.sql.accesses : [undefined];
    for (const access of accesses) {
      for (const params of matchScope(counter.scope, request, access, true)) {
        const c: EvaluationContext = { request, access, params, locals: new Array(frame.size), decision: undefined };
        if (when && when(c) === false) continue;
        const key = by(c);
        if (key instanceof Unknown || key === undefined) continue;
        return { key: String(key), amount: of ? amountOf(of(c)) : 1 };
      }
    }
    return undefined;
  };
  return protocols.map((protocol) => ({ name: counter.id, protocol, windowMs: counter.overMs, contribution }));
}

const amountOf = (value: unknown): number =>
  typeof value === "number" && Number.isFinite(value) ? Math.max(0, value) : 1;
