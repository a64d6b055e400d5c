// A name or a field of one -> what it stands for: local, enum value, declared name, fact.
import { unreachable } from "../../engine/lib/assert.ts";
import type { Span } from "../../engine/lib/span.ts";
import { type FactRoot, factEnums, factSchema } from "../../engine/model/fact-schema.ts";
import type { Expr, Name } from "../ast.ts";
import { builtins } from "../builtins.ts";
import type { Core } from "../checked.ts";
import { suggest } from "../suggest.ts";
import { json, optionOf, parseType, poison, showType, type Type, table, withoutOption } from "../types.ts";
import { type Declared, type Env, keyOf, report, wrong } from "./context.ts";
import { checkCounterUse, checkDataUse, checkFixtureUse, checkLetUse, schemaOf } from "./declarations.ts";
import { checkExpr } from "./expressions.ts";
import { reportAbsent } from "./options.ts";

type NameExpr = Expr & { readonly kind: "name" };
type FieldExpr = Expr & { readonly kind: "field" };

export function checkName(env: Env, expr: NameExpr, expected: Type | undefined): Core {
  const { text, span } = expr.name;
  const binding = env.names.get(text);
  if (binding?.kind === "cell") return checkExpr({ ...env, names: new Map() }, binding.expr, expected);
  if (binding) {
    const type = env.present.has(text) ? withoutOption(binding.type) : binding.type;
    return binding.kind === "local"
      ? { op: "local", local: binding.local, span, type }
      : { op: "param", name: text, span, type };
  }
  const target = expected && withoutOption(expected);
  if (target?.kind === "enum" && target.values.includes(text)) return { op: "const", value: text, span, type: target };
  // `given session { purpose: absent }`: known to be absent, which is not the same as not given.
  if (text === "absent" && env.place === "constant" && expected?.kind === "option") {
    return { op: "const", value: undefined, span, type: expected };
  }
  const symbol = findSymbol(env, text);
  if (symbol) return narrowed(env, text, useSymbol(env, symbol, expr.name));
  if (text === "item") return checkItem(env, span);
  if (text === "table" && !Object.hasOwn(factEnums, text)) return checkTableName(env, span);
  if (Object.hasOwn(factSchema, text) && text !== "column") {
    if (!isAvailable(env, text, span)) return wrong(span);
    report(env, "E0203", span, `\`${text}\` is not a value`, {
      label: `name one of its fields: ${fieldNames(env, text).slice(0, 6).join(", ")} …`,
    });
    return wrong(span);
  }
  if (target?.kind === "enum" && target.name !== undefined) return unknownEnumValue(env, text, span, target);
  return unknownName(env, text, span, target);
}

const narrowed = (env: Env, key: string, core: Core): Core =>
  env.present.has(key) ? { ...core, type: withoutOption(core.type) } : core;

/** A name of the package, or one that an import brought in. */
export function findSymbol(env: Env, text: string): Declared | undefined {
  const imported = env.context.imports.get(env.file)?.names.get(text);
  if (imported) env.context.usedImports.add(imported.span);
  return imported?.symbol ?? env.package.values.get(text);
}

function useSymbol(env: Env, symbol: Declared, name: Name): Core {
  symbol.isUsed = true;
  const { decl } = symbol;
  switch (decl.kind) {
    case "let":
      return checkLetUse(env, symbol, decl, name.span);
    case "data":
      return checkDataUse(env, symbol, decl, name.span);
    case "counter":
      return checkCounterUse(env, symbol, decl, name.span);
    case "fixture":
      return checkFixtureUse(env, symbol, decl, name.span);
    case "func":
      report(env, "E0206", name.span, `\`${name.text}\` is a function`, {
        label: `call it: \`${name.text}(${decl.params.map((p) => p.name.text).join(", ")})\``,
      });
      return wrong(name.span);
    default:
      return unreachable(decl);
  }
}

function unknownEnumValue(env: Env, text: string, span: Span, type: Type & { kind: "enum" }): Core {
  const one = factEnums[type.name ?? ""]?.one ?? "one of its values";
  const near = suggest(text, type.values);
  report(env, "E0225", span, `\`${text}\` is not ${one}`, {
    label: near === undefined ? `not ${one}` : `did you mean \`${near}\`?`,
    help: near === undefined && type.values.length <= 10 ? [`write one of ${type.values.join(", ")}`] : [],
  });
  return wrong(span);
}

