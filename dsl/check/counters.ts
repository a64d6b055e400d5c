// CounterDecl -> CheckedCounter
import type { CounterDecl } from "../ast.ts";
import type { CheckedCounter, Core } from "../checked.ts";
import { isNumber, isPrintable, showType, type Type, withoutOption } from "../types.ts";
import { type CheckContext, type Declared, type Env, emptyEnv, report } from "./context.ts";
import { dataId } from "./declarations.ts";
import { checkCondition, checkExpr, decided } from "./expressions.ts";
import { checkAt, checkTarget, placeOf } from "./scope.ts";

type Measure = CheckedCounter["measure"];

const measures: readonly Measure[] = ["count", "sum", "max", "distinct"];

export function checkCounter(context: CheckContext, symbol: Declared, decl: CounterDecl): readonly CheckedCounter[] {
  const at = checkAt(decl.at);
  const env: Env = emptyEnv(context, symbol.file, symbol.package, placeOf(decl.target));
  const scope = checkTarget({ env, at, allowMissing: false }, decl.target);
  const when = decl.when && checkCondition(env, decl.when, "when");
  // An amount can't rest on the counter itself: whoever names it in there is told.
  context.open.add(symbol);
  const of = decl.of && checkExpr(env, decl.of);
  context.open.delete(symbol);
  const by = checkKey(env, decl);
  const measure = measures.find((m) => m === decl.measure.text);
  if (!measure) {
    report(env, "E0120", decl.measure.span, `\`${decl.measure.text}\` is not a way to count`, {
      label: "write `count of …`, `sum of …`, `max of …` or `distinct of …`",
      help: [
        "`counter n = count of sql read by identity.sub over 1h`",
        "`counter n = sum of sql.estimated_rows on sql read by identity.sub over 1h`",
      ],
    });
    return [];
  }
  if (of) checkMeasured(env, decl, measure, of);
  if (decl.over.kind !== "duration") return [];
  return [{ id: dataId(symbol), name: decl.name.text, measure, of, scope, at, when, by, overMs: decl.over.value }];
}

/** One request adds under one key: a key that differs between its tables would miss all but the first. */
function checkKey(env: Env, decl: CounterDecl): Core {
  const own: Env = { ...env, requires: new Set() };
  const by = decided(own, decl.by, checkExpr(own, decl.by));
  if (own.requires.has("table")) {
    report(env, "E0202", decl.by.span, "`table` is not available in the key of a counter", {
      label: "not available here",
      notes: ["a request counts once, whatever number of tables it reaches"],
      help: ["count what is told apart: `distinct of table on sql read by identity.sub over 1h`"],
    });
  }
  return by;
}

function checkMeasured(env: Env, decl: CounterDecl, measure: Measure, of: Core): void {
  const type = withoutOption(of.type);
  if (type.kind === "poison") return;
  const isDistinct = measure === "distinct";
  if (isDistinct ? isCountable(type) : isNumber(type) || type.kind === "size" || type.kind === "duration") return;
  report(
    env,
    "E0203",
    decl.of?.span ?? decl.span,
    `expected \`${isDistinct ? "string" : "int"}\`, found \`${showType(of.type)}\``,
    { label: isDistinct ? "cannot be told apart" : measure === "max" ? "has no largest" : "cannot be added up" },
  );
}

/** Has one text by which it is told apart, or is a collection of such. */
const isCountable = (type: Type): boolean => type.kind !== "cidr" && isPrintable(type);
