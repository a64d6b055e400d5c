// CheckedCounter -> CounterSpec

import { Unknown } from "../engine/lib/truth.ts";
import type { CounterContribution, CounterSpec } from "../engine/model/policy.ts";
import type { PolicyRequest, Protocol } from "../engine/model/request.ts";
import type { SqlAccess } from "../engine/model/statement.ts";
import type { EvaluationContext } from "../engine/program.ts";
import type { Checked, CheckedCounter, Value } from "./checked.ts";
import { compileCore, Frame, type Run } from "./compile.ts";
import { anyMatches } from "./glob.ts";
import { matchScope } from "./matching.ts";
import { elementsOf, keyTextOf } from "./values.ts";

/** One entry per counter and protocol that it counts. */
export const compileCounters = (checked: Checked): readonly CounterSpec[] =>
  checked.counters.flatMap((counter) => compileCounter(counter, checked));

/** One access that a counter counts. */
type Counted = { readonly key: string; readonly value: Value };

function compileCounter(counter: CheckedCounter, checked: Checked): readonly CounterSpec[] {
  const frame = new Frame(checked.data);
  const when = counter.when && compileCore(counter.when, frame);
  const by = compileCore(counter.by, frame);
  const of: Run = counter.of ? compileCore(counter.of, frame) : () => 1;
  const protocols: readonly Protocol[] =
    counter.scope.protocol === "any" ? ["sql", "http", "mcp", "llm"] : [counter.scope.protocol];
  function* countedOf(request: PolicyRequest): Generator<Counted> {
    if (!anyMatches(counter.at, request.connection.name)) return;
    const accesses: readonly (SqlAccess | undefined)[] =
      request.protocol === "sql" ? request.sql.accesses : [undefined];
    for (const access of accesses) {
      for (const params of matchScope(counter.scope, request, access, true)) {
        const c: EvaluationContext = { request, access, params, locals: new Array(frame.size), decision: undefined };
        if (when && when(c) === false) continue;
        const key = by(c);
        if (key instanceof Unknown || key === undefined) continue;
        yield { key: String(key), value: of(c) };
      }
    }
  }
  const join = joins[counter.measure];
  const contribution = (request: PolicyRequest): CounterContribution | undefined => join(countedOf(request));
  const { id: name, overMs: windowMs, measure } = counter;
  const how = measure === "max" || measure === "distinct" ? { measure } : {};
  return protocols.map((protocol) => ({ name, protocol, windowMs, ...how, contribution }));
}

/**
 * A request counts once however many of its accesses match; its largest amount and all of its items count. What can't
 * be told counts, so that a counter errs on the side of reaching its bound: an unknown `when` as true, an unknown or
 * absent amount as 1, an unknown amount of `max` as one that nobody can compare with.
 */
const joins: Readonly<
  Record<CheckedCounter["measure"], (counted: Iterable<Counted>) => CounterContribution | undefined>
> = {
  count: first,
  sum: first,
  max: (counted) => {
    let found: CounterContribution | undefined;
    for (const { key, value } of counted) {
      const amount = value instanceof Unknown ? Number.POSITIVE_INFINITY : amountOf(value);
      if (!found || amount > found.amount) found = { key, amount };
    }
    return found;
  },
  distinct: (counted) => {
    let key: string | undefined;
    let amount = 0;
    const items = new Set<string>();
    for (const each of counted) {
      key ??= each.key;
      if (each.value instanceof Unknown) amount += 1;
      else if (each.value !== undefined) for (const item of itemsIn(each.value)) items.add(item);
    }
    return key === undefined ? undefined : { key, amount, items: [...items] };
  },
};

function first(counted: Iterable<Counted>): CounterContribution | undefined {
  for (const { key, value } of counted) return { key, amount: amountOf(value) };
  return undefined;
}

const amountOf = (value: Value): number =>
  typeof value === "number" && Number.isFinite(value) ? Math.max(0, value) : 1;

/** The elements of a collection, or the value itself. */
const itemsIn = (value: Value): readonly string[] =>
  (value instanceof Set || Array.isArray(value) ? elementsOf(value) : [value]).map(keyTextOf);
