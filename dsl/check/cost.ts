// Steps that an expression takes at most. Every collection of a request has at most `policySetElementsMax` elements.
import { limits } from "../../engine/limits.ts";
import { builtins } from "../builtins.ts";
import type { Core } from "../checked.ts";

const many = limits.policySetElementsMax;

export function costOf(core: Core): number {
  switch (core.op) {
    case "const":
    case "fact":
    case "table":
    case "param":
    case "row":
    case "local":
    case "data":
      return 1;
    case "let":
      return costOf(core.body);
    case "invoke":
      return 1 + total(core.args) + costOf(core.body);
    case "call":
      return 1 + total(core.args) + (builtins[core.name]?.cost ?? 1);
    case "property":
      return 1 + costOf(core.object);
    case "lookup":
      return 1 + costOf(core.object) + costOf(core.key);
    case "not":
    case "negate":
    case "present":
      return 1 + costOf(core.operand);
    case "cast":
      return 16 + costOf(core.operand);
    case "and":
    case "or":
    case "collect":
      return 1 + total(core.op === "collect" ? core.items : core.operands);
    case "compare":
      return 1 + costOf(core.left) + costOf(core.right) + comparisonCost(core);
    case "arithmetic":
    case "coalesce":
      return 1 + costOf(core.left) + costOf(core.right);
    case "range":
      return costOf(core.from) + costOf(core.to);
    case "if":
      return 1 + costOf(core.condition) + Math.max(costOf(core.then), costOf(core.else));
    case "quantifier":
      return costOf(core.over) + sizeOf(core.over) * (1 + costOf(core.body));
    case "comprehension":
      return (
        costOf(core.over) + sizeOf(core.over) * (1 + costOf(core.item) + (core.condition ? costOf(core.condition) : 0))
      );
    case "record":
      return 1 + total(core.entries.map((e) => e.value));
    case "text":
      return 1 + total(core.parts.filter((p) => typeof p !== "string"));
    case "counter":
      return 10 + costOf(core.key);
    default:
      return core satisfies never;
  }
}

const total = (cores: readonly Core[]): number => cores.reduce((sum, core) => sum + costOf(core), 0);

/** Sets of texts are looked up; lists and sets of tables are walked. */
function comparisonCost(core: Core & { op: "compare" }): number {
  if (core.how === "matches" || core.how === "like") return 100;
  if (core.how === "equal") return isCollection(core.left) ? many : 0;
  if (core.how !== "in" || core.right.op === "const") return 0;
  const { type } = core.right;
  const isHashed = type.kind === "set" && type.of.kind !== "table" && type.of.kind !== "column";
  return isHashed ? 0 : sizeOf(core.right);
}

const isCollection = (core: Core): boolean => core.type.kind === "set" || core.type.kind === "list";

/** Elements at most. */
export function sizeOf(core: Core): number {
  if (core.op === "const")
    return core.value instanceof Set ? core.value.size : Array.isArray(core.value) ? core.value.length : 1;
  if (core.op === "collect") return core.items.length;
  if (core.op === "let") return sizeOf(core.body);
  return many;
}

/** The deepest stack of quantifiers and comprehensions. */
export function quantifierDepth(core: Core): number {
  const inner = Math.max(0, ...childrenOf(core).map(quantifierDepth));
  return core.op === "quantifier" || core.op === "comprehension" ? inner + 1 : inner;
}

/** Direct subexpressions; those of lets and functions included. */
export function childrenOf(core: Core): readonly Core[] {
  switch (core.op) {
    case "const":
    case "fact":
    case "table":
    case "param":
    case "row":
    case "local":
    case "data":
      return [];
    case "let":
      return [core.body];
    case "invoke":
      return [...core.args, core.body];
    case "call":
      return core.args;
    case "property":
      return [core.object];
    case "lookup":
      return [core.object, core.key];
    case "not":
    case "negate":
    case "present":
    case "cast":
      return [core.operand];
    case "and":
    case "or":
      return core.operands;
    case "collect":
      return core.items;
    case "compare":
    case "arithmetic":
    case "coalesce":
      return [core.left, core.right];
    case "range":
      return [core.from, core.to];
    case "if":
      return [core.condition, core.then, core.else];
    case "quantifier":
      return [core.over, core.body];
    case "comprehension":
      return core.condition ? [core.over, core.condition, core.item] : [core.over, core.item];
    case "record":
      return core.entries.map((e) => e.value);
    case "text":
      return core.parts.filter((p) => typeof p !== "string");
    case "counter":
      return [core.key];
    default:
      return core satisfies never;
  }
}

export const someCore = (core: Core, test: (core: Core) => boolean): boolean =>
  test(core) || childrenOf(core).some((child) => someCore(child, test));
