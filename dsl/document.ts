// A bundle -> tables in Markdown: what each role is given and what holds it back, and which rules are about each table
import type { Relation } from "../engine/model/catalog.ts";
import { kindOfVerb, type SqlKind, sqlVerbs } from "../engine/model/statement.ts";
import type { Checked, CheckedRule } from "./checked.ts";
import { guardsOf } from "./compile-guards.ts";
import { anyMatches } from "./glob.ts";
import { describeScope } from "./index-report.ts";
import { columnHasTag, maskedColumns, namesTable, tableHasTag } from "./matching.ts";

/**
 * A role is what a rule asks of the identity: groups, kind, subject. Rules that ask nothing of it are everybody's.
 * Deterministic, as all of this file: equal bundles give equal pages.
 */
export function roleSection(checked: Checked): string {
  const byRole = new Map<string, { readonly given: string[]; readonly held: string[] }>();
  const rules = checked.rules.filter((rule) => rule.payload.effect !== "alert" && !rule.isShadow);
  for (const rule of rules) {
    const role = roleOf(rule);
    const row = byRole.get(role) ?? { given: [], held: [] };
    byRole.set(role, row);
    if (rule.payload.effect === "allow") row.given.push(`${rule.name} (${describeScope(rule.scope)})`);
    else row.held.push(`${rule.name} (${rule.payload.effect.replace("content-", "")})`);
  }
  const rows = [...byRole].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    "## Who\n",
    "| who | is allowed | and held back by |",
    "|---|---|---|",
    ...rows.map(([role, { given, held }]) => `| ${cell([role])} | ${cell(given)} | ${cell(held)} |`),
    "",
  ].join("\n");
}

function roleOf(rule: CheckedRule): string {
  const guards = guardsOf(rule);
  if (guards.length === 0) return "everybody";
  const parts = guards.map(({ attribute, values }) =>
    attribute === "groups" ? `group ${values.join(" or ")}` : `${attribute} ${values.join(" or ")}`,
  );
  return [...new Set(parts)].sort().join(", ");
}

/** Text from a policy must not end its cell. */
const cell = (items: readonly string[]): string => items.join("; ").replaceAll("|", "\\|") || "–";

/** For each table of the catalogs, the rules that are about it; empty without a catalog. */
export function tableSection(checked: Checked): string {
  return [...checked.catalogs]
    .map(([connection, catalog]) => {
      const relations = [...catalog.relations].filter(([, r]) => !systemSchemas.has(r.schema));
      const rows = relations
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, relation]) => {
          const naming = checked.rules.filter(
            (rule) => !rule.isShadow && anyMatches(rule.at, connection) && concerns(rule, relation),
          );
          const list = (...effects: readonly string[]): string =>
            cell(naming.filter((r) => effects.includes(r.payload.effect)).map((r) => r.name));
          return `| ${cell([key])} | ${list("allow")} | ${list("deny")} | ${list("mask", "filter")} | ${list("approval")} |`;
        });
      return [
        `## Tables of ${connection}\n`,
        "| table | allowed by | denied by | masked or filtered by | approved under |",
        "|---|---|---|---|---|",
        ...rows,
        "",
      ].join("\n");
    })
    .join("\n");
}

const systemSchemas: ReadonlySet<string> = new Set(["pg_catalog", "information_schema"]);

/** Kinds of statements that are about a table. */
const tableKinds: readonly SqlKind[] = ["read", "write", "ddl", "dcl"];

function concerns(rule: CheckedRule, relation: Relation): boolean {
  const { payload, scope } = rule;
  if (payload.effect === "mask") return maskedColumns(payload.columns, relation).length > 0;
  const patterns = payload.effect === "filter" ? payload.tables : scope.protocol === "sql" ? scope.tables : undefined;
  if (!patterns) {
    if (scope.protocol === "any") return true;
    return scope.protocol === "sql" && [...(scope.verbs ?? sqlVerbs)].some((v) => tableKinds.includes(kindOfVerb[v]));
  }
  return patterns.some((p) =>
    p.kind === "named"
      ? namesTable(p, relation)
      : tableHasTag(relation, p.tag, true) || relation.columns.some((c) => columnHasTag(c, p.tag, true)),
  );
}
