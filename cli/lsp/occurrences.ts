// a policy file -> every place where a name of the bundle stands

import type { Decl, Name, QName, SourceFile } from "../../dsl/ast.ts";
import { walkExprs } from "../../dsl/ast-walk.ts";
import type { Span } from "../../engine/lib/span.ts";

/** Values, types and rules are three worlds of names; `local` is a name of one declaration. */
export type Role = "value" | "type" | "rule" | "local";
export type Occurrence = {
  readonly role: Role;
  readonly text: string;
  readonly span: Span;
  readonly file: SourceFile;
  /** Where it stands; undefined in an import. */
  readonly decl: Decl | undefined;
  readonly isDefinition: boolean;
};

export const packageOf = (file: SourceFile): string => (file.package ? dotted(file.package) : "");
export const dotted = (name: QName): string => name.parts.map((part) => part.text).join(".");

export function occurrencesIn(file: SourceFile): readonly Occurrence[] {
  const imports = file.imports.flatMap((node) =>
    (node.names ?? []).map(
      (name): Occurrence => ({ ...place(name), role: "value", file, decl: undefined, isDefinition: false }),
    ),
  );
  return [...imports, ...file.decls.flatMap((decl) => occurrencesOf(file, decl))];
}

const place = (name: Name) => ({ text: name.text, span: name.span });

function occurrencesOf(file: SourceFile, decl: Decl): readonly Occurrence[] {
  const found: Occurrence[] = [];
  const put = (role: Role, name: Name, isDefinition = false): void => {
    found.push({ ...place(name), role, file, decl, isDefinition });
  };
  switch (decl.kind) {
    case "data":
    case "let":
    case "func":
    case "counter":
    case "fixture":
      put("value", decl.name, true);
      break;
    case "type":
      put("type", decl.name, true);
      break;
    case "rule":
      put("rule", decl.name, true);
  }
  for (const name of localsOf(decl)) put("local", name, true);
  const locals = new Set(localsOf(decl).map((name) => name.text));
  walkExprs(decl, (expr) => {
    if (expr.kind === "name") put(locals.has(expr.name.text) ? "local" : "value", expr.name);
  });
  for (const name of typesIn(decl)) put("type", name);
  if (decl.kind === "test" || decl.kind === "property") {
    for (const { what } of decl.expects) {
      if (what.kind === "effect" && what.by) put("rule", what.by);
      if ((what.kind === "limit" || what.kind === "alert") && what.name) put("rule", what.name);
    }
    for (const given of decl.givens) {
      if (given.kind === "counter" || given.kind === "data") put("value", given.name);
      if (given.kind === "root" && given.root.text === "approval" && given.value.kind === "name") {
        const { name } = given.value;
        // read as a value by the walk above: an approval names a rule
        const at = found.findIndex((o) => o.span.start === name.span.start);
        if (at >= 0) found.splice(at, 1);
        put("rule", name);
      }
    }
  }
  return found.sort((a, b) => a.span.start - b.span.start);
}

/** Names that exist inside one declaration only. */
function localsOf(decl: Decl): readonly Name[] {
  const names: Name[] = [];
  if (decl.kind === "func") names.push(...decl.params.map((param) => param.name));
  if (decl.kind === "rule") for (const clause of decl.clauses) if (clause.kind === "let") names.push(clause.name);
  if (decl.kind === "test") names.push(...(decl.cases?.columns ?? []));
  if (decl.kind === "property") names.push(...decl.foralls.map((forall) => forall.name));
  walkExprs(decl, (expr) => {
    if (expr.kind === "quantifier" || expr.kind === "comprehension") names.push(expr.variable);
  });
  return names;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Types that are named by one word. */
function typesIn(decl: Decl): readonly Name[] {
  const names: Name[] = [];
  const stack: object[] = [decl];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if ("kind" in node && node.kind === "named" && "name" in node) {
      const { parts } = node.name as QName; // SAFETY: the only node of this kind is a type's atom
      const [only, another] = parts;
      if (only && !another) names.push(only);
    }
    stack.push(...Object.values(node).filter(isObject));
  }
  return names;
}

/** What two occurrences of one name have in common; undefined for names that are not declared in the bundle. */
export function symbolOf(files: readonly SourceFile[], at: Occurrence): string | undefined {
  const here = packageOf(at.file);
  if (at.role === "local") return `local ${at.file.path} ${at.decl?.span.start ?? 0} ${at.text}`;
  const imported =
    at.role === "value" ? at.file.imports.find((i) => i.names?.some((n) => n.text === at.text)) : undefined;
  const owner = imported ? dotted(imported.path) : here;
  const isDeclared = files.some(
    (file) => packageOf(file) === owner && file.decls.some((decl) => declares(decl, at.role, at.text)),
  );
  if (isDeclared) return `${at.role} ${owner} ${at.text}`;
  // a test file may name rules of another package
  if (at.role !== "rule") return undefined;
  const elsewhere = files.find((file) => file.decls.some((decl) => declares(decl, "rule", at.text)));
  return elsewhere && `rule ${packageOf(elsewhere)} ${at.text}`;
}

function declares(decl: Decl, role: Role, text: string): boolean {
  if (!("name" in decl) || decl.name.text !== text) return false;
  return role === (decl.kind === "type" ? "type" : decl.kind === "rule" ? "rule" : "value");
}
