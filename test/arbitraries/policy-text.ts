// Generated policies: every construct of the grammar, with no regard for types. `policyFiles` gives syntax trees,
// `policyTexts` the same as text, `mutatedPolicyTexts` texts that are almost policies.
import fc from "fast-check";
import type * as ast from "../../dsl/ast.ts";
import { formatFile } from "../../dsl/format.ts";
import { isReservedWord } from "../../dsl/words.ts";

const span = { start: 0, end: 0 };
const nameOf = (text: string): ast.Name => ({ span, text });

const commonNames = ["a", "b", "orders", "public", "x1", "is_agent", "agent", "T", "Transfer", "identity", "row"];
const softNames = ["data", "type", "limit", "filter", "test", "count", "from", "to", "present", "sql", "http", "text"];

/** A name that is also a plain name: never a word with a meaning of its own. */
export const plainNames: fc.Arbitrary<ast.Name> = fc
  .oneof(fc.constantFrom(...commonNames), fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/))
  .filter((text) => !isReservedWord(text) && !softNames.includes(text) && !otherWords.has(text))
  .map(nameOf);
const otherWords: ReadonlySet<string> = new Set([
  ...["package", "default", "schema", "catalog", "counter", "fixture", "mcp", "llm", "absent", "approval", "json"],
  ...["searchable", "null", "nil", "undefined"],
]);
/** Any name, words that matter in one position included. */
export const names: fc.Arbitrary<ast.Name> = fc.oneof(
  { arbitrary: plainNames, weight: 8 },
  { arbitrary: fc.constantFrom(...softNames).map(nameOf), weight: 1 },
);
/** After a dot every word is a name. */
const fieldNames: fc.Arbitrary<ast.Name> = fc.oneof(
  { arbitrary: names, weight: 8 },
  { arbitrary: fc.constantFrom("limit", "method", "where", "in", "by", "allow").map(nameOf), weight: 1 },
);
const qnames: fc.Arbitrary<ast.QName> = fc
  .array(plainNames, { minLength: 1, maxLength: 3 })
  .map((parts) => ({ span, parts }));

// ---- texts

const contents = fc.oneof(
  {
    arbitrary: fc.constantFrom("prod-*", "no", "/v1/{id:int}/**", "select 1", "{", "a}b", '"', "\\d+", "é\n\t"),
    weight: 4,
  },
  { arbitrary: fc.string({ maxLength: 8, unit: "grapheme" }), weight: 2 },
  { arbitrary: fc.string({ maxLength: 6, unit: "binary" }), weight: 1 },
);
const rawTexts: fc.Arbitrary<ast.Text> = contents
  .map((raw) => raw.replaceAll("`", "").replace(/[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]/g, ""))
  .map((raw) => ({ span, raw, isRaw: true, parts: [{ kind: "text", value: raw }] }));
export const plainTexts: fc.Arbitrary<ast.Text> = fc.oneof(
  {
    arbitrary: contents.map((raw): ast.Text => ({ span, raw, isRaw: false, parts: [{ kind: "text", value: raw }] })),
    weight: 4,
  },
  { arbitrary: rawTexts, weight: 1 },
);

const interpolated = (expr: fc.Arbitrary<ast.Expr>): fc.Arbitrary<ast.Text> =>
  fc.array(fc.oneof(contents, expr.filter(isOneLine)), { maxLength: 3 }).map((pieces): ast.Text => {
    const parts: ast.TextPart[] = [];
    let raw = "";
    for (const piece of pieces) {
      const last = parts.at(-1);
      if (typeof piece !== "string") {
        parts.push({ kind: "placeholder", expr: piece });
        raw += "{…}";
      } else if (piece !== "") {
        if (last?.kind === "text") parts[parts.length - 1] = { kind: "text", value: last.value + piece };
        else parts.push({ kind: "text", value: piece });
        raw += piece;
      }
    }
    return { span, raw, isRaw: false, parts: parts.length > 0 ? parts : [{ kind: "text", value: "" }] };
  });