function unknownName(env: Env, text: string, span: Span, target: Type | undefined): Core {
  // The other side is wrong already: what this name should be cannot be told.
  if (target?.kind === "poison") return wrong(span);
  // its declaration has a syntax error, which is reported
  if (env.file.unreadable?.some((name) => name.text === text)) return wrong(span);
  const imports = env.context.imports.get(env.file);
  const candidates = [
    ...env.names.keys(),
    ...(imports?.names.keys() ?? []),
    ...env.package.values.keys(),
    ...Object.keys(factSchema).filter((root) => root !== "column" && canRead(env, root)),
  ];
  const near = suggest(text, candidates);
  const isText =
    target === undefined || target.kind === "string" || (target.kind === "enum" && target.name === undefined);
  report(env, "E0101", span, `unknown name \`${text}\``, {
    label: near === undefined ? "not defined" : `did you mean \`${near}\`?`,
    help: near === undefined && isText ? [`a text value needs quotes: "${text}"`] : [],
  });
  return wrong(span);
}

// ---- roots

function canRead(env: Env, root: string): boolean {
  const scope = factSchema[root]?.scope;
  if (env.place === "constant") return false;
  if (scope === "always") return true;
  if (scope === "alert") return env.hasDecision;
  return env.place === "all" || env.place === scope;
}

/** Reports E0202 when the rule has no such data. */
export function isAvailable(env: Env, root: string, span: Span, what = root): boolean {
  env.requires.add(root);
  if (canRead(env, root)) return true;
  const scope = factSchema[root]?.scope ?? "always";
  const who = env.place === "constant" ? "here" : "in this rule";
  if (env.place === "constant") {
    report(env, "E0202", span, `\`${what}\` is not available ${who}`, {
      label: "not available here",
      notes: ["fixtures, tests and data are values: they read no facts of a request"],
    });
  } else if (scope === "alert") {
    report(env, "E0202", span, `\`${what}\` is not available ${who}`, {
      label: "not available here",
      notes: ["`decision` exists only in `alert` rules, which run after the decision is made"],
    });
  } else {
    const matches =
      env.place === "any" || env.place === "all"
        ? `this rule matches every kind of request, and only some have ${scope} data`
        : `this rule matches \`${env.place}\` requests, where there is no ${scope} data`;
    report(env, "E0202", span, `\`${what}\` is not available ${who}`, {
      label: "not available here",
      notes: [what === root ? matches : `\`${what}\` reads \`${root}\`; ${matches}`],
      help: [`add \`on ${scope}\` to the rule, or move this condition to a rule that has it`],
    });
  }
  return false;
}

function checkTableName(env: Env, span: Span): Core {
  return isAvailable(env, "table", span) ? { op: "table", span, type: table } : wrong(span);
}

const fieldNames = (env: Env, root: string): readonly string[] => [
  ...Object.keys(factSchema[root]?.fields ?? {}),
  ...(root === "session"
    ? [...env.package.values].filter(([, s]) => s.decl.kind === "counter").map(([name]) => name)
    : []),
];

export function checkField(env: Env, expr: FieldExpr, expected: Type | undefined): Core {
  const { object } = expr;
  if (object.kind === "name" && !env.names.has(object.name.text) && !findSymbol(env, object.name.text)) {
    const root = object.name.text;
    const alias = env.context.imports.get(env.file)?.packages.get(root);
    if (alias) return checkImported(env, expr, alias);
    if (root === "row") return checkRowColumn(env, expr.field, object.span, expr.span);
    if (root === "item") return inside(checkItem(env, object.span), expr.field.text, expr.span);
    const schema = Object.hasOwn(factSchema, root) && root !== "column" ? factSchema[root] : undefined;
    if (schema && root !== "table") return checkFact(env, expr, root, schema);
  }
  if (keyOf(object) === "identity.claims") {
    const claims = schemaOf(env, "identity.claims");
    if (claims && isAvailable(env, "identity", object.span)) return checkClaim(env, expr, claims);
  }
  const owner = checkExpr(env, object, expected && undefined);
  if (owner.op === "row" && isJsonPlace(owner)) return inside(owner, expr.field.text, expr.span);
  return checkProperty(env, expr, owner);
}

