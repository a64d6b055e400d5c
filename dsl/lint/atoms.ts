// conditions of a rule -> atoms that must all hold -> what they demand of each subject
import type { Span } from "../../engine/lib/span.ts";
import type { CheckedRule, Core, Local } from "../checked.ts";
import { showType } from "../types.ts";

/** One condition that must be true (or false) for its rule to apply. */
export type Atom = {
  readonly core: Core;
  /** Where the rule says it: for what a `let` holds, where the rule uses its name. */
  readonly span: Span;
  readonly isTrue: boolean;
  /** Equal keys in one rule are equal values; undefined where that can't be told. */
  readonly key: string | undefined;
  readonly demand: Demand | undefined;
};

/** What an atom leaves of the values of one fact. */
export type Demand = { readonly subject: string; readonly values: Values };

export type Values = {
  /** undefined: every value between the bounds. */
  readonly among: ReadonlySet<Scalar> | undefined;
  readonly except: ReadonlySet<Scalar>;
  readonly min: number;
  readonly isMinOpen: boolean;
  readonly max: number;
  readonly isMaxOpen: boolean;
  readonly isWhole: boolean;
};
type Scalar = string | number | boolean;

const everything: Values = {
  among: undefined,
  except: new Set(),
  min: Number.NEGATIVE_INFINITY,
  isMinOpen: false,
  max: Number.POSITIVE_INFINITY,
  isMaxOpen: false,
  isWhole: false,
};

export const atomsOf = (rule: CheckedRule): readonly Atom[] => {
  const lets = new Map(rule.clauses.flatMap((c): [Local, Core][] => (c.kind === "let" ? [[c.local, c.value]] : [])));
  return rule.clauses.flatMap((c) => (c.kind === "let" ? [] : split(c.condition, c.kind === "when", lets, undefined)));
};

/** Both sides of an `and` that must hold, and of an `or` that must not. */
function split(core: Core, isTrue: boolean, lets: ReadonlyMap<Local, Core>, usedAt: Span | undefined): readonly Atom[] {
  const span = usedAt ?? core.span;
  if (core.op === "let") return split(core.body, isTrue, lets, span);
  if (core.op === "not") return split(core.operand, !isTrue, lets, usedAt);
  if (core.op === (isTrue ? "and" : "or")) return core.operands.flatMap((o) => split(o, isTrue, lets, usedAt));
  const local = core.op === "local" ? lets.get(core.local) : undefined;
  if (local) return split(local, isTrue, lets, span);
  return [{ core, span, isTrue, key: keyOf(core, lets), demand: demandOf(core, isTrue, lets) }];
}

/** A text that is the same only for what always has the same value within one evaluation of a rule. */
function keyOf(core: Core, lets: ReadonlyMap<Local, Core>): string | undefined {
  const all = (name: string, ...parts: readonly Core[]): string | undefined => {
    const keys = parts.map((part) => keyOf(part, lets));
    return keys.includes(undefined) ? undefined : `${name}(${keys.join(",")})`;
  };
  switch (core.op) {
    case "const":
      return isScalar(core.value)
        ? JSON.stringify(core.value)
        : core.value instanceof Set && [...core.value].every(isScalar)
          ? JSON.stringify([...core.value].map(String).sort())
          : undefined;
    case "fact":
      return `${core.root}.${core.field}`;
    case "table":
      return "table";
    case "param":
      return `param ${core.name}`;
    case "local": {
      const value = lets.get(core.local);
      return value && keyOf(value, lets);
    }
    case "let":
      return keyOf(core.body, lets);
    case "invoke":
      return all(`${core.path} ${core.name}`, ...core.args);
    case "call":
      return all(core.name, ...core.args);
    case "property":
      return all(`.${core.name}`, core.object);
    case "lookup":
      return all("[]", core.object, core.key);
    case "not":
      return all("not", core.operand);
    case "and":
    case "or":
      return all(core.op, ...core.operands);
    case "compare":
      return all(core.how, core.left, core.right);
    case "present":
      return all("present", core.operand);
    case "coalesce":
      return all("??", core.left, core.right);
    case "cast":
      return all(`as ${showType(core.type)}`, core.operand);
    case "counter":
      return all(`counter ${core.name}`, core.key);
    case "data":
      return `data ${core.name}`;
    default:
      return undefined;
  }
}