/** A placeholder stands on one line: texts in back-ticks may not bring a line break into it. */
const isOneLine = (expr: ast.Expr): boolean => {
  const text = JSON.stringify(expr);
  return !/"isRaw":true/.test(text) && text.length < 1_500;
};

// ---- types

export const types: fc.Arbitrary<ast.TypeExpr> = fc.letrec<{ type: ast.TypeExpr; leaf: ast.TypeExpr }>((tie) => ({
  leaf: fc.oneof(
    fc
      .record({ name: qnames, isOptional: fc.boolean() })
      .map(({ name, isOptional }): ast.TypeExpr => ({ span, isOptional, atom: { kind: "named", name, args: [] } })),
    fc
      .record({ values: fc.array(plainTexts, { minLength: 1, maxLength: 3 }), isOptional: fc.boolean() })
      .map(({ values, isOptional }): ast.TypeExpr => ({ span, isOptional, atom: { kind: "enum", values } })),
  ),
  type: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc
      .record({ name: qnames, args: fc.array(tie("type"), { minLength: 1, maxLength: 2 }), isOptional: fc.boolean() })
      .map(({ name, args, isOptional }): ast.TypeExpr => ({ span, isOptional, atom: { kind: "named", name, args } })),
    fc
      .record({
        fields: fc.array(fc.record({ name: names, type: tie("type") }), { maxLength: 3 }),
        isOptional: fc.boolean(),
      })
      .map(({ fields, isOptional }): ast.TypeExpr => ({ span, isOptional, atom: { kind: "record", fields } })),
  ),
})).type;

// ---- expressions

const numbers: fc.Arbitrary<ast.Expr> = fc.oneof(
  fc.nat({ max: 1_000_000 }).map((value): ast.Expr => ({ kind: "int", span, value, raw: String(value) })),
  fc
    .constantFrom("10_000", "0", "007")
    .map((raw): ast.Expr => ({ kind: "int", span, value: Number(raw.replaceAll("_", "")), raw })),
  fc
    .constantFrom("0.25", "1_0.5")
    .map((raw): ast.Expr => ({ kind: "float", span, value: Number(raw.replaceAll("_", "")), raw })),
  fc
    .constantFrom(["15m", 900_000] as const, ["500ms", 500] as const, ["7d", 604_800_000] as const)
    .map(([raw, value]): ast.Expr => ({ kind: "duration", span, value, raw })),
  fc
    .constantFrom(["5MB", 5_000_000] as const, ["64KiB", 65_536] as const)
    .map(([raw, value]): ast.Expr => ({ kind: "size", span, value, raw })),
);
const nameExprs: fc.Arbitrary<ast.Expr> = names.map((name) => ({ kind: "name", span, name }));
const leaves: fc.Arbitrary<ast.Expr> = fc.oneof(
  { arbitrary: nameExprs, weight: 4 },
  { arbitrary: numbers, weight: 2 },
  { arbitrary: fc.boolean().map((value): ast.Expr => ({ kind: "bool", span, value })), weight: 1 },
  {
    arbitrary: fc
      .constantFrom(["cidr", "10.0.0.0/8"] as const, ["col", "public.a.b"] as const)
      .map(([tag, value]): ast.Expr => ({ kind: "tagged", span, tag: nameOf(tag), value })),
    weight: 1,
  },
);
const compareOps = ["==", "!=", "<", "<=", ">", ">="] as const;
const wordOps = ["in", "contains", "startswith", "endswith"] as const;

