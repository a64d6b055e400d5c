// A bundle -> a Markdown page of what it permits: per rule in words, and per table.
import { unreachable } from "../engine/lib/assert.ts";
import type { Relation } from "../engine/model/catalog.ts";
import { kindOfVerb, type SqlKind, sqlVerbs } from "../engine/model/statement.ts";
import type { Checked, CheckedRule } from "./checked.ts";
import { anyMatches } from "./glob.ts";
import { describeScope } from "./index-report.ts";
import { columnHasTag, maskedColumns, namesTable, tableHasTag } from "./matching.ts";

const sections = [
  ["allow", "What is allowed"],
  ["deny", "What is never allowed"],
  ["approval", "What waits for approval"],
  ["mask", "What is masked"],
  ["filter", "Which rows are hidden"],
  ["limit", "What is limited"],
  ["alert", "What raises an alert"],
] as const;

/** Deterministic: equal bundles give equal pages. */
export function documentBundle(checked: Checked): string {
  const lines: string[] = [];
  for (const name of checked.packages) {
    const rules = checked.rules.filter((rule) => rule.package === name);
    if (rules.length === 0) continue;
    lines.push(`# ${name}`, "", `Whatever no rule allows is denied${defaultOf(checked, name)}.`, "");
    for (const [effect, title] of sections) {
      const own = rules.filter((rule) => sectionOf(rule) === effect);
      if (own.length === 0) continue;
      lines.push(`## ${title}`, "");
      for (const rule of own) lines.push(...describeRule(checked, rule), "");
    }
  }
  lines.push(...tableSection(checked));
  return `${lines.join("\n").trimEnd()}\n`;
}

function defaultOf(checked: Checked, name: string): string {
  const because = checked.defaults.find((d) => d.package === name)?.because;
  return because?.op === "const" ? `: “${String(because.value)}”` : "";
}

const sectionOf = (rule: CheckedRule): string =>
  rule.payload.effect === "content-mask" ? "mask" : rule.payload.effect;

function describeRule(checked: Checked, rule: CheckedRule): readonly string[] {
  const text = checked.files.get(rule.path)?.text ?? "";
  const conditions = rule.clauses.flatMap((clause) => {
    const source = text.slice(clause.span.start, clause.span.end).replace(/\s+/g, " ").trim();
    return [`- \`${source}\``];
  });
  const because = rule.decl.because ? text.slice(rule.decl.because.span.start, rule.decl.because.span.end) : undefined;
  return [
    `### ${rule.name}${rule.isShadow ? " (shadow: reported, not enforced)" : ""}`,
    "",
    ...(rule.decl.doc === undefined ? [] : [rule.decl.doc, ""]),
    `${payloadInWords(rule, text)} On ${describeScope(rule.scope)}, at ${rule.at?.map((g) => `\`${g.text}\``).join(", ") ?? "every connection"}.`,
    ...(conditions.length === 0 ? [] : ["", ...conditions]),
    ...(because === undefined ? [] : ["", `> ${because}`]),
    ...(rule.severity === undefined ? [] : ["", `Severity: ${rule.severity}.`]),
  ];
}

function payloadInWords(rule: CheckedRule, text: string): string {
  const { payload } = rule;
  switch (payload.effect) {
    case "allow":
      return "Allowed.";
    case "deny":
      return "Denied.";
    case "mask":
      return `Masks ${payload.columns.map((c) => `\`${c.text}\``).join(", ")} using \`${payload.mask.kind}\`.`;
    case "content-mask":
      return `Masks ${payload.format} ${payload.patterns.map((p) => `\`${p}\``).join(", ")} using \`${payload.mask.kind}\`.`;
    case "filter":
      return `Shows only rows of ${payload.tables.map((t) => `\`${t.text}\``).join(", ")} where \`${text.slice(payload.where.span.start, payload.where.span.end).replace(/\s+/g, " ")}\`.`;
    case "approval": {
      const who = payload.approvers.map((a) => `${a.count} of ${a.kind} ${a.name}`).join(" or ");
      return `Waits for ${who === "" ? "an approver" : who}; a grant lives ${Math.round(payload.withinMs / 60_000)} minutes.`;
    }
    case "limit":
      return `At most \`${text.slice(payload.max.span.start, payload.max.span.end)}\` ${payload.unit}${payload.window ? ` per ${payload.window.ms / 1_000} s` : ""}.`;
    case "alert":
      return `Tells \`${payload.channel}\`.`;
    default:
      return unreachable(payload);
  }
}

/** For each table of the catalogs, the rules that name it. */
function tableSection(checked: Checked): readonly string[] {
  const lines: string[] = [];
  for (const [connection, catalog] of checked.catalogs) {
    lines.push(
      `# Tables of ${connection}`,
      "",
      "| table | allowed by | denied by | masked or filtered by |",
      "|---|---|---|---|",
    );
    for (const [key, relation] of [...catalog.relations].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (relation.schema === "pg_catalog" || relation.schema === "information_schema") continue;
      const naming = checked.rules.filter((rule) => anyMatches(rule.at, connection) && concerns(rule, relation));
      const list = (effects: readonly string[]): string =>
        naming
          .filter((r) => effects.includes(sectionOf(r)))
          .map((r) => r.name)
          .join(", ") || "–";
      lines.push(`| ${key} | ${list(["allow"])} | ${list(["deny"])} | ${list(["mask", "filter"])} |`);
    }
    lines.push("");
  }
  return lines;
}

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
