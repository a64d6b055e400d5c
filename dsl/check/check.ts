// AST -> Checked: every diagnostic of the bundle, and (where there is no error) all that decides.

import type { Json } from "../../engine/lib/json.ts";
import type { ConnectionCapabilities } from "../../engine/model/capabilities.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import { decodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";
import type { CatalogDecl, DataDecl, Decl, SourceFile, Text } from "../ast.ts";
import type {
  Checked,
  CheckedCounter,
  CheckedData,
  CheckedDefault,
  CheckedProperty,
  CheckedRule,
  CheckedTest,
} from "../checked.ts";
import { type Diagnostic, sortDiagnostics } from "../diagnostic.ts";
import { showType } from "../types.ts";
import { castJson } from "../values.ts";
import { type ApiCatalog, decodeApiCatalog } from "./api-catalog.ts";
import {
  type CheckContext,
  type Declared,
  type Env,
  emptyEnv,
  type FileImports,
  type PackageScope,
  report,
} from "./context.ts";
import { checkCounter } from "./counters.ts";
import { checkFixture, dataId, resolveFunc, resolveLet } from "./declarations.ts";
import { checkText } from "./expressions.ts";
import { collectPackages, packageNameOf, reportImportCycles, resolveImports } from "./packages.ts";
import { checkRule, wordOf } from "./rule.ts";
import { checkRules } from "./rules.ts";
import { checkProperty, checkTest } from "./tests.ts";
import { resolveType } from "./type-expressions.ts";

export type CheckInput = {
  /** Parsed policy files. */
  readonly files: readonly SourceFile[];
  /** Every file of the bundle by its path from the bundle's folder, `/` between folders. */
  readonly texts: ReadonlyMap<string, string>;
  /** Packages whose rules take part; undefined: all. */
  readonly packages: readonly string[] | undefined;
  readonly connections?: readonly ConnectionCapabilities[] | undefined;
};

export type CheckResult = { readonly checked: Checked; readonly diagnostics: readonly Diagnostic[] };

