// Core -> closures. The law: what the interpreter says, they say.

import type { Json } from "../engine/lib/json.ts";
import { type Truth, Unknown } from "../engine/lib/truth.ts";
import type { EvaluationContext } from "../engine/program.ts";
import { absent, badness, claimOf, fieldOf, isBad, lookup, rangeOver, unset } from "./absence.ts";
import { builtins } from "./builtins.ts";
import type { CheckedData, Clause, ComparisonKind, Core, Local, Value } from "./checked.ts";
import { factReaders, readCatalogField, readTable } from "./facts.ts";
import { arithmetic, castJson, compareValues, fromEntries, showValue } from "./values.ts";

export type Run = (c: EvaluationContext) => Value;

/** Variables of one rule get numbers; lazily computed `let` clauses are forgotten before each evaluation. */
export class Frame {
  readonly #slots = new Map<Local, number>();
  readonly #lazy = new Map<Local, Run>();
  readonly data: ReadonlyMap<string, CheckedData>;

  constructor(data: ReadonlyMap<string, CheckedData>) {
    this.data = data;
  }
  slotOf(local: Local): number {
    const known = this.#slots.get(local);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(local, slot);
    return slot;
  }
  get size(): number {
    return this.#slots.size;
  }
  defer(local: Local, run: Run): void {
    this.#lazy.set(local, run);
  }
  lazyOf(local: Local): Run | undefined {
    return this.#lazy.get(local);
  }
}

/** All `when` true and all `unless` false, from left to right, false deciding over unknown. */
export function compileClauses(clauses: readonly Clause[], frame: Frame): (c: EvaluationContext) => Truth {
  const lets: number[] = [];
  const conditions: Run[] = [];
  for (const clause of clauses) {
    if (clause.kind === "let") {
      frame.defer(clause.local, compileCore(clause.value, frame));
      lets.push(frame.slotOf(clause.local));
    } else {
      const run = compileCore(clause.condition, frame);
      conditions.push(clause.kind === "when" ? run : negation(run));
    }
  }
  const holds = conjunction(conditions);
  if (lets.length === 0) return (c) => asTruth(holds(c));
  return (c) => {
    for (const slot of lets) c.locals[slot] = unset;
    return asTruth(holds(c));
  };
}

const asTruth = (value: Value): Truth => (typeof value === "boolean" || value instanceof Unknown ? value : absent);

const negation =
  (run: Run): Run =>
  (c) => {
    const value = run(c);
    return typeof value === "boolean" ? !value : value instanceof Unknown ? value : absent;
  };

function conjunction(runs: readonly Run[]): Run {
  const [first, second, third] = runs;
  if (!first) return () => true;
  if (!second) return first;
  if (!third) {
    return (c) => {
      const a = first(c);
      if (a === false) return false;
      const b = second(c);
      return b === false ? false : a === true ? b : a;
    };
  }
  return (c) => {
    let result: Value = true;
    for (const run of runs) {
      const value = run(c);
      if (value === false) return false;
      if (value !== true && result === true) result = value;
    }
    return result;
  };
}

function disjunction(runs: readonly Run[]): Run {
  return (c) => {
    let result: Value = false;
    for (const run of runs) {
      const value = run(c);
      if (value === true) return true;
      if (value !== false && result === false) result = value;
    }
    return result;
  };
}

