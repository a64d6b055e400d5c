// E0407: `http.operation` compared with an operation that no document of the rule's connections has.
import type { CheckedRule, Core } from "../checked.ts";
import { anyMatches } from "../glob.ts";
import { suggest } from "../suggest.ts";
import { report } from "./context.ts";
import { childrenOf } from "./cost.ts";
import type { RuleCheck } from "./rules.ts";

export const operationNames: RuleCheck = (context, checked) => {
  for (const rule of checked.rules) {
    const file = checked.files.get(rule.path);
    const apis = [...context.apis].filter(([connection]) => anyMatches(rule.at, connection)).map(([, api]) => api);
    // Where some connection has no document, nobody knows its operations.
    if (!file || apis.length === 0 || (rule.at ?? []).some((glob) => !context.apis.has(glob.text))) continue;
    const known = apis.flatMap((api) => (api.kind === "http" ? api.operations.flatMap(({ id }) => id ?? []) : []));
    for (const { name, span } of rule.clauses.flatMap(conditionsOf).flatMap(namesIn)) {
      if (known.includes(name)) continue;
      const near = suggest(name, known);
      report({ context, file }, "E0407", span, `\`${name}\` is no operation of the API's document`, {
        label: near === undefined ? "never equal" : `did you mean \`${near}\`?`,
        notes: ["a rule about an operation that does not exist can never match"],
        help: known.length === 0 ? [] : [`operations are ${known.slice(0, 10).join(", ")}`],
      });
    }
  }
};

const conditionsOf = (clause: CheckedRule["clauses"][number]): readonly Core[] =>
  clause.kind === "let" ? [clause.value] : [clause.condition];

type Named = { readonly name: string; readonly span: Core["span"] };

/** Texts that stand beside `http.operation` in a comparison, alone or in a set. */
function namesIn(core: Core): readonly Named[] {
  const inner = childrenOf(core).flatMap(namesIn);
  if (core.op !== "compare" || (core.how !== "equal" && core.how !== "in")) return inner;
  const sides = [core.left, core.right];
  if (!sides.some(readsOperation)) return inner;
  return [...inner, ...sides.filter((side) => !readsOperation(side)).flatMap(textsOf)];
}

const readsOperation = (core: Core): boolean =>
  (core.op === "fact" && core.root === "http" && core.field === "operation") ||
  (core.op !== "compare" && childrenOf(core).some(readsOperation));

function textsOf(core: Core): readonly Named[] {
  if (core.op !== "const") return childrenOf(core).flatMap(textsOf);
  const { value, span } = core;
  const values: readonly unknown[] = value instanceof Set ? [...value] : Array.isArray(value) ? value : [value];
  return values.filter((each) => typeof each === "string").map((name) => ({ name, span }));
}
