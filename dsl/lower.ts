// CST -> AST
import type { Span } from "../engine/lib/span.ts";
import type * as ast from "./ast.ts";
import { type Cst, type CstToken, nodeOf, nodesOf, spanOfNode, spanOfToken, tokenOf, tokensOf } from "./cst-read.ts";
import { diagnose } from "./diagnostic.ts";
import { ExprLowering, HoleError } from "./lower-expr.ts";
import type { TextSource } from "./lower-text.ts";

/** The comment lines of a declaration's documentation, joined; `undefined` where there is none. */
export type DocOf = (declStart: number) => string | undefined;

/** What recovery could not complete is left out; `unreadable` holds the names that it would have defined. */
export function lowerFile(source: TextSource, cst: Cst | undefined, docOf: DocOf): ast.SourceFile {
  const lowering = new Lowering(source, docOf);
  const packageNode = cst && nodeOf(cst, "Package");
  const imports = cst ? nodesOf(cst, "Import").flatMap((node) => whole(() => lowering.import(node))) : [];
  const unreadable: ast.Name[] = [];
  const decls = (cst ? nodesOf(cst, "Decl") : []).flatMap((node) => {
    const [decl] = whole(() => lowering.decl(node));
    if (decl) return [decl];
    const name = definedName(node);
    if (name) unreadable.push({ span: spanOfToken(name), text: name.image });
    return [];
  });
  return {
    path: source.path,
    text: source.text,
    package: packageNode && whole(() => lowering.expr.qname(nodeOf(packageNode, "QName")))[0],
    imports,
    decls,
    unreadable,
  };
}

/** Nothing where recovery left a hole. */
function whole<T>(lower: () => T): readonly T[] {
  try {
    return [lower()];
  } catch (error) {
    if (error instanceof HoleError) return [];
    throw error;
  }
}

/** The first name of a declaration that could not be read as a whole. */
function definedName(decl: Cst): CstToken | undefined {
  const [body] = Object.entries(decl.children).filter(([name]) => name !== "Annotation");
  const node = body?.[1][0];
  if (node === undefined || !("children" in node)) return undefined;
  const head = nodeOf(node, "Head");
  return tokenOf(head ?? node, "Name");
}

class Lowering {
  readonly expr: ExprLowering;
  readonly #source: TextSource;
  readonly #docOf: DocOf;

  constructor(source: TextSource, docOf: DocOf) {
    this.expr = new ExprLowering(source);
    this.#source = source;
    this.#docOf = docOf;
  }

  import(node: Cst): ast.Import {
    const alias = tokenOf(node, "alias");
    const names = tokensOf(node, "names").map((token) => this.expr.name(token));
    return {
      span: spanOfNode(node),
      path: this.expr.qname(nodeOf(node, "QName")),
      alias: alias && this.expr.name(alias),
      names: tokenOf(node, "LBrace") ? names : undefined,
    };
  }

  decl(node: Cst): ast.Decl {
    const span = spanOfNode(node);
    const base = {
      span,
      annotations: nodesOf(node, "Annotation").map((annotation) => this.#annotation(annotation)),
      doc: this.#docOf(span.start),
    };
    for (const [name, parts] of Object.entries(node.children)) {
      const body = parts[0];
      if (name === "Annotation" || body === undefined || !("children" in body)) continue;
      return this.#declBody(name, body, base);
    }
    throw new HoleError();
  }

  #annotation(node: Cst): ast.Annotation {
    return {
      span: spanOfNode(node),
      name: this.expr.name(tokenOf(node, "Name")),
      args: nodesOf(node, "Expr").map((arg) => this.expr.expr(arg)),
    };
  }

