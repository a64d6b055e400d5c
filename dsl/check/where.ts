// E0501: the part of a `where` that reads the row must have a form in SQL; everything else is computed before.
import type { Core } from "../checked.ts";
import { type Env, report, sourceOf } from "./context.ts";
import { childrenOf, someCore } from "./cost.ts";

const readsRow = (core: Core): boolean => someCore(core, (c) => c.op === "row");

const isWrong = (core: Core): boolean => core.op === "const" && core.value === undefined && core.type.kind === "poison";

/**
 * Something was wrong with a part, and nobody said so: an operation on a column whose type no catalog tells. Silence
 * would leave a filter that fails on every request.
 */
export function reportSilent(env: Env, core: Core): void {
  if (isWrong(core)) {
    refuse(env, core, undefined);
    return;
  }
  for (const child of childrenOf(core)) reportSilent(env, child);
}

/** Reports the first part that can't run in the database; false if there is one. */
export function checkTranslatable(env: Env, core: Core): boolean {
  if (!readsRow(core)) return true;
  switch (core.op) {
    case "row":
      return core.type.kind !== "json" || refuse(env, core, undefined); // a bool column
    case "not":
      return checkTranslatable(env, core.operand);
    case "and":
    case "or":
      return core.operands.every((operand) => checkTranslatable(env, operand));
    case "present":
      return core.operand.op === "row" || refuse(env, core.operand, undefined);
    case "compare":
      return checkComparison(env, core);
    default:
      return refuse(env, core, undefined);
  }
}

function checkComparison(env: Env, core: Core & { op: "compare" }): boolean {
  const { how, left, right } = core;
  const isSimple = (side: Core): boolean => side.op === "row" || !readsRow(side);
  if (how === "equal" || how === "less" || how === "less-or-equal") {
    const isInside = left.op === "row" && right.op === "row" && (left.path || right.path) !== undefined;
    if (isInside) return refuse(env, right, undefined);
    const bad = [left, right].find((side) => !isSimple(side));
    return bad === undefined || refuse(env, bad, bad === left ? right : left);
  }
  if (how === "in" || how === "in-range") {
    if (left.op === "row" && !readsRow(right)) return true;
    return refuse(env, isSimple(left) ? core : left, undefined);
  }
  return refuse(env, core, undefined);
}

function refuse(env: Env, core: Core, other: Core | undefined): false {
  const isCall = core.op === "call" || core.op === "invoke";
  const [arg] = core.op === "call" ? core.args : [];
  const isCase = core.op === "call" && (core.name === "lower" || core.name === "upper") && arg?.op === "row" && other;
  const root = env.hasItem ? "item" : "row";
  const message = env.hasItem
    ? "this condition cannot be asked of each item"
    : "this row filter cannot run inside the database";
  const form = env.hasItem ? "is not possible" : "has no SQL form";
  report(env, "E0501", core.span, message, {
    label: isCall ? `a function of \`${root}\` ${form} here` : `this use of \`${root}\` ${form} here`,
    notes: [
      `with ${env.hasItem ? "`item.field as string`" : "`row.column`"} you may use  == != < <= > >= in  \`is present\`  and or not`,
    ],
    help: isCase
      ? [
          `compare with both spellings: \`${sourceOf(env, arg.span)} in [${sourceOf(env, other.span)}, ${core.name === "lower" ? "upper" : "lower"}(${sourceOf(env, other.span)})]\``,
        ]
      : [],
  });
  return false;
}
