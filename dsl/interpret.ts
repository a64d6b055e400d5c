// Checked -> Program, the naive way: walks the tree and asks every rule about every access. The oracle of the compiler,
// and what tests, coverage and explanations run on, because it tells what it looks at.

import type { Json } from "../engine/lib/json.ts";
import { andTruth, notTruth, orTruth, type Truth, Unknown } from "../engine/lib/truth.ts";
import type { Candidate, EvaluationContext, ExecutableRule, Program } from "../engine/program.ts";
import { claimOf, fieldOf, lookup, rangeOver } from "./absence.ts";
import { builtins } from "./builtins.ts";
import type { Checked, CheckedRule, Core, Local, Value } from "./checked.ts";
import { asKey, asNumber, messageOf } from "./compile-rule.ts";
import { factReaders, readCatalogField, readTable } from "./facts.ts";
import { anyMatches } from "./glob.ts";
import { coveredColumns, isRestricting, maskedColumns, matchScope, payloadConcerns } from "./matching.ts";
import { predicateOf } from "./predicates.ts";
import { arithmetic, castJson, compareValues, fromEntries, showValue } from "./values.ts";

/** What happened while deciding, told as it happens. `rule` is undefined for the text of a default. */
export type Trace = {
  readonly onRead?: (rule: CheckedRule | undefined, core: Core, value: Value) => void;
  /** A clause (index into `rule.clauses`) was asked; not told for clauses that a false one before made moot. */
  readonly onClause?: (rule: CheckedRule, clause: number, truth: Truth, c: EvaluationContext) => void;
  /** The whole condition of a rule in scope was asked. */
  readonly onRule?: (rule: CheckedRule, truth: Truth, c: EvaluationContext) => void;
  /** A true / false part of a condition, for coverage. */
  readonly onCondition?: (rule: CheckedRule, core: Core, truth: Truth) => void;
};

export type InterpretOptions = {
  /** In place of the bundle's data documents, by id. */
  readonly data?: ReadonlyMap<string, Value>;
  readonly trace?: Trace;
};

export function interpretProgram(checked: Checked, options: InterpretOptions = {}): Program {
  const rules = checked.rules.map((rule) => ({ rule, executable: interpretRule(checked, rule, options) }));
  const taking = new Set(checked.packages);
  const defaults = checked.defaults
    .filter((d) => taking.has(d.package) && d.because)
    .sort((a, b) => (a.package < b.package ? -1 : 1));
  return {
    localsMax: 0,
    defaultMessage: (c) => {
      const walker = new Walker(checked, undefined, options, c);
      const texts = defaults.map((d) => (d.because ? String(walker.eval(d.because)) : ""));
      return texts.length === 0 ? undefined : [...new Set(texts)].join("; ");
    },
    candidates: (request, access) => {
      const all: { rules: Candidate[]; alerts: Candidate[] } = { rules: [], alerts: [] };
      for (const { rule, executable } of rules) {
        if (!anyMatches(rule.at, request.connection.name) || !payloadConcerns(rule, access)) continue;
        for (const params of matchScope(rule.scope, request, access, isRestricting(rule))) {
          (executable.effect === "alert" ? all.alerts : all.rules).push({ rule: executable, params });
        }
      }
      return all;
    },
  };
}

function interpretRule(checked: Checked, rule: CheckedRule, options: InterpretOptions): ExecutableRule {
  const walker = (c: EvaluationContext): Walker => new Walker(checked, rule, options, c);
  const base = {
    id: rule.id,
    severity: rule.severity,
    isShadow: rule.isShadow,
    holds: (c: EvaluationContext): Truth => {
      const truth = walker(c).holds(rule);
      options.trace?.onRule?.(rule, truth, c);
      return truth;
    },
    message: (c: EvaluationContext): string =>
      rule.because ? String(walker(c).evalIn(rule, rule.because)) : messageOf(rule),
  };
  const { payload, scope } = rule;
  switch (payload.effect) {
    case "allow":
      return { ...base, effect: "allow", covers: (access) => coveredColumns(scope, access) };
    case "mask":
      return {
        ...base,
        effect: "mask",
        mask: payload.mask,
        columns: (relation) => maskedColumns(payload.columns, relation),
      };
    case "content-mask":
      return {
        ...base,
        effect: "content-mask",
        content: { format: payload.format, patterns: payload.patterns },
        mask: payload.mask,
      };
    case "filter":
      return {
        ...base,
        effect: "filter",
        where: (c) => predicateOf(payload.where, (core) => walker(c).evalIn(rule, core)),
      };
    case "item-filter":
      return {
        ...base,
        effect: "item-filter",
        path: payload.path,
        where: (c) => predicateOf(payload.where, (core) => walker(c).evalIn(rule, core)),
      };
    case "limit": {
      const { max, unit, window } = payload;
      return {
        ...base,
        effect: "limit",
        unit,
        max: (c) => asNumber(walker(c).evalIn(rule, max)),
        window: window && { ms: window.ms, key: (c) => asKey(walker(c).evalIn(rule, window.by)) },
      };
    }
    case "approval":
      return { ...base, ...payload };
    case "alert":
      return { ...base, ...payload };
    case "deny":
      return { ...base, effect: "deny" };
    default:
      return payload satisfies never;
  }
}

