// TestDecl, PropertyDecl -> what the test runner runs: one list of givens and expects per row of the case table.

import type { RuleId } from "../../engine/model/decision.ts";
import { factSchema } from "../../engine/model/fact-schema.ts";
import type { Expect, Expr, Given, MaskCall, PropertyDecl, TestDecl, Text, TypeExpr } from "../ast.ts";
import type { CheckedExpect, CheckedGiven, CheckedProperty, CheckedTest, Core, Local } from "../checked.ts";
import { suggest } from "../suggest.ts";
import { enumType, int, json, parseType, type RecordType, string, type Type } from "../types.ts";
import { checkContentPattern } from "./content-pattern.ts";
import { type Binding, type Env, report, sourceOf } from "./context.ts";
import { counterType, dataId, identityType } from "./declarations.ts";
import { checkCondition, checkNeeded, checkText, mismatch } from "./expressions.ts";
import { checkMaskCall } from "./mask-call.ts";
import { findSymbol } from "./names.ts";
import { ruleId } from "./rule.ts";
import { checkAt, checkColumnPattern, checkTablePattern } from "./scope.ts";
import { resolveType, rootType } from "./type-expressions.ts";

const plain = (text: Text): string => text.parts.map((p) => (p.kind === "text" ? p.value : "{…}")).join("");

export function checkTest(env: Env, decl: TestDecl): CheckedTest {
  const common = { title: plain(decl.title), package: env.package.name, path: env.file.path, span: decl.span };
  const { cases } = decl;
  if (!cases) return { ...common, rows: [{ label: undefined, span: decl.title.span, ...checkBody(env, decl) }] };
  const rows = cases.rows.map((row, i) => {
    if (row.cells.length !== cases.columns.length) {
      report(
        env,
        "E0118",
        row.span,
        `this row has ${row.cells.length} cells, the table has ${cases.columns.length} columns`,
        {
          label: "one cell per column",
        },
      );
    }
    const names = new Map<string, Binding>();
    for (const [j, column] of cases.columns.entries()) {
      const cell = row.cells[j];
      if (cell) names.set(column.text, { kind: "cell", expr: cell });
    }
    const cells = row.cells.map((cell) => sourceOf(env, cell.span).trim()).join(" | ");
    return { label: `${i + 1}: ${cells}`, span: row.span, ...checkBody({ ...env, names }, decl) };
  });
  return { ...common, rows };
}

function checkBody(
  env: Env,
  decl: TestDecl | PropertyDecl,
): { readonly givens: readonly CheckedGiven[]; readonly expects: readonly CheckedExpect[] } {
  return {
    givens: decl.givens.flatMap((given) => checkGiven(env, given)),
    expects: decl.expects.flatMap((expect) => checkExpect(env, expect)),
  };
}

const roots = ["identity", "time", "session", "connection"] as const;

function checkGiven(env: Env, given: Given): readonly CheckedGiven[] {
  const base = { span: given.span, at: "at" in given ? given.at[0]?.raw : undefined };
  switch (given.kind) {
    case "http":
      return [
        {
          ...base,
          kind: "http",
          method: given.method.text.toUpperCase(),
          path: checkNeeded(env, given.path, string),
          record: given.record && checkNeeded(env, given.record, httpGiven),
        },
      ];
    case "mcp":
    case "llm":
      return [
        {
          ...base,
          kind: given.kind,
          selector: given.selector.text,
          name: checkNeeded(env, given.name, string),
          record: given.record && checkNeeded(env, given.record, json),
        },
      ];
    case "counter":
      return checkGivenCounter(env, given);
    case "data":
      return checkGivenData(env, given);
    case "root":
      return checkGivenRoot(env, given, base);
    default:
      return given satisfies never;
  }
}

const httpGiven: RecordType = {
  kind: "record",
  name: "http",
  fields: new Map<string, Type>([
    ["headers", { kind: "option", of: { kind: "map", of: string } }],
    ["query", { kind: "option", of: { kind: "map", of: string } }],
    ["body", { kind: "option", of: json }],
    ["host", { kind: "option", of: string }],
  ]),
};

type NamedGiven = Given & { readonly kind: "counter" | "data" };

