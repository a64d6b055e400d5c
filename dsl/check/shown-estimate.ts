// A rule whose reason, filter or number would show `sql.estimated_rows` to the client -> E0226
import type { RuleDecl } from "../ast.ts";
import type { Clause, Core, Local, Payload } from "../checked.ts";
import { type Env, report } from "./context.ts";
import { someCore } from "./cost.ts";

/**
 * The planner's estimate comes from statistics over all rows: hidden ones too. A rule may decide by it; the number itself is for
 * the record and for alerts.
 */
export function reportShownEstimate(
  env: Env,
  decl: RuleDecl,
  clauses: readonly Clause[],
  payload: Payload | undefined,
  because: Core | undefined,
): void {
  if (decl.head.effect === "alert") return;
  const values = new Map<Local, Core>(clauses.flatMap((c) => (c.kind === "let" ? [[c.local, c.value] as const] : [])));
  const shows = (core: Core): boolean =>
    someCore(core, (part) => {
      if (part.op === "fact") return part.root === "sql" && part.field === "estimated_rows";
      const value = part.op === "local" ? values.get(part.local) : undefined;
      return value !== undefined && shows(value);
    });
  const shown = [
    ...(because === undefined ? [] : [because]),
    ...(payload?.effect === "filter" ? [payload.where] : []),
    ...(payload?.effect === "limit" ? [payload.max] : []),
  ];
  if (!shown.some(shows)) return;
  report(env, "E0226", decl.name.span, `\`${decl.name.text}\` would show \`sql.estimated_rows\` to the client`, {
    label: "decide by the number, and don't tell it",
    notes: ["the planner's statistics are of all rows: those that a filter hides, and values under a mask"],
    help: ["say what to do in place of the statement; the record and alerts have the number"],
  });
}