const asTruth = (value: Value): Truth =>
  typeof value === "boolean" || value instanceof Unknown ? value : new Unknown("a value that the rule needs is absent");

/** One evaluation of one rule. Variables are a map: nothing is numbered, nothing shared. */
export class Walker {
  readonly #checked: Checked;
  readonly #rule: CheckedRule | undefined;
  readonly #options: InterpretOptions;
  readonly #c: EvaluationContext;
  readonly #locals: Map<Local, Value>;
  readonly #lets = new Map<Local, Core>();

  constructor(
    checked: Checked,
    rule: CheckedRule | undefined,
    options: InterpretOptions,
    c: EvaluationContext,
    locals: ReadonlyMap<Local, Value> = new Map(),
  ) {
    this.#checked = checked;
    this.#rule = rule;
    this.#options = options;
    this.#c = c;
    this.#locals = new Map(locals);
  }

  holds(rule: CheckedRule): Truth {
    let truth: Truth = true;
    for (const [i, clause] of rule.clauses.entries()) {
      if (clause.kind === "let") {
        this.#lets.set(clause.local, clause.value);
        continue;
      }
      const value = asTruth(this.eval(clause.condition));
      this.#options.trace?.onClause?.(rule, i, value, this.#c);
      truth = andTruth(truth, clause.kind === "when" ? value : notTruth(value));
      if (truth === false) return false;
    }
    return truth;
  }

  /** An expression that stands after the clauses: their `let`s are in scope. */
  evalIn(rule: CheckedRule, core: Core): Value {
    for (const clause of rule.clauses) if (clause.kind === "let") this.#lets.set(clause.local, clause.value);
    return this.eval(core);
  }

  eval(core: Core): Value {
    const value = this.#step(core);
    if (core.type.kind === "bool" && this.#rule) {
      this.#options.trace?.onCondition?.(this.#rule, core, asTruth(value));
    }
    return value;
  }