type Row = Core & { readonly op: "row" };

/** A JSON column, or a place in one; without a catalog a column with fields can be nothing else. */
export const isJsonPlace = (core: Row): boolean =>
  core.as === undefined && (core.type.kind === "json" || (core.type.kind === "poison" && core.isUntyped === true));

/** A field of it: JSON again, and NULL where there is none. */
export const inside = (core: Core, field: string, span: Span): Core =>
  core.op === "row" ? { ...core, path: [...(core.path ?? []), field], span, type: json } : core;

/** The item of a filtered list. */
function checkItem(env: Env, span: Span): Core {
  if (env.hasItem) return { op: "row", column: "", path: [], span, type: json };
  report(env, "E0202", span, "`item` is not available here", {
    label: "not available here",
    notes: ["`item` exists only in the `where` of a filter of json"],
  });
  return wrong(span);
}

function checkFact(env: Env, expr: FieldExpr, root: string, schema: FactRoot): Core {
  const name = expr.field.text;
  const rootSpan = expr.object.span;
  if (!isAvailable(env, root, rootSpan)) return wrong(expr.span);
  const counter = root === "session" ? env.package.values.get(name) : undefined;
  if (counter?.decl.kind === "counter") return useSymbol(env, counter, expr.field);
  const field = Object.hasOwn(schema.fields, name) ? schema.fields[name] : undefined;
  if (!field) return unknownField(env, expr, root, fieldNames(env, root), schema);
  const type = parseType(field.type);
  const isPresent = env.present.has(`${root}.${name}`);
  if (env.content && isContent(root, name)) {
    const operand: Core = { op: "fact", root, field: name, span: expr.span, type };
    const whole = isPresent ? env.content : optionOf(env.content);
    return { op: "cast", operand, isImplicit: true, span: expr.span, type: whole };
  }
  return { op: "fact", root, field: name, span: expr.span, type: isPresent ? withoutOption(type) : type };
}

const isContent = (root: string, name: string): boolean =>
  (root === "http" && name === "body") || (root === "mcp" && name === "args");

function unknownField(
  env: Env,
  expr: FieldExpr,
  owner: string,
  fields: readonly string[],
  schema: FactRoot | undefined,
): Core {
  const near = suggest(expr.field.text, fields);
  const nearType = near === undefined ? undefined : schema?.fields[near]?.type;
  report(env, "E0102", expr.field.span, `\`${owner}\` has no field \`${expr.field.text}\``, {
    label: near === undefined ? `not a field of \`${owner}\`` : `did you mean \`${near}\`?`,
    notes: nearType === undefined ? [] : [`\`${owner}.${near}\` is \`${nearType}\``],
    help: near === undefined ? [`fields are ${fields.join(", ")}`] : [],
    fixes: near === undefined ? [] : [{ title: `change to \`${near}\``, span: expr.field.span, replacement: near }],
  });
  return wrong(expr.span);
}

function checkClaim(env: Env, expr: FieldExpr, claims: Type): Core {
  if (claims.kind !== "record") return wrong(expr.span);
  const type = claims.fields.get(expr.field.text);
  if (!type) return unknownField(env, expr, "identity.claims", [...claims.fields.keys()], undefined);
  const object: Core = { op: "fact", root: "identity", field: "claims", span: expr.object.span, type: json };
  const isPresent = env.present.has(keyOf(expr) ?? " ");
  return {
    op: "property",
    of: "claim",
    object,
    name: expr.field.text,
    span: expr.span,
    type: isPresent ? withoutOption(type) : type,
  };
}

/** The `row` of a filter, and no name of the author's own. */
export const isRow = (env: Env, { kind, name }: { readonly kind: string; readonly name?: Name }): boolean =>
  kind === "name" && name?.text === "row" && !env.names.has("row") && !findSymbol(env, "row");