const isScalar = (value: unknown): value is Scalar =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";

function demandOf(core: Core, isTrue: boolean, lets: ReadonlyMap<Local, Core>): Demand | undefined {
  if (core.op !== "compare") return undefined;
  const { how, left, right } = core;
  const [low, high] = [scalarOf(left), scalarOf(right)];
  const about = (subject: Core, values: Partial<Values>): Demand | undefined => {
    const key = keyOf(subject, lets);
    const isWhole = subject.type.kind === "int";
    return key === undefined ? undefined : { subject: key, values: { ...everything, isWhole, ...values } };
  };
  const only = (subject: Core, set: ReadonlySet<Scalar>) => about(subject, isTrue ? { among: set } : { except: set });
  switch (how) {
    case "equal":
      if (high !== undefined) return only(left, new Set([high]));
      return low === undefined ? undefined : only(right, new Set([low]));
    case "in": {
      const set = right.op === "const" && right.value instanceof Set ? [...right.value] : [undefined];
      return set.every(isScalar) ? only(left, new Set(set)) : undefined;
    }
    case "less":
    case "less-or-equal": {
      // Not (a < b) is b <= a.
      const isOpen = (how === "less") === isTrue;
      if (typeof high === "number")
        return about(left, isTrue ? { max: high, isMaxOpen: isOpen } : { min: high, isMinOpen: isOpen });
      if (typeof low !== "number") return undefined;
      return about(right, isTrue ? { min: low, isMinOpen: isOpen } : { max: low, isMaxOpen: isOpen });
    }
    case "in-range": {
      if (!isTrue || right.op !== "const") return undefined;
      const range = right.value as { readonly from: number; readonly to: number; readonly isHalfOpen: boolean };
      return about(left, { min: range.from, max: range.to, isMaxOpen: range.isHalfOpen });
    }
    default:
      return undefined;
  }
}

function scalarOf(core: Core): Scalar | undefined {
  if (core.op === "let") return scalarOf(core.body);
  return core.op === "const" && isScalar(core.value) ? core.value : undefined;
}

export function both(a: Values, b: Values): Values {
  const min = Math.max(a.min, b.min);
  const max = Math.min(a.max, b.max);
  return {
    among: a.among && b.among ? new Set([...a.among].filter((v) => b.among?.has(v))) : (a.among ?? b.among),
    except: new Set([...a.except, ...b.except]),
    min,
    isMinOpen: (a.min === min && a.isMinOpen) || (b.min === min && b.isMinOpen),
    max,
    isMaxOpen: (a.max === max && a.isMaxOpen) || (b.max === max && b.isMaxOpen),
    isWhole: a.isWhole || b.isWhole,
  };
}

const holds = (values: Values, value: Scalar): boolean => {
  if (values.except.has(value) || values.among?.has(value) === false) return false;
  if (typeof value !== "number") return true;
  const isAbove = values.isMinOpen ? value > values.min : value >= values.min;
  return isAbove && (values.isMaxOpen ? value < values.max : value <= values.max);
};

export function isNone(values: Values): boolean {
  if (values.among) return ![...values.among].some((value) => holds(values, value));
  if (values.isWhole) {
    const first = values.isMinOpen ? Math.floor(values.min) + 1 : Math.ceil(values.min);
    const last = values.isMaxOpen ? Math.ceil(values.max) - 1 : Math.floor(values.max);
    return first > last || (first === last && values.except.has(first));
  }
  const isPoint = values.min === values.max;
  return (
    values.min > values.max || (isPoint && (values.isMinOpen || values.isMaxOpen || values.except.has(values.min)))
  );
}

/** Is every value of `inner` one of `outer`? Says no where it cannot tell. */
export function isWithin(inner: Values, outer: Values): boolean {
  if (inner.among) return [...inner.among].every((value) => !holds(inner, value) || holds(outer, value));
  if (outer.among) return false;
  const isAbove = inner.min > outer.min || (inner.min === outer.min && (inner.isMinOpen || !outer.isMinOpen));
  const isBelow = inner.max < outer.max || (inner.max === outer.max && (inner.isMaxOpen || !outer.isMaxOpen));
  return isAbove && isBelow && [...outer.except].every((value) => !holds(inner, value));
}
