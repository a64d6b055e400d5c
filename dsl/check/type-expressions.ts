// TypeExpr -> Type
import { factEnums, factSchema } from "../../engine/model/fact-schema.ts";
import type { TypeExpr } from "../ast.ts";
import { suggest } from "../suggest.ts";
import { atoms, enumType, optionOf, parseType, poison, type RecordType, type Type } from "../types.ts";
import { type Env, emptyEnv, report } from "./context.ts";

const generics = ["set", "list", "map"];

/** `identity` and its kin as a type, for fixtures: every field optional, a test gives what it needs. */
export function rootType(root: string): RecordType | undefined {
  const schema = Object.hasOwn(factSchema, root) ? factSchema[root] : undefined;
  if (!schema) return undefined;
  const fields = Object.entries(schema.fields).map(([name, f]) => [name, optionOf(parseType(f.type))] as const);
  return { kind: "record", name: root, fields: new Map(fields) };
}

export function resolveType(env: Env, expr: TypeExpr): Type {
  const type = resolveAtom(env, expr);
  return expr.isOptional ? optionOf(type) : type;
}

function resolveAtom(env: Env, expr: TypeExpr): Type {
  const { atom } = expr;
  if (atom.kind === "enum") return { kind: "enum", name: undefined, values: atom.values.map((v) => v.raw) };
  if (atom.kind === "record") {
    const fields = new Map<string, Type>();
    for (const { name, type } of atom.fields) {
      if (fields.has(name.text))
        report(env, "E0105", name.span, `field \`${name.text}\` is given twice`, { label: "second type here" });
      fields.set(name.text, resolveType(env, type));
    }
    return { kind: "record", name: undefined, fields };
  }
  const [name] = atom.name.parts;
  if (!name) return poison;
  const isSingle = atom.name.parts.length === 1;
  if (isSingle && generics.includes(name.text)) return resolveGeneric(env, expr, name.text, atom.args);
  if (isSingle && atom.args.length === 0) {
    const simple = atoms.find((a) => a === name.text);
    if (simple) return { kind: simple };
    if (Object.hasOwn(factEnums, name.text)) return enumType(name.text);
    const symbol = env.package.types.get(name.text);
    if (symbol) return declaredType(env, symbol);
    const root = rootType(name.text);
    if (root) return root;
  }
  const text = atom.name.parts.map((p) => p.text).join(".");
  const candidates = [...atoms, ...generics, ...Object.keys(factEnums), ...env.package.types.keys()];
  const near = suggest(text, candidates);
  report(env, "E0104", atom.name.span, `there is no type called \`${text}\``, {
    label: near === undefined ? "not a type" : `did you mean \`${near}\`?`,
    help: near === undefined ? [`declare it: \`type ${text} = { … }\``] : [],
  });
  return poison;
}

function resolveGeneric(env: Env, expr: TypeExpr, name: string, args: readonly TypeExpr[]): Type {
  const types = args.map((arg) => resolveType(env, arg));
  const [first, second] = types;
  if (name === "map" && types.length === 2 && first?.kind === "string" && second) return { kind: "map", of: second };
  if (name !== "map" && types.length === 1 && first) return { kind: name === "set" ? "set" : "list", of: first };
  report(env, "E0104", expr.span, `\`${name}\` needs ${name === "map" ? "two types" : "one type"}`, {
    label: name === "map" ? "write `map<string, T>`" : `write \`${name}<T>\``,
  });
  return poison;
}

type TypeSymbol = Parameters<Env["context"]["namedTypes"]["get"]>[0];

function declaredType(env: Env, symbol: TypeSymbol): Type {
  symbol.isUsed = true;
  const { namedTypes } = env.context;
  const known = namedTypes.get(symbol);
  if (known === "resolving") {
    report(
      { context: env.context, file: symbol.file },
      "E0108",
      symbol.decl.name.span,
      `type \`${symbol.decl.name.text}\` contains itself`,
      {
        label: "recursion is not allowed: every policy must terminate",
      },
    );
    return poison;
  }
  if (known) return known;
  namedTypes.set(symbol, "resolving");
  const inner = resolveType(emptyEnv(env.context, symbol.file, symbol.package, "constant"), symbol.decl.type);
  const type: Type = inner.kind === "record" ? { ...inner, name: symbol.decl.name.text } : inner;
  namedTypes.set(symbol, type);
  return type;
}