/** Pure. `checked` is complete only if no diagnostic is an error. */
export function checkBundle(input: CheckInput): CheckResult {
  const files = [...input.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const packages = new Map<string, PackageScope>();
  const imports = new Map<SourceFile, FileImports>();
  const catalogs = new Map<string, Catalog>();
  const apis = new Map<string, ApiCatalog>();
  const context: CheckContext = {
    packages,
    imports,
    catalogs,
    apis,
    connections: input.connections,
    data: new Map(),
    diagnostics: [],
    lets: new Map(),
    funcs: new Map(),
    namedTypes: new Map(),
    usedImports: new Set(),
    inCircle: new Set(),
    open: new Set(),
  };
  collectPackages(context, files, packages);
  for (const file of files) {
    if (file.package === undefined) continue;
    imports.set(file, resolveImports(context, file, packages));
  }
  reportImportCycles(context, packages);
  reportUnknownPackages(context, input, files[0]);
  for (const { file, decl } of declsOf(files, "catalog")) readCatalog(context, catalogs, apis, input.texts, file, decl);
  for (const scope of packages.values()) checkDeclarations(context, scope, input.texts);

  const takesPart = (name: string): boolean => input.packages === undefined || input.packages.includes(name);
  // Rules that take no part are checked all the same: the bundle that chooses them should find them sound.
  const rules = [...packages.values()].flatMap((scope) => {
    const own = checkPackageRules(context, scope);
    return takesPart(scope.name) ? own : [];
  });
  const checked: Checked = {
    packages: [...packages.keys()].filter(takesPart).sort(),
    files: new Map(files.map((f) => [f.path, f])),
    rules: rules.sort((a, b) => (a.id < b.id ? -1 : 1)),
    defaults: declsOf(files, "default").flatMap(({ file, decl }) =>
      checkDefault(context, envOf(context, packages, file), decl),
    ),
    counters: [...packages.values()].flatMap((scope) => checkCounters(context, scope)),
    data: context.data,
    catalogs,
    contentTags: new Set([...apis.values()].flatMap(({ tags }) => [...tags])),
    tests: declsOf(files, "test").map(({ file, decl }): CheckedTest => checkTest(envOf(context, packages, file), decl)),
    properties: declsOf(files, "property").map(
      ({ file, decl }): CheckedProperty => checkProperty(envOf(context, packages, file), decl),
    ),
  };
  checkRules(context, checked);
  return { checked, diagnostics: sortDiagnostics(context.diagnostics) };
}

type DeclOf<K extends Decl["kind"]> = Extract<Decl, { kind: K }>;

const declsOf = <K extends Decl["kind"]>(
  files: readonly SourceFile[],
  kind: K,
): { readonly file: SourceFile; readonly decl: DeclOf<K> }[] =>
  files.flatMap((file) =>
    file.decls.filter((decl): decl is DeclOf<K> => decl.kind === kind).map((decl) => ({ file, decl })),
  );

function envOf(context: CheckContext, packages: ReadonlyMap<string, PackageScope>, file: SourceFile): Env {
  const scope = packages.get(packageNameOf(file));
  return emptyEnv(
    context,
    file,
    scope ?? { name: "", files: [], values: new Map(), types: new Map(), rules: new Map(), schemas: new Map() },
    "constant",
  );
}

function reportUnknownPackages(context: CheckContext, input: CheckInput, file: SourceFile | undefined): void {
  for (const name of input.packages ?? []) {
    if (context.packages.has(name) || !file) continue;
    report(
      { context, file },
      "E0103",
      { start: 0, end: 0 },
      `the manifest names package \`${name}\`, which is not in the bundle`,
    );
  }
}

/** `./catalog/prod.json` beside the policy file; undefined when it leads out of the bundle. */
export function resolvePath(from: string, reference: string): string | undefined {
  if (reference.startsWith("/") || reference.includes("\\") || reference.includes("\0")) return undefined;
  const parts = from.split("/").slice(0, -1);
  for (const part of reference.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

function readReference(
  context: CheckContext,
  texts: ReadonlyMap<string, string>,
  file: SourceFile,
  from: Text,
  code: string,
): string | undefined {
  const path = resolvePath(file.path, from.raw);
  if (path === undefined) {
    report({ context, file }, code, from.span, `\`${from.raw}\` lies outside of the bundle`, {
      label: "files of a bundle lie beside its policies or below",
    });
    return undefined;
  }
  const text = texts.get(path);
  if (text === undefined) {
    report({ context, file }, code, from.span, `there is no file \`${path}\` in the bundle`, { label: "no such file" });
  }
  return text;
}

function readCatalog(
  context: CheckContext,
  catalogs: Map<string, Catalog>,
  apis: Map<string, ApiCatalog>,
  texts: ReadonlyMap<string, string>,
  file: SourceFile,
  decl: CatalogDecl,
): void {
  const text = readReference(context, texts, file, decl.from, "E0403");
  if (text === undefined) return;
  const api = decodeApiCatalog(text);
  if (api) {
    apis.set(decl.connection.raw, api);
    return;
  }
  const catalog = decodeCatalogSnapshot(text);
  if (!catalog.ok) {
    const where = catalog.error.path === "" ? "" : ` at \`${catalog.error.path}\``;
    report(
      { context, file },
      "E0403",
      decl.from.span,
      `the catalog snapshot cannot be read${where}: ${catalog.error.message}`,
      {
        help: [
          "write it anew with `gw catalog pull`; of an API name an OpenAPI 3 document or a list of MCP tools, in JSON",
        ],
      },
    );
    return;
  }
  const known = catalogs.get(decl.connection.raw);
  if (known && known.version !== catalog.value.version) {
    report(
      { context, file },
      "E0406",
      decl.connection.span,
      `connection "${decl.connection.raw}" has two different catalogs`,
      {
        label: "another file gives another one",
      },
    );
    return;
  }
  catalogs.set(decl.connection.raw, catalog.value);
}

/** Each declaration once, whether something uses it or not. */
function checkDeclarations(context: CheckContext, scope: PackageScope, texts: ReadonlyMap<string, string>): void {
  for (const file of scope.files) reportDefaultAllow(context, file);
  for (const symbol of scope.types.values()) {
    const wasUsed = symbol.isUsed;
    resolveType(emptyEnv(context, symbol.file, scope, "constant"), {
      span: symbol.decl.name.span,
      isOptional: false,
      atom: { kind: "named", name: { span: symbol.decl.name.span, parts: [symbol.decl.name] }, args: [] },
    });
    symbol.isUsed = wasUsed;
  }
  for (const symbol of scope.schemas.values())
    resolveType(emptyEnv(context, symbol.file, scope, "constant"), symbol.decl.type);
  for (const symbol of scope.values.values()) {
    const env = emptyEnv(context, symbol.file, scope, "constant");
    const { decl } = symbol;
    if (decl.kind === "let") resolveLet(env, symbol, decl);
    else if (decl.kind === "func") resolveFunc(env, symbol, decl);
    else if (decl.kind === "data") readData(context, texts, symbol, decl);
    else if (decl.kind === "fixture") checkFixture(env, symbol, decl);
  }
}

function reportDefaultAllow(context: CheckContext, file: SourceFile): void {
  for (const decl of file.decls) {
    if (decl.kind !== "default" || decl.effect.text !== "allow") continue;
    report(
      { context, file },
      "E0107",
      { start: decl.span.start, end: decl.span.start + "default".length },
      "`default allow` does not exist",
      {
        label: "the default is always deny",
        help: ['write the rule you mean, for example `allow everything on any at "dev-*"`'],
      },
    );
  }
}

function readData(context: CheckContext, texts: ReadonlyMap<string, string>, symbol: Declared, decl: DataDecl): void {
  const { file } = symbol;
  const type = resolveType(emptyEnv(context, file, symbol.package, "constant"), decl.type);
  const text = readReference(context, texts, file, decl.from, "E0404");
  if (text === undefined || type.kind === "poison") return;
  let json: Json;
  try {
    json = JSON.parse(text);
  } catch {
    report({ context, file }, "E0404", decl.from.span, `\`${decl.from.raw}\` is not JSON`, {
      label: "cannot be read",
      help: ["a data document is one JSON value; policies and YAML have their own files"],
    });
    return;
  }
  const value = castJson(json, type);
  if (value === undefined && type.kind !== "option") {
    report({ context, file }, "E0404", decl.from.span, `\`${decl.from.raw}\` is not a \`${showType(type)}\``, {
      label: `\`${decl.name.text}\` has another type`,
      help: ["mend the document, or the type after the colon"],
    });
    return;
  }
  const id = dataId(symbol);
  const data: CheckedData = { id, type, value, json };
  context.data.set(id, data);
}

function checkPackageRules(context: CheckContext, scope: PackageScope): readonly CheckedRule[] {
  const isShadow = scope.files.some((file) =>
    file.decls.some(
      (decl) =>
        decl.kind === "default" &&
        decl.annotations.some((a) => a.name.text === "mode" && wordOf(a.args[0]) === "shadow"),
    ),
  );
  const checked: CheckedRule[] = [];
  for (const file of scope.files) {
    for (const decl of file.decls) {
      if (decl.kind !== "rule") continue;
      const rule = checkRule(
        emptyEnv(context, file, scope, "any"),
        { decl, file, package: scope, isUsed: true },
        isShadow,
      );
      if (rule) checked.push(rule);
    }
  }
  return checked;
}

function checkDefault(context: CheckContext, env: Env, decl: DeclOf<"default">): readonly CheckedDefault[] {
  const inner: Env = { ...env, place: "any", context };
  return [{ package: env.package.name, because: decl.because && checkText(inner, decl.because) }];
}

function checkCounters(context: CheckContext, scope: PackageScope): readonly CheckedCounter[] {
  return [...scope.values.values()].flatMap((symbol) =>
    symbol.decl.kind === "counter" ? checkCounter(context, symbol, symbol.decl) : [],
  );
}