/** `row.column`, `row["Unit Price"]`. */
export function checkRowColumn(env: Env, name: Name, rowSpan: Span, span: Span): Core {
  if (env.row === undefined) {
    report(env, "E0202", rowSpan, "`row` is not available here", {
      label: "not available here",
      notes: ["`row` exists only in the `where` of a filter"],
    });
    return wrong(span);
  }
  const column = name.text;
  if (env.row === "any") return { op: "row", column, span, type: poison, isUntyped: true };
  const type = env.row.fields.get(column);
  if (type) return { op: "row", column, ...(type.kind === "json" ? { path: [] } : {}), span, type };
  const near = suggest(column, [...env.row.fields.keys()]);
  report(env, "E0402", name.span, `table \`${env.row.name ?? "row"}\` has no column \`${column}\``, {
    label: near === undefined ? "unknown column" : `did you mean \`${near}\`?`,
    notes: ["a filter on a column that does not exist would fail in the database"],
  });
  return wrong(span);
}

function checkImported(
  env: Env,
  expr: FieldExpr,
  alias: NonNullable<ReturnType<NonNullable<ReturnType<Env["context"]["imports"]["get"]>>["packages"]["get"]>>,
): Core {
  env.context.usedImports.add(alias.span);
  const symbol = alias.scope.values.get(expr.field.text);
  if (symbol && isExported(symbol)) return narrowed(env, keyOf(expr) ?? "", useSymbol(env, symbol, expr.field));
  const near = suggest(expr.field.text, exportedNames(alias.scope.values));
  report(env, "E0111", expr.field.span, `package \`${alias.scope.name}\` exports no \`${expr.field.text}\``, {
    label: near === undefined ? (symbol ? "not exported" : "no such name") : `did you mean \`${near}\`?`,
    help: symbol ? [`write \`export\` before its declaration`] : [],
  });
  return wrong(expr.span);
}

/** Lets and functions say so; fixtures, data and counters are declared to be shared. */
export const isExported = (symbol: Declared): boolean =>
  symbol.decl.kind === "let" || symbol.decl.kind === "func" ? symbol.decl.isExported : true;

export const exportedNames = (values: ReadonlyMap<string, Declared>): readonly string[] =>
  [...values].filter(([, symbol]) => isExported(symbol)).map(([name]) => name);

function checkProperty(env: Env, expr: FieldExpr, object: Core): Core {
  const name = expr.field.text;
  const { type } = object;
  const isPresent = env.present.has(keyOf(expr) ?? " ");
  const wrap = (t: Type): Type => (isPresent ? withoutOption(t) : t);
  if (type.kind === "poison") return wrong(expr.span);
  if (withoutOption(type).kind === "json") {
    return { op: "property", of: "json", object, name, span: expr.span, type: wrap(optionOf(json)) };
  }
  if (type.kind === "option") {
    reportAbsent(env, expr.object, type, undefined);
    return wrong(expr.span);
  }
  if (type.kind === "record") {
    const field = type.fields.get(name);
    if (!field) return unknownField(env, expr, showType(type), [...type.fields.keys()], undefined);
    return { op: "property", of: "record", object, name, span: expr.span, type: wrap(field) };
  }
  if (type.kind === "table" || type.kind === "column") {
    const schema = factSchema[type.kind];
    const field = schema && Object.hasOwn(schema.fields, name) ? schema.fields[name] : undefined;
    if (!schema || !field) return unknownField(env, expr, type.kind, Object.keys(schema?.fields ?? {}), schema);
    return { op: "property", of: type.kind, object, name, span: expr.span, type: parseType(field.type) };
  }
  if (type.kind === "map") {
    report(env, "E0102", expr.field.span, `\`${showType(type)}\` has no field \`${name}\``, {
      label: "a map is read by key",
      help: [`write \`["${name}"]\` in place of \`.${name}\``],
    });
    return wrong(expr.span);
  }
  report(env, "E0102", expr.field.span, `\`${showType(type)}\` has no field \`${name}\``, { label: "has no fields" });
  return wrong(expr.span);
}

export const knownFunctions = (env: Env): readonly string[] => [
  ...Object.keys(builtins),
  ...[...env.package.values].filter(([, s]) => s.decl.kind === "func").map(([name]) => name),
  ...[...(env.context.imports.get(env.file)?.names ?? [])]
    .filter(([, n]) => n.symbol.decl.kind === "func")
    .map(([name]) => name),
];