function unknownGiven(env: Env, given: NamedGiven): readonly [] {
  const names = [...env.package.values].filter(([, s]) => s.decl.kind === given.kind).map(([name]) => name);
  const near = suggest(given.name.text, names);
  report(env, "E0101", given.name.span, `unknown ${given.kind} \`${given.name.text}\``, {
    label: near === undefined ? "not defined" : `did you mean \`${near}\`?`,
  });
  return [];
}

function checkGivenCounter(env: Env, given: NamedGiven): readonly CheckedGiven[] {
  const symbol = findSymbol(env, given.name.text);
  if (symbol?.decl.kind !== "counter") return unknownGiven(env, given);
  return [
    {
      span: given.span,
      at: undefined,
      kind: "counter",
      counter: dataId(symbol),
      value: checkNeeded(env, given.value, counterType(env, symbol, symbol.decl)),
    },
  ];
}

function checkGivenData(env: Env, given: NamedGiven): readonly CheckedGiven[] {
  const symbol = findSymbol(env, given.name.text);
  if (symbol?.decl.kind !== "data") return unknownGiven(env, given);
  const type = resolveType({ ...env, file: symbol.file, package: symbol.package }, symbol.decl.type);
  return [
    {
      span: given.span,
      at: undefined,
      kind: "data",
      data: dataId(symbol),
      type,
      value: checkNeeded(env, given.value, type),
    },
  ];
}

function checkGivenRoot(
  env: Env,
  given: Given & { kind: "root" },
  base: { span: Given["span"]; at: string | undefined },
): readonly CheckedGiven[] {
  const root = given.root.text;
  if (root === "sql") return [{ ...base, kind: "sql", text: checkNeeded(env, given.value, string) }];
  if (root === "estimated_rows") {
    return [{ ...base, at: undefined, kind: "estimated_rows", value: checkNeeded(env, given.value, int) }];
  }
  if (root === "approval") {
    const { value } = given;
    const rule = value.kind === "name" ? findRule(env, value.name.text, value.span) : undefined;
    if (value.kind !== "name")
      report(env, "E0114", value.span, "name the `require approval` rule here", { label: "not a rule name" });
    return rule === undefined ? [] : [{ ...base, kind: "approval", rule }];
  }
  const known = roots.find((r) => r === root);
  const type = rootType(root);
  if (!known || !type) {
    const near = suggest(root, [
      ...roots,
      "sql",
      "estimated_rows",
      "approval",
      "http",
      "mcp",
      "llm",
      "counter",
      "data",
    ]);
    report(env, "E0119", given.root.span, `\`${root}\` cannot be given`, {
      label: near === undefined ? "unknown" : `did you mean \`${near}\`?`,
      help:
        near === undefined
          ? ["give identity, connection, session, time, sql, estimated_rows, http, mcp, llm, counter, data or approval"]
          : [],
    });
    return [];
  }
  const binding = given.value.kind === "name" ? env.names.get(given.value.name.text) : undefined;
  if (binding?.kind === "local") {
    return [
      {
        ...base,
        kind: known,
        value: { op: "local", local: binding.local, span: given.value.span, type: binding.type },
      },
    ];
  }
  return [
    {
      ...base,
      kind: known,
      value: checkNeeded(env, given.value, known === "identity" ? identityType(env, type) : type),
    },
  ];
}

/** A rule of this package, or of another one if the bundle has only one of that name. */
function findRule(env: Env, name: string, span: Given["span"]): RuleId | undefined {
  if (env.package.rules.has(name)) return ruleId(env.package, name);
  const others = [...env.context.packages.values()].filter((p) => p.rules.has(name));
  const [only, second] = others;
  if (only && !second) return ruleId(only, name);
  const near = suggest(name, env.package.rules.keys());
  report(
    env,
    "E0114",
    span,
    second ? `several packages have a rule \`${name}\`` : `there is no rule called \`${name}\``,
    {
      label: near === undefined ? "not a rule" : `did you mean \`${near}\`?`,
    },
  );
  return undefined;
}

const outcome = enumType("outcome");