export function compileCore(core: Core, frame: Frame): Run {
  switch (core.op) {
    case "const": {
      const { value } = core;
      return () => value;
    }
    case "fact": {
      const read = factReaders[core.root]?.[core.field];
      return read ?? (() => new Unknown(`\`${core.root}.${core.field}\` is not known`));
    }
    case "table":
      return readTable;
    case "param": {
      const { name } = core;
      return (c) => c.params?.[name] ?? absent;
    }
    case "row":
      return () => new Unknown("a row is not known here");
    case "local":
      return compileLocal(core.local, frame);
    case "let":
      return compileCore(core.body, frame);
    case "invoke": {
      const args = core.args.map((arg) => compileCore(arg, frame));
      const slots = core.params.map((p) => frame.slotOf(p));
      const body = compileCore(core.body, frame);
      return (c) => {
        const values = args.map((arg) => arg(c));
        for (const [i, slot] of slots.entries()) c.locals[slot] = values[i];
        return body(c);
      };
    }
    case "call": {
      const builtin = builtins[core.name];
      const args = core.args.map((arg) => compileCore(arg, frame));
      return (c) => {
        const values: Value[] = [];
        for (const arg of args) {
          const value = arg(c);
          if (isBad(value)) return badness(value);
          values.push(value);
        }
        return builtin ? builtin.run(values) : absent;
      };
    }
    case "property":
      return compileProperty(core, frame);
    case "lookup": {
      const object = compileCore(core.object, frame);
      const key = compileCore(core.key, frame);
      return (c) => lookup(object(c), key(c));
    }
    case "not":
      return negation(compileCore(core.operand, frame));
    case "and":
      return conjunction(core.operands.map((operand) => compileCore(operand, frame)));
    case "or":
      return disjunction(core.operands.map((operand) => compileCore(operand, frame)));
    case "compare":
      return compileComparison(core.how, compileCore(core.left, frame), compileCore(core.right, frame));
    case "present": {
      const operand = compileCore(core.operand, frame);
      return (c) => {
        const value = operand(c);
        return value instanceof Unknown ? value : value !== undefined;
      };
    }
    case "arithmetic": {
      const [left, right] = [compileCore(core.left, frame), compileCore(core.right, frame)];
      const { how } = core;
      const isWhole = core.type.kind !== "float";
      return (c) => {
        const a = left(c);
        if (isBad(a)) return badness(a);
        const b = right(c);
        if (isBad(b)) return badness(b);
        return arithmetic(how, Number(a), Number(b), isWhole);
      };
    }
    case "negate": {
      const operand = compileCore(core.operand, frame);
      return (c) => {
        const value = operand(c);
        return isBad(value) ? badness(value) : 0 - Number(value);
      };
    }
    case "coalesce": {
      const [left, right] = [compileCore(core.left, frame), compileCore(core.right, frame)];
      return (c) => {
        const value = left(c);
        return value === undefined ? right(c) : value;
      };
    }
    case "range": {
      const [from, to] = [compileCore(core.from, frame), compileCore(core.to, frame)];
      const { isHalfOpen } = core;
      return (c) => {
        const low = from(c);
        if (isBad(low)) return badness(low);
        const high = to(c);
        return isBad(high) ? badness(high) : { from: low, to: high, isHalfOpen };
      };
    }
    case "cast": {
      const operand = compileCore(core.operand, frame);
      const { type } = core;
      return (c) => {
        const value = operand(c);
        return value instanceof Unknown ? value : castJson(value as Json | undefined, type);
      };
    }
    case "if": {
      const [condition, then, other] = [core.condition, core.then, core.else].map((part) => compileCore(part, frame));
      return (c) => {
        const value = condition?.(c);
        if (value === true) return then?.(c);
        return value === false ? other?.(c) : isBad(value) ? badness(value) : absent;
      };
    }
    case "quantifier":
      return compileQuantifier(core, frame);
    case "collect": {
      const items = core.items.map((item) => compileCore(item, frame));
      const isSet = core.type.kind === "set";
      return (c) => {
        const values: Value[] = [];
        for (const item of items) {
          const value = item(c);
          if (isBad(value)) return badness(value);
          values.push(value);
        }
        return isSet ? new Set(values) : values;
      };
    }
    case "comprehension":
      return compileComprehension(core, frame);
    case "record": {
      const entries = core.entries.map((entry) => [entry.name, compileCore(entry.value, frame)] as const);
      return (c) => fromEntries(entries.map(([name, run]) => [name, run(c)] as const));
    }
    case "text": {
      const parts = core.parts.map((part) =>
        typeof part === "string" ? part : { run: compileCore(part, frame), type: part.type },
      );
      return (c) => parts.map((part) => (typeof part === "string" ? part : showValue(part.run(c), part.type))).join("");
    }
    case "counter": {
      const key = compileCore(core.key, frame);
      const { name } = core;
      return (c) => {
        const value = key(c);
        return isBad(value) ? badness(value) : c.request.counter(name, String(value));
      };
    }
    case "data": {
      const data = frame.data.get(core.name);
      const value = data ? data.value : new Unknown(`\`${core.name}\` is not loaded`);
      return () => value;
    }
    default:
      return core satisfies never;
  }
}