export const exprs: fc.Arbitrary<ast.Expr> = fc.letrec<{ expr: ast.Expr }>((tie) => {
  const expr = tie("expr");
  const args = fc.array(
    fc.record({ name: fc.option(names, { nil: undefined }), value: expr }).map((arg): ast.Arg => ({ span, ...arg })),
    { maxLength: 2 },
  );
  const pair = fc.tuple(expr, expr);
  return {
    expr: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaves,
      fc.oneof(plainAsString(rawTexts), plainAsString(interpolated(leaves))),
      plainAsString(interpolated(expr)),
      fc.record({ object: expr, field: fieldNames }).map((e): ast.Expr => ({ kind: "field", span, ...e })),
      pair.map(([object, index]): ast.Expr => ({ kind: "index", span, object, index })),
      fc.record({ callee: expr, args }).map((e): ast.Expr => ({ kind: "call", span, ...e })),
      fc
        .record({ kind: fc.constantFrom("not" as const, "negate" as const), operand: expr })
        .map((e): ast.Expr => ({ span, ...e })),
      fc
        .record({
          kind: fc.constantFrom("and" as const, "or" as const),
          operands: fc.array(expr, { minLength: 2, maxLength: 3 }),
        })
        .map((e): ast.Expr => ({ span, ...e })),
      fc.tuple(fc.constantFrom(...compareOps), pair).map(
        ([op, [left, right]]): ast.Expr => ({
          kind: "compare",
          span,
          op,
          isNegated: false,
          left,
          right,
          opSpan: span,
        }),
      ),
      fc.tuple(fc.constantFrom(...wordOps), fc.boolean(), pair).map(
        ([op, isNegated, [left, right]]): ast.Expr => ({
          kind: "compare",
          span,
          op,
          isNegated,
          left,
          right,
          opSpan: span,
        }),
      ),
      fc.tuple(fc.constantFrom("like" as const, "matches" as const), fc.boolean(), expr, plainAsString(plainTexts)).map(
        ([op, isNegated, left, right]): ast.Expr => ({
          kind: "compare",
          span,
          op,
          isNegated,
          left,
          right,
          opSpan: span,
        }),
      ),
      fc
        .record({ operand: expr, what: fc.constantFrom("present" as const, "absent" as const) })
        .map((e): ast.Expr => ({ kind: "is", span, ...e })),
      fc
        .tuple(fc.constantFrom("+" as const, "-" as const, "*" as const, "/" as const, "%" as const), pair)
        .map(([op, [left, right]]): ast.Expr => ({ kind: "arithmetic", span, op, left, right })),
      pair.map(([left, right]): ast.Expr => ({ kind: "coalesce", span, left, right })),
      fc
        .tuple(pair, fc.boolean())
        .map(([[from, to], isHalfOpen]): ast.Expr => ({ kind: "range", span, from, to, isHalfOpen })),
      fc.record({ operand: expr, type: types }).map((e): ast.Expr => ({ kind: "cast", span, ...e })),
      fc
        .tuple(expr, expr, expr)
        .map(([condition, yes, no]): ast.Expr => ({ kind: "if", span, condition, ...thenElse(yes, no) })),
      fc
        .record({
          which: fc.constantFrom("any" as const, "all" as const, "none" as const),
          variable: names,
          over: expr,
          body: expr,
        })
        .map((e): ast.Expr => ({ kind: "quantifier", span, ...e })),
      fc.array(expr, { maxLength: 3 }).map((items): ast.Expr => ({ kind: "list", span, items })),
      fc
        .record({ item: expr, variable: names, over: expr, condition: fc.option(expr, { nil: undefined }) })
        .map((e): ast.Expr => ({ kind: "comprehension", span, ...e })),
      fc
        .array(fc.record({ key: fc.oneof(names, contents.map(nameOf)), value: expr }), { maxLength: 3 })
        .map((entries): ast.Expr => ({ kind: "record", span, entries })),
    ),
  };
}).expr;

function plainAsString(texts: fc.Arbitrary<ast.Text>): fc.Arbitrary<ast.Expr> {
  return texts.map((text): ast.Expr => ({ kind: "string", span, text }));
}
// biome-ignore lint/suspicious/noThenProperty: the AST names the parts of `if` as the language does; nothing awaits it
const thenElse = (yes: ast.Expr, no: ast.Expr) => ({ then: yes, else: no });

// ---- targets

const atPatterns = fc.array(plainTexts, { maxLength: 2 });
const quotedSegments = plainTexts.map(({ raw }): ast.Segment => ({ span, text: raw, isQuoted: true }));
const segments = fc
  .tuple(
    fc.oneof(names, fc.constant(nameOf("*")), quotedSegments),
    fc.array(fc.oneof(fieldNames, fc.constant(nameOf("*")), quotedSegments), { maxLength: 2 }),
  )
  .map(([first, rest]): readonly ast.Segment[] => [first, ...rest]);