function checkExpect(env: Env, expect: Expect): readonly CheckedExpect[] {
  const base = { span: expect.span, isNegated: expect.isNegated, ast: expect };
  const { what } = expect;
  const scoping = { env, at: checkAt([]), allowMissing: false };
  switch (what.kind) {
    case "effect": {
      const effect = checkEffect(env, what.effect);
      const by = what.by && findRule(env, what.by.text, what.by.span);
      if (!effect || (what.by && by === undefined)) return [];
      return [{ ...base, what: { kind: "effect", effect, by, because: what.because && checkText(env, what.because) } }];
    }
    case "mask": {
      const [column] = checkColumnPattern(scoping, what.column);
      if (!column) return [];
      return [{ ...base, what: { kind: "mask", column, using: expectedMask(env, what.using) } }];
    }
    case "content-mask": {
      const { format, pattern } = what;
      if (!checkContentPattern(env, format, pattern, undefined)) return [];
      const using = expectedMask(env, what.using);
      return [{ ...base, what: { kind: "content-mask", format, pattern: pattern.raw, using } }];
    }
    case "item-filter": {
      if (!checkContentPattern(env, "json", what.path, undefined)) return [];
      return [{ ...base, what: { kind: "item-filter", path: what.path.raw, as: what.as && plain(what.as) } }];
    }
    case "filter": {
      const [table] = checkTablePattern(scoping, what.table, "filter");
      return table ? [{ ...base, what: { kind: "filter", table, as: what.as && plain(what.as) } }] : [];
    }
    case "limit": {
      const rule = findRule(env, what.name.text, what.name.span);
      return rule === undefined ? [] : [{ ...base, what: { kind: "limit", rule } }];
    }
    case "alert": {
      const rule = what.name && findRule(env, what.name.text, what.name.span);
      return what.name && rule === undefined ? [] : [{ ...base, what: { kind: "alert", rule } }];
    }
    default:
      return what satisfies never;
  }
}

/** Without arguments every mask of that name will do. */
function expectedMask(env: Env, call: MaskCall | undefined): ExpectedMask | undefined {
  const mask = call && checkMaskCall(env, call);
  return call && { name: call.name.text, mask: call.args.length > 0 ? mask : undefined };
}

type ExpectedMask = NonNullable<Extract<CheckedExpect["what"], { kind: "mask" }>["using"]>;

function checkEffect(env: Env, expr: Expr): Core | undefined {
  const core = checkNeeded(env, expr, outcome);
  return core.type.kind === "poison" ? undefined : core;
}

export function checkProperty(env: Env, decl: PropertyDecl): CheckedProperty {
  let inner = env;
  const foralls = decl.foralls.map((forall) => {
    const domain = domainOf(inner, forall.type);
    const local: Local = { name: forall.name.text };
    const names = new Map(inner.names).set(local.name, { kind: "local", local, type: typeOfDomain(env, domain) });
    inner = { ...inner, names };
    const where = forall.where && checkCondition(inner, forall.where, "where");
    return { local, domain, where };
  });
  const givens = decl.givens.flatMap((given) => checkPropertyGiven(inner, given));
  const expects = decl.expects.flatMap((expect) => checkExpect(inner, expect));
  return {
    title: plain(decl.title),
    package: env.package.name,
    path: env.file.path,
    span: decl.span,
    foralls,
    givens,
    expects,
  };
}

function domainOf(env: Env, type: TypeExpr): "identity" | "sql" | Type {
  const { atom } = type;
  const name = atom.kind === "named" && atom.name.parts.length === 1 ? atom.name.parts[0]?.text : undefined;
  return name === "identity" || name === "sql" ? name : resolveType(env, type);
}

/** A generated value has all its fields. */
function typeOfDomain(env: Env, domain: "identity" | "sql" | Type): Type {
  if (typeof domain !== "string") return domain;
  const fields = new Map<string, Type>();
  for (const [name, field] of Object.entries(factSchema[domain]?.fields ?? {})) fields.set(name, parseType(field.type));
  const whole: RecordType = { kind: "record", name: domain, fields };
  return domain === "identity" ? identityType(env, whole) : whole;
}

function checkPropertyGiven(env: Env, given: Given): readonly CheckedGiven[] {
  if (given.kind === "root" && given.root.text === "sql" && given.value.kind === "name") {
    const binding = env.names.get(given.value.name.text);
    if (binding?.kind === "local" && binding.type.kind === "record") {
      const text: Core = { op: "local", local: binding.local, span: given.value.span, type: binding.type };
      return [{ span: given.span, at: given.at[0]?.raw, kind: "sql", text }];
    }
    if (binding?.kind === "local" && binding.type.kind !== "string")
      mismatch(env, given.value, binding.type, "`sql` or `string`");
  }
  return checkGiven(env, given);
}