function compileLocal(local: Local, frame: Frame): Run {
  const slot = frame.slotOf(local);
  const lazy = frame.lazyOf(local);
  if (!lazy) return (c) => c.locals[slot];
  return (c) => {
    const known = c.locals[slot];
    if (known !== unset) return known;
    const value = lazy(c);
    c.locals[slot] = value;
    return value;
  };
}

function compileProperty(core: Core & { op: "property" }, frame: Frame): Run {
  const object = compileCore(core.object, frame);
  const { name, of, type } = core;
  if (of === "claim") return (c) => claimOf(object(c), name, type);
  if (of === "table" || of === "column") {
    return (c) => {
      const value = object(c);
      return isBad(value) ? badness(value) : readCatalogField(value, name);
    };
  }
  const isJson = of === "json";
  return (c) => fieldOf(object(c), name, isJson);
}

function compileComparison(how: ComparisonKind, left: Run, right: Run): Run {
  if (how === "equal") {
    return (c) => {
      const a = left(c);
      if (isBad(a)) return badness(a);
      const b = right(c);
      if (isBad(b)) return badness(b);
      return typeof a === "object" ? compareValues(how, a, b) : a === b;
    };
  }
  if (how === "in") {
    return (c) => {
      const a = left(c);
      if (isBad(a)) return badness(a);
      const b = right(c);
      if (isBad(b)) return badness(b);
      return b instanceof Set && typeof a === "string" ? b.has(a) : compareValues(how, a, b);
    };
  }
  return (c) => {
    const a = left(c);
    if (isBad(a)) return badness(a);
    const b = right(c);
    return isBad(b) ? badness(b) : compareValues(how, a, b);
  };
}

function compileQuantifier(core: Core & { op: "quantifier" }, frame: Frame): Run {
  const over = compileCore(core.over, frame);
  const slot = frame.slotOf(core.local);
  const body = compileCore(core.body, frame);
  const { which } = core;
  // `any` is a big `or`, `all` a big `and`, `none` the negation of `any`.
  const decisive = which !== "all";
  return (c) => {
    const items = rangeOver(over(c));
    if (items instanceof Unknown) return items;
    let unknown: Value;
    for (const item of items) {
      c.locals[slot] = item;
      const value = body(c);
      if (value === decisive) return which === "any";
      if (typeof value !== "boolean") unknown ??= isBad(value) ? badness(value) : absent;
    }
    return unknown ?? which !== "any";
  };
}

function compileComprehension(core: Core & { op: "comprehension" }, frame: Frame): Run {
  const over = compileCore(core.over, frame);
  const slot = frame.slotOf(core.local);
  const condition = core.condition && compileCore(core.condition, frame);
  const item = compileCore(core.item, frame);
  const isSet = core.type.kind === "set";
  return (c) => {
    const items = rangeOver(over(c));
    if (items instanceof Unknown) return items;
    const values: Value[] = [];
    for (const each of items) {
      c.locals[slot] = each;
      const isWanted = condition ? condition(c) : true;
      if (isWanted === false) continue;
      if (isWanted !== true) return isBad(isWanted) ? badness(isWanted) : absent;
      const value = item(c);
      if (isBad(value)) return badness(value);
      values.push(value);
    }
    return isSet ? new Set(values) : values;
  };
}
