// the text before the cursor -> what may stand there
import { type CompletionItem, CompletionItemKind } from "vscode-languageserver";
import { builtins } from "../../dsl/builtins.ts";
import { maskNames } from "../../dsl/check/mask-call.ts";
import { partText, pathText, reservedWords } from "../../dsl/words.ts";
import { factEnums, factSchema } from "../../engine/model/fact-schema.ts";
import { packageOf } from "./occurrences.ts";
import type { OpenBundle } from "./workspace.ts";

const item = (label: string, kind: CompletionItemKind, detail?: string, documentation?: string): CompletionItem => ({
  label,
  kind,
  ...(detail === undefined ? {} : { detail }),
  ...(documentation === undefined ? {} : { documentation }),
});
const words = (labels: readonly string[], kind: CompletionItemKind = CompletionItemKind.Keyword) =>
  labels.map((label) => item(label, kind));

const declarations = [
  ...["import", "type", "schema", "catalog", "data", "let", "func", "counter", "fixture", "default deny"],
  ...["allow", "deny", "mask", "filter", "require approval", "limit", "alert", "test", "property"],
];
const clauses = ["on", "at", "when", "unless", "let", "because"];
const actions = ["read", "write", "ddl", "dcl", "tcl", "session", "procedural", "select", "insert", "update", "delete"];
const annotations = ["title", "description", "severity", "owner", "controls", "mode", "allow_missing"];

/** `before`: the text from the start of the file to the cursor. */
export function completionsAt(bundle: OpenBundle, path: string, before: string): readonly CompletionItem[] {
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const chain = /([A-Za-z_*][\w.*]*)?$/.exec(line)?.[0] ?? "";
  const dot = chain.lastIndexOf(".");
  if (dot >= 0) return afterDot(bundle, chain.slice(0, dot), before);
  const head = line.slice(0, line.length - chain.length);
  if (/@$/.test(head)) return words(annotations, CompletionItemKind.Property);
  if (/\bjson\s+tagged\s+(?:"[^"]*",\s*)*"?$/.test(head))
    return words([...bundle.bundle.checked.contentTags].sort(), CompletionItemKind.EnumMember);
  if (/\b(?:of|mask)\s+json\s+$/.test(head)) return words(["tagged"]);
  if (/\busing\s+$/.test(head)) return words(maskNames, CompletionItemKind.Function);
  if (/\bon\s+$/.test(head)) return words(["any", "sql", "http", "mcp", "llm"]);
  if (/\bon\s+sql\s+(?:\w+,\s*)*$/.test(head)) return words([...actions, "of"]);
  if (/\bof\s+$/.test(head)) return [...tablesOf(bundle, true), ...words(["json", "text"])];
  if (/\bof\s+(?:[\w.*]+,\s*)+$/.test(head)) return tablesOf(bundle, true);
  if (/\bby\s+$/.test(head) && /^\s*expect\b/.test(line)) return rulesOf(bundle, path);
  if (/^\s*given\s+$/.test(head)) {
    return words([
      "identity",
      "sql",
      "http",
      "mcp",
      "llm",
      "time",
      "session",
      "connection",
      "counter",
      "data",
      "approval",
    ]);
  }
  if (/^\s*expect\s+(?:not\s+)?$/.test(head))
    return words(["allow", "deny", "approval", "mask", "filter", "limit", "alert"]);
  if (/^\s*$/.test(head)) return words(head === "" ? declarations : [...clauses, "given", "expect", "cases", "forall"]);
  return expressions(bundle, path);
}