const columns = fc.option(fc.array(fc.oneof(names, quotedSegments), { minLength: 1, maxLength: 2 }), {
  nil: undefined,
});
export const tablePats: fc.Arbitrary<ast.TablePat> = fc.oneof(
  { arbitrary: fc.record({ segments, columns }).map((p): ast.TablePat => ({ kind: "path", span, ...p })), weight: 3 },
  { arbitrary: plainTexts.map((tag): ast.TablePat => ({ kind: "tagged", span, tag })), weight: 1 },
);
const someTables = fc.array(tablePats, { minLength: 1, maxLength: 2 });
const someTexts = fc.array(plainTexts, { minLength: 1, maxLength: 2 });
export const targets: fc.Arbitrary<ast.Target> = fc.oneof(
  fc.constant<ast.Target>({ kind: "any", span }),
  fc
    .record({ actions: fc.array(plainNames, { maxLength: 2 }), tables: fc.oneof(fc.constant([]), someTables) })
    .map((t): ast.Target => ({ kind: "sql", span, ...t })),
  fc
    .record({ methods: fc.array(plainNames, { maxLength: 2 }), routes: fc.oneof(fc.constant([]), someTexts) })
    .map((t): ast.Target => ({ kind: "http", span, ...t })),
  fc
    .record({
      kind: fc.constantFrom("mcp" as const, "llm" as const),
      selectors: fc.array(
        fc.record({ name: plainNames, patterns: someTexts }).map((s): ast.Selector => ({ span, ...s })),
        { maxLength: 2 },
      ),
    })
    .map((t): ast.Target => ({ span, ...t })),
);

// ---- declarations

const annotations = fc.array(
  fc.record({ name: names, args: fc.array(exprs, { maxLength: 2 }) }).map((a): ast.Annotation => ({ span, ...a })),
  { maxLength: 2 },
);
const base = { span, annotations: [], doc: undefined };
const durations: fc.Arbitrary<ast.Expr> = fc.constant({ kind: "duration", span, value: 3_600_000, raw: "1h" });
const becauses = fc.option(interpolated(leaves), { nil: undefined });
const maskCalls: fc.Arbitrary<ast.MaskCall> = fc
  .record({
    name: names,
    args: fc.array(
      fc.record({ name: fc.option(names, { nil: undefined }), value: exprs }).map((arg): ast.Arg => ({ span, ...arg })),
      { maxLength: 2 },
    ),
  })
  .map((call) => ({ span, ...call }));
const maskTargets: fc.Arbitrary<ast.MaskTarget> = fc.oneof(
  someTables.map((tables): ast.MaskTarget => ({ kind: "tables", span, tables })),
  fc
    .record({ kind: fc.constantFrom("json" as const, "text" as const), patterns: someTexts })
    .map((t): ast.MaskTarget => ({ span, ...t })),
);
const filterTargets: fc.Arbitrary<ast.FilterTarget> = fc.oneof(
  someTables.map((tables): ast.MaskTarget => ({ kind: "tables", span, tables })),
  plainTexts.map((pattern): ast.MaskTarget => ({ kind: "json", span, patterns: [pattern] })),
);

const heads: fc.Arbitrary<ast.RuleHead> = fc.oneof(
  fc.constantFrom<ast.RuleHead>({ effect: "allow" }, { effect: "deny" }),
  fc
    .record({ of: maskTargets, using: maskCalls, searchable: fc.boolean() })
    .map((h): ast.RuleHead => ({ effect: "mask", ...h })),
  fc.record({ of: filterTargets, where: exprs }).map((h): ast.RuleHead => ({ effect: "filter", ...h })),
  fc
    .record({
      from: fc.array(
        fc
          .record({ count: fc.option(fc.nat({ max: 9 }), { nil: undefined }), kind: plainNames, name: plainTexts })
          .map((a): ast.ApproverClause => ({ span, ...a })),
        { maxLength: 2 },
      ),
      within: fc.option(durations, { nil: undefined }),
    })
    .map((h): ast.RuleHead => ({ effect: "approval", ...h })),
  fc
    .record({
      to: exprs,
      unit: plainNames,
      per: fc.option(fc.record({ duration: durations, by: exprs }), { nil: undefined }),
    })
    .map((h): ast.RuleHead => ({ effect: "limit", ...h })),
  plainTexts.map((to): ast.RuleHead => ({ effect: "alert", to })),
);

