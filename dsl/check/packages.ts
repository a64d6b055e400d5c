// Files -> packages with their declared names, and for each file what its imports bring in.
import type { Decl, Import, SourceFile } from "../ast.ts";
import { suggest } from "../suggest.ts";
import { type CheckContext, type Declared, type FileImports, type PackageScope, report } from "./context.ts";
import { exportedNames, isExported } from "./names.ts";

const sameNameNote =
  "rule names identify rules in decision logs, `explain` and tests, so they must be unique in a package";

export const packageNameOf = (file: SourceFile): string => file.package?.parts.map((p) => p.text).join(".") ?? "";

type Reporting = Pick<CheckContext, "diagnostics"> & CheckContext;

/** Every declared name, the first of two equal ones; the second is reported. */
export function collectPackages(
  context: Reporting,
  files: readonly SourceFile[],
  packages: Map<string, PackageScope>,
): void {
  for (const file of files) {
    const name = packageNameOf(file);
    const scope = packages.get(name) ?? newScope(name);
    packages.set(name, scope);
    scope.files.push(file);
    for (const decl of file.decls) declare(context, scope, file, decl);
  }
}

const newScope = (name: string): PackageScope => ({
  name,
  files: [],
  values: new Map(),
  types: new Map(),
  rules: new Map(),
  schemas: new Map(),
});

function declare(context: CheckContext, scope: PackageScope, file: SourceFile, decl: Decl): void {
  const symbol = { file, package: scope, isUsed: false };
  switch (decl.kind) {
    case "let":
    case "func":
    case "data":
    case "counter":
    case "fixture":
      add(context, scope.values, decl.name.text, { ...symbol, decl }, decl.kind);
      return;
    case "type":
      add(context, scope.types, decl.name.text, { ...symbol, decl }, "type");
      return;
    case "rule":
      add(context, scope.rules, decl.name.text, { ...symbol, decl }, "rule");
      return;
    case "schema": {
      const key = decl.target.parts.map((p) => p.text).join(".");
      if (!scope.schemas.has(key)) scope.schemas.set(key, { ...symbol, decl });
      else
        report({ context, file }, "E0105", decl.target.span, `the schema of \`${key}\` is defined twice`, {
          label: "second definition here",
        });
      return;
    }
    default:
      return;
  }
}

type Named = Exclude<Decl, { kind: "schema" | "catalog" | "default" | "test" | "property" }>;

function add<D extends Named>(
  context: CheckContext,
  map: Map<string, Declared<D>>,
  name: string,
  symbol: Declared<D>,
  what: string,
): void {
  const first = map.get(name);
  if (!first) {
    map.set(name, symbol);
    return;
  }
  const isRule = what === "rule";
  const word = what === "func" ? "function" : what;
  // Neighbours fit one frame; for a definition further up or in another file the reader is shown both.
  const lines =
    first.file === symbol.file
      ? first.file.text.slice(first.decl.name.span.end, symbol.decl.name.span.start).split("\n").length - 1
      : 99;
  const isNear = lines <= 1;
  report({ context, file: symbol.file }, "E0105", symbol.decl.name.span, `${word} \`${name}\` is defined twice`, {
    label: isNear ? "second definition here" : "second definition",
    notes: isRule && isNear ? [sameNameNote] : [],
    related: isNear ? [] : [{ path: first.file.path, span: first.decl.name.span, label: "first defined here" }],
    help:
      isRule && !isNear
        ? [
            `rules are combined anyway (any deny wins); give the second one its own name, e.g. \`${otherName(symbol.decl, name)}\``,
          ]
        : [],
  });
}

/** `no_ddl` on `drop` → `no_drop`; else a number. */
function otherName(decl: Named, name: string): string {
  const target = decl.kind === "rule" ? decl.target : undefined;
  const [action] = target?.kind === "sql" ? target.actions : [];
  const stem = name.split("_")[0] ?? name;
  return action && name.includes("_") && `${stem}_${action.text}` !== name ? `${stem}_${action.text}` : `${name}_2`;
}

export function resolveImports(
  context: CheckContext,
  file: SourceFile,
  packages: ReadonlyMap<string, PackageScope>,
): FileImports {
  const names = new Map<string, { symbol: Declared; span: Import["span"] }>();
  const aliases = new Map<string, { scope: PackageScope; span: Import["span"] }>();
  for (const item of file.imports) {
    const path = item.path.parts.map((p) => p.text).join(".");
    const scope = packages.get(path);
    if (!scope) {
      const near = suggest(path, packages.keys());
      report({ context, file }, "E0103", item.path.span, `there is no package \`${path}\` in the bundle`, {
        label: near === undefined ? "unknown package" : `did you mean \`${near}\`?`,
      });
      continue;
    }
    if (!item.names) {
      const alias = item.alias ?? item.path.parts[item.path.parts.length - 1];
      if (alias) aliases.set(alias.text, { scope, span: alias.span });
      continue;
    }
    for (const name of item.names) {
      const symbol = scope.values.get(name.text);
      if (symbol && isExported(symbol)) {
        names.set(name.text, { symbol, span: name.span });
        continue;
      }
      const near = suggest(name.text, exportedNames(scope.values));
      report({ context, file }, "E0111", name.span, `package \`${path}\` exports no \`${name.text}\``, {
        label: near !== undefined ? `did you mean \`${near}\`?` : symbol ? "not exported" : "no such name",
        help: symbol ? ["write `export` before its declaration"] : [],
      });
    }
  }
  return { names, packages: aliases };
}

/** Packages that import each other in a circle: names would have no order in which to be understood. */
export function reportImportCycles(context: CheckContext, packages: ReadonlyMap<string, PackageScope>): void {
  const done = new Set<string>();
  const visit = (scope: PackageScope, trail: readonly string[]): void => {
    if (done.has(scope.name)) return;
    for (const file of scope.files) {
      for (const item of file.imports) {
        const path = item.path.parts.map((p) => p.text).join(".");
        const target = packages.get(path);
        if (!target || done.has(path)) continue;
        const start = [...trail, scope.name].indexOf(path);
        if (start >= 0) {
          const around = [...trail, scope.name].slice(start);
          for (const name of around) context.inCircle.add(name);
          const circle = [...around, path].join(" → ");
          report({ context, file }, "E0110", item.path.span, "packages import each other in a circle", {
            label: circle,
            help: ["move what both need into a package of its own"],
          });
        } else visit(target, [...trail, scope.name]);
      }
    }
    done.add(scope.name);
  };
  for (const scope of packages.values()) visit(scope, []);
}