function afterDot(bundle: OpenBundle, owner: string, before: string): readonly CompletionItem[] {
  const root = factSchema[owner];
  if (root) {
    const fields = Object.entries(root.fields).map(([name, field]) =>
      item(name, CompletionItemKind.Field, field.type, field.doc),
    );
    return fields;
  }
  if (owner === "row") return rowColumns(bundle, before);
  const [schema, table, more] = owner.split(".");
  if (more !== undefined) return [];
  const relations = relationsOf(bundle);
  if (table !== undefined) {
    return relations
      .filter((r) => r.schema === schema && r.name === table)
      .flatMap((r) => r.columns.map((c) => item(partText(c.name, true), CompletionItemKind.Field, c.type.sql)));
  }
  return relations
    .filter((r) => r.schema === schema)
    .map((r) => item(partText(r.name, true), CompletionItemKind.Struct, r.kind));
}

const relationsOf = ({ bundle }: OpenBundle) =>
  [...bundle.checked.catalogs.values()]
    .flatMap((catalog) => [...catalog.relations.values()])
    .sort((a, b) => (a.schema + a.name < b.schema + b.name ? -1 : 1));

const tablesOf = (bundle: OpenBundle, withTags: boolean): readonly CompletionItem[] => [
  ...relationsOf(bundle).map((r) => item(pathText(r.schema, r.name), CompletionItemKind.Struct, r.kind)),
  ...(withTags ? words(["tagged"]) : []),
];

/** Columns of the tables that the filter is of, as far as its line says; of all tables otherwise. */
function rowColumns(bundle: OpenBundle, before: string): readonly CompletionItem[] {
  const filters = [...before.slice(-2_000).matchAll(/\bfilter\s+\w+\s+of\s+([\w.,\s]+?)\s+where\b/g)];
  const named = filters.at(-1)?.[1]?.split(/\s*,\s*/) ?? [];
  const found = relationsOf(bundle).filter((r) => named.length === 0 || named.includes(`${r.schema}.${r.name}`));
  const columns = new Map(found.flatMap((r) => r.columns.map((c) => [c.name, c.type.sql] as const)));
  return [...columns].map(([name, type]) => item(name, CompletionItemKind.Field, type));
}

const rulesOf = (bundle: OpenBundle, path: string): readonly CompletionItem[] =>
  ownDecls(bundle, path).flatMap((decl) =>
    decl.kind === "rule" ? [item(decl.name.text, CompletionItemKind.Event, decl.head.effect, decl.doc)] : [],
  );

function ownDecls(bundle: OpenBundle, path: string) {
  const name = bundle.sources.filter((file) => file.path === path).map(packageOf)[0];
  return bundle.sources.filter((file) => packageOf(file) === name).flatMap((file) => file.decls);
}

const expressionWords = reservedWords.filter((word) =>
  [
    "and",
    "or",
    "not",
    "in",
    "contains",
    "startswith",
    "endswith",
    "like",
    "matches",
    "is",
    "if",
    "any",
    "all",
    "none",
    "true",
    "false",
  ].includes(word),
);

function expressions(bundle: OpenBundle, path: string): readonly CompletionItem[] {
  const own = ownDecls(bundle, path).flatMap((decl) => {
    switch (decl.kind) {
      case "let":
      case "data":
      case "counter":
      case "fixture":
        return [item(decl.name.text, CompletionItemKind.Variable, decl.kind, decl.doc)];
      case "func":
        return [item(decl.name.text, CompletionItemKind.Function, "func", decl.doc)];
      default:
        return [];
    }
  });
  const imported = bundle.sources
    .filter((file) => file.path === path)
    .flatMap((file) =>
      file.imports.flatMap((i) => (i.names ?? []).map((n) => item(n.text, CompletionItemKind.Variable, "imported"))),
    );
  return [
    ...own,
    ...imported,
    ...Object.entries(factSchema)
      .filter(([, root]) => root.scope !== "type")
      .map(([name, root]) => item(name, CompletionItemKind.Module, "fact", root.doc)),
    ...Object.entries(builtins).map(([name, b]) => item(name, CompletionItemKind.Function, b.signature, b.doc)),
    ...Object.values(factEnums).flatMap((e) =>
      e.values.map((value) => item(value, CompletionItemKind.EnumMember, e.one)),
    ),
    ...words(expressionWords),
  ];
}