const clauses: fc.Arbitrary<ast.BodyClause> = fc.oneof(
  fc
    .record({ kind: fc.constantFrom("when" as const, "unless" as const), condition: exprs })
    .map((c): ast.BodyClause => ({ span, ...c })),
  fc.record({ name: names, value: exprs }).map((c): ast.BodyClause => ({ kind: "let", span, ...c })),
);

export const rules: fc.Arbitrary<ast.Decl> = fc
  .record({
    annotations,
    name: names,
    head: heads,
    target: fc.option(targets, { nil: undefined }),
    at: atPatterns,
    clauses: fc.array(clauses, { maxLength: 3 }),
    because: becauses,
  })
  .map((rule): ast.Decl => ({ ...base, kind: "rule", ...rule }));

const givens: fc.Arbitrary<ast.Given> = fc.oneof(
  fc
    .record({ method: plainNames, path: exprs, at: atPatterns, record: fc.option(recordExprs(), { nil: undefined }) })
    .map((g): ast.Given => ({ kind: "http", span, ...g })),
  fc
    .record({
      kind: fc.constantFrom("mcp" as const, "llm" as const),
      selector: plainNames,
      name: exprs,
      at: atPatterns,
      record: fc.option(recordExprs(), { nil: undefined }),
    })
    .map((g): ast.Given => ({ span, ...g })),
  fc
    .record({ kind: fc.constantFrom("counter" as const, "data" as const), name: names, value: exprs })
    .map((g): ast.Given => ({ span, ...g })),
  fc
    .record({
      root: fc.constantFrom("identity", "sql", "time", "session", "approval").map(nameOf),
      value: exprs,
      at: atPatterns,
    })
    .map((g): ast.Given => ({ kind: "root", span, ...g })),
);
function recordExprs(): fc.Arbitrary<ast.Expr> {
  return fc
    .array(fc.record({ key: names, value: leaves }), { maxLength: 2 })
    .map((entries): ast.Expr => ({ kind: "record", span, entries }));
}

const expects: fc.Arbitrary<ast.Expect> = fc
  .record({
    isNegated: fc.boolean(),
    what: fc.oneof(
      fc
        .record({ column: tablePats, using: fc.option(maskCalls, { nil: undefined }) })
        .map((w): ast.Expect["what"] => ({ kind: "mask", ...w })),
      fc
        .record({ table: tablePats, as: fc.option(plainTexts, { nil: undefined }) })
        .map((w): ast.Expect["what"] => ({ kind: "filter", ...w })),
      names.map((name): ast.Expect["what"] => ({ kind: "limit", name })),
      fc.option(names, { nil: undefined }).map((name): ast.Expect["what"] => ({ kind: "alert", name })),
      fc
        .record({
          effect: fc
            .oneof(fc.constantFrom("allow", "deny", "approval").map(nameOf), plainNames)
            .map((name): ast.Expr => ({ kind: "name", span, name })),
          by: fc.option(names, { nil: undefined }),
          because: becauses,
        })
        .map((w): ast.Expect["what"] => ({ kind: "effect", ...w })),
    ),
  })
  .map((e) => ({ span, ...e }));

const cases: fc.Arbitrary<ast.Cases> = fc.integer({ min: 1, max: 3 }).chain((width) =>
  fc
    .record({
      columns: fc.array(names, { minLength: width, maxLength: width }),
      rows: fc.array(
        fc.array(exprs, { minLength: width, maxLength: width }).map((cells) => ({ span, cells })),
        { maxLength: 3 },
      ),
    })
    .map((table) => ({ span, ...table })),
);