  #read(core: Core, value: Value): Value {
    this.#options.trace?.onRead?.(this.#rule, core, value);
    return value;
  }

  /** Known and present, or why not. */
  #need(core: Core): { readonly value: Value } | Unknown {
    const value = this.eval(core);
    if (value instanceof Unknown) return value;
    return value === undefined ? new Unknown("a value that the rule needs is absent") : { value };
  }

  #needAll(cores: readonly Core[]): readonly Value[] | Unknown {
    const values: Value[] = [];
    for (const core of cores) {
      const each = this.#need(core);
      if (each instanceof Unknown) return each;
      values.push(each.value);
    }
    return values;
  }

  #step(core: Core): Value {
    switch (core.op) {
      case "const":
        return core.value;
      case "fact": {
        const read = factReaders[core.root]?.[core.field];
        return this.#read(core, read ? read(this.#c) : new Unknown(`\`${core.root}.${core.field}\` is not known`));
      }
      case "table":
        return readTable(this.#c);
      case "param":
        return this.#c.params?.[core.name] ?? new Unknown("a value that the rule needs is absent");
      case "row":
        return new Unknown("a row is not known here");
      case "local": {
        const deferred = this.#lets.get(core.local);
        return deferred && !this.#locals.has(core.local) ? this.eval(deferred) : this.#locals.get(core.local);
      }
      case "let":
        return this.eval(core.body);
      case "invoke": {
        const values = core.args.map((arg) => this.eval(arg));
        for (const [i, param] of core.params.entries()) this.#locals.set(param, values[i]);
        return this.eval(core.body);
      }
      case "call": {
        const args = this.#needAll(core.args);
        return args instanceof Unknown ? args : builtins[core.name]?.run(args);
      }
      case "property":
        return this.#property(core);
      case "lookup": {
        const object = this.eval(core.object);
        return this.#read(core, lookup(object, this.eval(core.key)));
      }
      case "not":
        return notTruth(asTruth(this.eval(core.operand)));
      case "and":
      case "or":
        return this.#junction(core);
      case "compare": {
        const sides = this.#needAll([core.left, core.right]);
        return sides instanceof Unknown ? sides : compareValues(core.how, sides[0], sides[1]);
      }
      case "present": {
        const value = this.eval(core.operand);
        return value instanceof Unknown ? value : value !== undefined;
      }
      case "arithmetic": {
        const sides = this.#needAll([core.left, core.right]);
        if (sides instanceof Unknown) return sides;
        return arithmetic(core.how, Number(sides[0]), Number(sides[1]), core.type.kind !== "float");
      }
      case "negate": {
        const each = this.#need(core.operand);
        return each instanceof Unknown ? each : 0 - Number(each.value);
      }
      case "coalesce":
        return this.eval(core.left) ?? this.eval(core.right);
      case "range": {
        const bounds = this.#needAll([core.from, core.to]);
        return bounds instanceof Unknown ? bounds : { from: bounds[0], to: bounds[1], isHalfOpen: core.isHalfOpen };
      }
      case "cast": {
        const value = this.eval(core.operand);
        return value instanceof Unknown ? value : castJson(value as Json | undefined, core.type);
      }
      case "if": {
        const condition = asTruth(this.eval(core.condition));
        return condition instanceof Unknown ? condition : this.eval(condition ? core.then : core.else);
      }
      case "quantifier":
        return this.#quantifier(core);
      case "collect": {
        const items = this.#needAll(core.items);
        return items instanceof Unknown || core.type.kind !== "set" ? items : new Set(items);
      }
      case "comprehension":
        return this.#comprehension(core);
      case "record":
        return fromEntries(core.entries.map((entry) => [entry.name, this.eval(entry.value)] as const));
      case "text":
        return core.parts
          .map((part) => (typeof part === "string" ? part : showValue(this.eval(part), part.type)))
          .join("");
      case "counter": {
        const key = this.#need(core.key);
        return key instanceof Unknown ? key : this.#c.request.counter(core.name, String(key.value));
      }
      case "data": {
        const given = this.#options.data;
        if (given?.has(core.name)) return given.get(core.name);
        const data = this.#checked.data.get(core.name);
        return data ? data.value : new Unknown(`\`${core.name}\` is not loaded`);
      }
      default:
        return core satisfies never;
    }
  }

  #property(core: Core & { op: "property" }): Value {
    if (core.of === "claim") {
      const claims = factReaders.identity?.claims?.(this.#c);
      return this.#read(core, claimOf(claims, core.name, core.type));
    }
    if (core.of === "table" || core.of === "column") {
      const object = this.#need(core.object);
      return object instanceof Unknown ? object : readCatalogField(object.value, core.name);
    }
    return fieldOf(this.eval(core.object), core.name, core.of === "json");
  }

  #junction(core: Core & { op: "and" | "or" }): Truth {
    let truth: Truth = core.op === "and";
    for (const operand of core.operands) {
      const value = asTruth(this.eval(operand));
      truth = core.op === "and" ? andTruth(truth, value) : orTruth(truth, value);
      if (truth === (core.op === "or")) return truth;
    }
    return truth;
  }

  #quantifier(core: Core & { op: "quantifier" }): Truth {
    const items = rangeOver(this.eval(core.over));
    if (items instanceof Unknown) return items;
    let truth: Truth = core.which === "all";
    for (const item of items) {
      this.#locals.set(core.local, item);
      const value = asTruth(this.eval(core.body));
      truth = core.which === "all" ? andTruth(truth, value) : orTruth(truth, value);
      if (truth === (core.which !== "all")) break;
    }
    return core.which === "none" ? notTruth(truth) : truth;
  }

  #comprehension(core: Core & { op: "comprehension" }): Value {
    const items = rangeOver(this.eval(core.over));
    if (items instanceof Unknown) return items;
    const values: Value[] = [];
    for (const item of items) {
      this.#locals.set(core.local, item);
      const isWanted = core.condition ? asTruth(this.eval(core.condition)) : true;
      if (isWanted instanceof Unknown) return isWanted;
      if (!isWanted) continue;
      const each = this.#need(core.item);
      if (each instanceof Unknown) return each;
      values.push(each.value);
    }
    return core.type.kind === "set" ? new Set(values) : values;
  }
}