  #declBody(rule: string, node: Cst, base: DeclParts): ast.Decl {
    const e = this.expr;
    const end = base.span.end;
    switch (rule) {
      case "TypeDecl":
        return { ...base, kind: "type", name: e.name(tokenOf(node, "Name")), type: e.type(nodeOf(node, "Type")) };
      case "SchemaDecl":
        return { ...base, kind: "schema", target: e.qname(nodeOf(node, "QName")), type: e.type(nodeOf(node, "Type")) };
      case "CatalogDecl": {
        const connection = e.plain(tokenOf(node, "connection"));
        return { ...base, kind: "catalog", connection, from: e.plain(tokenOf(node, "from")) };
      }
      case "DataDecl": {
        const name = e.name(tokenOf(node, "Name"));
        return {
          ...base,
          kind: "data",
          name,
          type: e.type(nodeOf(node, "Type")),
          from: e.plain(tokenOf(node, "STRING")),
        };
      }
      case "LetDecl": {
        const type = nodeOf(node, "Type");
        return {
          ...base,
          kind: "let",
          isExported: tokenOf(node, "KwExport") !== undefined,
          name: e.name(tokenOf(node, "Name")),
          type: type && e.type(type),
          value: e.expr(nodeOf(node, "Expr"), end),
        };
      }
      case "FuncDecl":
        return this.#func(node, base);
      case "CounterDecl":
        return this.#counter(node, base);
      case "FixtureDecl": {
        const name = e.name(tokenOf(node, "Name"));
        const type = e.type(nodeOf(node, "Type"));
        return { ...base, kind: "fixture", name, type, value: e.expr(nodeOf(node, "Expr"), end) };
      }
      case "DefaultDecl":
        return {
          ...base,
          kind: "default",
          effect: e.name(tokenOf(node, "effect")),
          because: this.#because(nodeOf(node, "Because")),
        };
      case "RuleDecl":
        return this.#rule(node, base);
      case "TestDecl":
        return this.#test(node, base);
      case "PropertyDecl":
        return this.#property(node, base);
      default:
        throw new HoleError();
    }
  }

  #func(node: Cst, base: DeclParts): ast.FuncDecl {
    const result = nodeOf(node, "Type");
    return {
      ...base,
      kind: "func",
      isExported: tokenOf(node, "KwExport") !== undefined,
      name: this.expr.name(tokenOf(node, "Name")),
      params: nodesOf(node, "Param").map((param) => ({
        span: spanOfNode(param),
        name: this.expr.name(tokenOf(param, "Name")),
        type: this.expr.type(nodeOf(param, "Type")),
      })),
      result: result && this.expr.type(result),
      body: this.expr.expr(nodeOf(node, "Expr"), base.span.end),
    };
  }

  #counter(node: Cst, base: DeclParts): ast.CounterDecl {
    const of = nodeOf(node, "of");
    const when = nodeOf(node, "when");
    return {
      ...base,
      kind: "counter",
      name: this.expr.name(tokenOf(node, "Name")),
      measure: this.expr.name(tokenOf(node, "measure")),
      of: of && this.expr.operand(of),
      target: this.#target(nodeOf(node, "Target")),
      at: this.#at(nodeOf(node, "At")),
      when: when && this.expr.expr(when),
      by: this.expr.expr(nodeOf(node, "by"), base.span.end),
      over: this.#duration(tokenOf(node, "DURATION")),
    };
  }

  #duration(token: CstToken | undefined): ast.Expr {
    if (token === undefined) throw new HoleError();
    return this.expr.literalDuration(token);
  }

  // ---- rules

  #rule(node: Cst, base: DeclParts): ast.RuleDecl {
    const head = nodeOf(node, "Head");
    if (head === undefined) throw new HoleError();
    const target = nodeOf(node, "Target");
    return {
      ...base,
      kind: "rule",
      name: this.expr.name(tokenOf(head, "Name")),
      head: this.#head(head, base.span),
      target: target && this.#target(target),
      at: this.#at(nodeOf(node, "At")),
      clauses: nodesOf(node, "BodyClause").flatMap((clause) => whole(() => this.#clause(clause))),
      because: this.#because(nodeOf(node, "Because")),
    };
  }

  #head(node: Cst, span: Span): ast.RuleHead {
    const e = this.expr;
    if (tokenOf(node, "KwAllow")) return { effect: "allow" };
    if (tokenOf(node, "KwDeny")) return { effect: "deny" };
    if (tokenOf(node, "KwMask")) {
      const isSearchable = tokenOf(node, "KwSearchable") !== undefined;
      const of = this.#maskTarget(nodeOf(node, "MaskTarget"));
      return { effect: "mask", of, using: this.#maskCall(nodeOf(node, "MaskCall")), searchable: isSearchable };
    }
    if (tokenOf(node, "KwFilter")) {
      const of = this.#maskTarget(nodeOf(node, "FilterTarget"));
      return { effect: "filter", of, where: e.expr(nodeOf(node, "Expr"), span.end) };
    }
    if (tokenOf(node, "KwRequire")) {
      const within = tokenOf(node, "DURATION");
      return {
        effect: "approval",
        from: nodesOf(node, "Approver").flatMap((approver) => whole(() => this.#approver(approver))),
        within: within && this.#duration(within),
      };
    }
    if (tokenOf(node, "KwLimit")) {
      const to = e.arith(nodeOf(node, "Arith"), span.end);
      const unit = e.name(tokenOf(node, "unit"));
      if (tokenOf(node, "KwPer") === undefined) return { effect: "limit", to, unit, per: undefined };
      const by = e.operand(nodeOf(node, "Operand"), span.end);
      return { effect: "limit", to, unit, per: { duration: this.#duration(tokenOf(node, "DURATION")), by } };
    }
    if (tokenOf(node, "KwAlert")) return { effect: "alert", to: e.plain(tokenOf(node, "STRING")) };
    throw new HoleError();
  }

  #approver(node: Cst): ast.ApproverClause {
    const count = tokenOf(node, "INT");
    return {
      span: spanOfNode(node),
      count: count && Number(count.image.replaceAll("_", "")),
      kind: this.expr.name(tokenOf(node, "PlainName")),
      name: this.expr.plain(tokenOf(node, "STRING")),
    };
  }

  #maskTarget(node: Cst | undefined): ast.MaskTarget {
    if (node === undefined) throw new HoleError();
    const span = spanOfNode(node);
    const content = tokenOf(node, "content")?.image;
    if (content === "json" || content === "text" || content === "tagged") {
      return { kind: content, span, patterns: tokensOf(node, "STRING").map((token) => this.expr.plain(token)) };
    }
    return { kind: "tables", span, tables: this.#tablePats(nodeOf(node, "TablePats")) };
  }

  #maskCall(node: Cst | undefined): ast.MaskCall {
    if (node === undefined) throw new HoleError();
    const span = spanOfNode(node);
    return {
      span,
      name: this.expr.name(tokenOf(node, "Name")),
      args: nodesOf(node, "Arg").map((arg) => this.expr.arg(arg, span.end)),
    };
  }

  #clause(node: Cst): ast.BodyClause {
    const span = spanOfNode(node);
    const value = this.expr.expr(nodeOf(node, "Expr"), span.end);
    if (tokenOf(node, "LET")) return { kind: "let", span, name: this.expr.name(tokenOf(node, "Name")), value };
    return { kind: tokenOf(node, "KwUnless") ? "unless" : "when", span, condition: value };
  }

  #because(node: Cst | undefined): ast.Text | undefined {
    const token = node && tokenOf(node, "STRING");
    return token && this.expr.interpolated(token);
  }

  #at(node: Cst | undefined): readonly ast.Text[] {
    return node ? tokensOf(node, "STRING").map((token) => this.expr.plain(token)) : [];
  }

  #target(node: Cst | undefined): ast.Target {
    if (node === undefined) throw new HoleError();
    const e = this.expr;
    const span = spanOfNode(node);
    if (tokenOf(node, "KwAny")) return { kind: "any", span };
    if (tokenOf(node, "KwSql")) {
      const actions = tokensOf(node, "actions").map((token) => e.name(token));
      const tables = nodeOf(node, "TablePats");
      return { kind: "sql", span, actions, tables: tables ? this.#tablePats(tables) : [] };
    }
    if (tokenOf(node, "KwHttp")) {
      const methods = tokensOf(node, "methods").map((token) => e.name(token));
      return { kind: "http", span, methods, routes: tokensOf(node, "STRING").map((token) => e.plain(token)) };
    }
    const protocol = tokenOf(node, "protocol")?.image;
    if (protocol !== "mcp" && protocol !== "llm") throw new HoleError();
    const selectors = nodesOf(node, "Selector").map((selector) => ({
      span: spanOfNode(selector),
      name: e.name(tokenOf(selector, "PlainName")),
      patterns: tokensOf(selector, "STRING").map((token) => e.plain(token)),
    }));
    return { kind: protocol, span, selectors };
  }

  #tablePats(node: Cst | undefined): readonly ast.TablePat[] {
    if (node === undefined) throw new HoleError();
    return nodesOf(node, "TablePat").map((pattern) => this.#tablePat(pattern));
  }

  #tablePat(node: Cst | undefined): ast.TablePat {
    if (node === undefined) throw new HoleError();
    const span = spanOfNode(node);
    if (tokenOf(node, "KwTagged")) return { kind: "tagged", span, tag: this.expr.plain(tokenOf(node, "STRING")) };
    return {
      kind: "path",
      span,
      segments: nodesOf(node, "Seg").map((seg) => this.#segment(seg)),
      columns: tokenOf(node, "LParen") ? nodesOf(node, "Col").map((column) => this.#segment(column)) : undefined,
    };
  }

  #segment(node: Cst): ast.Segment {
    const token = tokenOf(node, "segment");
    if (!/^["`]/.test(token?.image ?? "")) return this.expr.name(token);
    const { span, raw } = this.expr.plain(token);
    return { span, text: raw, isQuoted: true };
  }

  // ---- tests

  #test(node: Cst, base: DeclParts): ast.TestDecl {
    const cases = nodeOf(node, "Cases");
    return {
      ...base,
      kind: "test",
      title: this.expr.plain(tokenOf(node, "STRING")),
      cases: cases && this.#cases(cases),
      givens: nodesOf(node, "Given").flatMap((given) => whole(() => this.#given(given))),
      expects: nodesOf(node, "Expect").flatMap((expect) => whole(() => this.#expect(expect))),
    };
  }

  #cases(node: Cst): ast.Cases {
    const head = nodeOf(node, "CaseHead");
    const columns = head ? tokensOf(head, "Name").map((token) => this.expr.name(token)) : [];
    const rows = nodesOf(node, "CaseRow").map((row) => ({
      span: spanOfNode(row),
      cells: nodesOf(row, "Expr").map((cell) => this.expr.expr(cell)),
    }));
    for (const row of rows) {
      if (row.cells.length === columns.length) continue;
      const cells = `${row.cells.length} ${row.cells.length === 1 ? "cell" : "cells"}`;
      this.#source.report(
        diagnose({
          code: "P0019",
          path: this.#source.path,
          span: row.span,
          message: `this row has ${cells}, the table has ${columns.length} columns`,
          label: `columns are ${columns.map((c) => `\`${c.text}\``).join(", ")}`,
          help: ["every row has one cell for each column; a cell cannot be empty"],
        }),
      );
    }
    return { span: spanOfNode(node), columns, rows };
  }

  #property(node: Cst, base: DeclParts): ast.PropertyDecl {
    return {
      ...base,
      kind: "property",
      title: this.expr.plain(tokenOf(node, "STRING")),
      foralls: nodesOf(node, "Forall").map((forall) => {
        const where = nodeOf(forall, "Expr");
        return {
          span: spanOfNode(forall),
          name: this.expr.name(tokenOf(forall, "Name")),
          type: this.expr.type(nodeOf(forall, "Type")),
          where: where && this.expr.expr(where),
        };
      }),
      givens: nodesOf(node, "Given").flatMap((given) => whole(() => this.#given(given))),
      expects: nodesOf(node, "Expect").flatMap((expect) => whole(() => this.#expect(expect))),
    };
  }

  #given(node: Cst): ast.Given {
    const e = this.expr;
    const span = spanOfNode(node);
    const protocol = tokenOf(node, "protocol")?.image;
    if (protocol !== undefined) {
      const record = nodeOf(node, "Record");
      const rest = { span, at: this.#at(nodeOf(node, "At")), record: record && e.record(record, span) };
      const selector = e.name(tokenOf(node, "selector"));
      const value = e.primary(nodeOf(node, "Primary"), span.end);
      if (protocol === "http") return { kind: "http", method: selector, path: value, ...rest };
      if (protocol === "mcp" || protocol === "llm") return { kind: protocol, selector, name: value, ...rest };
      throw new HoleError();
    }
    const value = e.expr(nodeOf(node, "Expr"), span.end);
    const supplied = tokenOf(node, "supplied")?.image;
    if (supplied === "counter" || supplied === "data") {
      return { kind: supplied, span, name: e.name(tokenOf(node, "Name")), value };
    }
    return { kind: "root", span, root: e.name(tokenOf(node, "root")), value, at: this.#at(nodeOf(node, "At")) };
  }

  #expect(node: Cst): ast.Expect {
    const e = this.expr;
    const base = { span: spanOfNode(node), isNegated: tokenOf(node, "KwNot") !== undefined };
    if (tokenOf(node, "KwMask")) {
      const call = nodeOf(node, "MaskCall");
      const using = call && this.#maskCall(call);
      const place = nodeOf(node, "MaskPlace");
      const format = place && tokenOf(place, "content")?.image;
      if (place && (format === "json" || format === "text" || format === "tagged"))
        return { ...base, what: { kind: "content-mask", format, pattern: e.plain(tokenOf(place, "STRING")), using } };
      return { ...base, what: { kind: "mask", column: this.#tablePat(place && nodeOf(place, "TablePat")), using } };
    }
    if (tokenOf(node, "KwFilter")) {
      const text = tokenOf(node, "STRING");
      const as = text && e.plain(text);
      const place = nodeOf(node, "FilterPlace");
      if (place && tokenOf(place, "content"))
        return { ...base, what: { kind: "item-filter", path: e.plain(tokenOf(place, "STRING")), as } };
      return { ...base, what: { kind: "filter", table: this.#tablePat(place && nodeOf(place, "TablePat")), as } };
    }
    if (tokenOf(node, "KwLimit")) return { ...base, what: { kind: "limit", name: e.name(tokenOf(node, "limitName")) } };
    if (tokenOf(node, "KwAlert")) {
      const name = tokenOf(node, "alertName");
      return { ...base, what: { kind: "alert", name: name && e.name(name) } };
    }
    const effect = e.name(tokenOf(node, "effect"));
    const by = tokenOf(node, "by");
    return {
      ...base,
      what: {
        kind: "effect",
        effect: { kind: "name", span: effect.span, name: effect },
        by: by && e.name(by),
        because: this.#because(nodeOf(node, "Because")),
      },
    };
  }
}

type DeclParts = {
  readonly span: Span;
  readonly annotations: readonly ast.Annotation[];
  readonly doc: string | undefined;
};