const testBodies = {
  givens: fc.array(givens, { maxLength: 3 }),
  expects: fc.array(expects, { minLength: 1, maxLength: 2 }),
};
export const tests: fc.Arbitrary<ast.Decl> = fc
  .record({ annotations, title: plainTexts, cases: fc.option(cases, { nil: undefined }), ...testBodies })
  .map((test): ast.Decl => ({ ...base, kind: "test", ...test }));

const foralls = fc
  .record({ name: names, type: types, where: fc.option(exprs, { nil: undefined }) })
  .map((forall) => ({ span, ...forall }));

export const decls: fc.Arbitrary<ast.Decl> = fc.oneof(
  { arbitrary: rules, weight: 6 },
  { arbitrary: tests, weight: 2 },
  fc
    .record({ title: plainTexts, foralls: fc.array(foralls, { minLength: 1, maxLength: 2 }), ...testBodies })
    .map((p): ast.Decl => ({ ...base, kind: "property", ...p })),
  fc.record({ name: names, type: types }).map((d): ast.Decl => ({ ...base, kind: "type", ...d })),
  fc.record({ target: qnames, type: types }).map((d): ast.Decl => ({ ...base, kind: "schema", ...d })),
  fc.record({ connection: plainTexts, from: plainTexts }).map((d): ast.Decl => ({ ...base, kind: "catalog", ...d })),
  fc.record({ name: names, type: types, from: plainTexts }).map((d): ast.Decl => ({ ...base, kind: "data", ...d })),
  fc
    .record({ isExported: fc.boolean(), name: names, type: fc.option(types, { nil: undefined }), value: exprs })
    .map((d): ast.Decl => ({ ...base, kind: "let", ...d })),
  fc
    .record({
      isExported: fc.boolean(),
      name: names,
      params: fc.array(
        fc.record({ name: names, type: types }).map((p): ast.Param => ({ span, ...p })),
        { maxLength: 2 },
      ),
      result: fc.option(types, { nil: undefined }),
      body: exprs,
    })
    .map((d): ast.Decl => ({ ...base, kind: "func", ...d })),
  fc
    .record({
      name: names,
      measure: fc.constantFrom("sum", "max", "distinct").map(nameOf),
      of: fc.option(exprs, { nil: undefined }),
      target: targets,
      at: atPatterns,
      when: fc.option(exprs, { nil: undefined }),
      by: exprs,
      over: durations,
    })
    .map((d): ast.Decl => ({ ...base, kind: "counter", ...d, measure: d.of ? d.measure : nameOf("count") })),
  fc.record({ name: names, type: types, value: exprs }).map((d): ast.Decl => ({ ...base, kind: "fixture", ...d })),
  fc
    .record({ effect: fc.constantFrom("deny", "allow").map(nameOf), because: becauses })
    .map((d): ast.Decl => ({ ...base, kind: "default", ...d })),
);

const imports: fc.Arbitrary<ast.Import> = fc.oneof(
  fc
    .record({ path: qnames, alias: fc.option(names, { nil: undefined }) })
    .map((i): ast.Import => ({ span, names: undefined, ...i })),
  fc
    .record({ path: qnames, names: fc.array(names, { minLength: 1, maxLength: 3 }) })
    .map((i): ast.Import => ({ span, alias: undefined, ...i })),
);

/** A whole file as a syntax tree with empty spans. */
export const policyFiles: fc.Arbitrary<ast.SourceFile> = fc
  .record({ package: qnames, imports: fc.array(imports, { maxLength: 2 }), decls: fc.array(decls, { maxLength: 4 }) })
  .map((file) => ({ path: "generated.policy", text: "", ...file }));

/** A whole file as text: it parses. */
export const policyTexts: fc.Arbitrary<string> = policyFiles.map((file) => formatFile(file));

/** Texts that were policies before something was cut out, doubled or put in. */
export const mutatedPolicyTexts: fc.Arbitrary<string> = fc
  .tuple(
    policyTexts,
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 12 }), fc.string({ maxLength: 4 })), { minLength: 1, maxLength: 4 }),
  )
  .map(([text, edits]) =>
    edits.reduce((current, [at, length, put]) => {
      const start = current.length === 0 ? 0 : at % current.length;
      return current.slice(0, start) + put + current.slice(start + length);
    }, text),
  );
