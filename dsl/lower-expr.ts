// CST -> expressions and types
import { joinSpans, type Span, spanOf } from "../engine/lib/span.ts";
import { limits } from "../engine/limits.ts";
import type { Arg, Expr, Name, QName, Text, TypeExpr } from "./ast.ts";
import { type Cst, type CstToken, nodeOf, nodesOf, spanOfNode, spanOfToken, tokenOf, tokensOf } from "./cst-read.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { unitOf } from "./lexer.ts";
import { inParentheses, joinLogic, wholeOf } from "./lower-logic.ts";
import { chainedRange, mixedLogic, noNull, nothings, tooDeep } from "./lower-problems.ts";
import { interpolatedText, plainText, type TextSource } from "./lower-text.ts";
import { isCompareOp, precedence } from "./operators.ts";

/** Thrown inside the lowering where recovery left a hole that is not an expression; the declaration is left out. */
export class HoleError extends Error {}

/** Reads expressions, types and names of one file. */
export class ExprLowering implements TextSource {
  readonly path: string;
  readonly text: string;
  readonly report: (diagnostic: Diagnostic) => void;
  readonly readExpr: (span: Span) => Expr;
  #depth = 0;

  constructor(source: TextSource) {
    this.path = source.path;
    this.text = source.text;
    this.report = source.report;
    this.readExpr = source.readExpr;
  }

  // ---- names and texts

  name(token: CstToken | undefined): Name {
    if (token === undefined) throw new HoleError();
    return { span: spanOfToken(token), text: token.image };
  }

  qname(node: Cst | undefined): QName {
    if (node === undefined) throw new HoleError();
    const parts = tokensOf(node, "Name").map((token) => this.name(token));
    if (parts.length === 0) throw new HoleError();
    return { span: spanOfNode(node), parts };
  }

  plain(token: CstToken | undefined): Text {
    if (token === undefined) throw new HoleError();
    return plainText(this, spanOfToken(token));
  }

  interpolated(token: CstToken | undefined): Text {
    if (token === undefined) throw new HoleError();
    return interpolatedText(this, spanOfToken(token));
  }

  // ---- types

  type(node: Cst | undefined): TypeExpr {
    const atom = node && nodeOf(node, "TypeAtom");
    if (node === undefined || atom === undefined) throw new HoleError();
    return { span: spanOfNode(node), isOptional: tokenOf(node, "Question") !== undefined, atom: this.#typeAtom(atom) };
  }

  #typeAtom(node: Cst): TypeExpr["atom"] {
    if (tokenOf(node, "LBrace")) {
      const fields = nodesOf(node, "Param").map((field) => ({
        name: this.name(tokenOf(field, "Name")),
        type: this.type(nodeOf(field, "Type")),
      }));
      return { kind: "record", fields };
    }
    const values = tokensOf(node, "STRING");
    if (values.length > 0) return { kind: "enum", values: values.map((token) => this.plain(token)) };
    return {
      kind: "named",
      name: this.qname(nodeOf(node, "QName")),
      args: nodesOf(node, "Type").map((arg) => this.type(arg)),
    };
  }

  // ---- expressions

  /** A hole becomes `missing`: the problem is reported already. */
  expr(node: Cst | undefined, at = 0): Expr {
    if (node === undefined) return { kind: "missing", span: spanOf(at, at) };
    if (this.#depth >= limits.policyNestingMax) {
      this.report(tooDeep(this.path, spanOfNode(node, at)));
      return { kind: "missing", span: spanOfNode(node, at) };
    }
    this.#depth += 1;
    try {
      const conditional = nodeOf(node, "If");
      return conditional ? this.#if(conditional, at) : this.#logic(nodeOf(node, "Logic"), at);
    } finally {
      this.#depth -= 1;
    }
  }

  /** An expression that stands alone: where it has a hole that is not an expression, nothing of it is left. */
  wholeExpr(node: Cst | undefined, at: number): Expr {
    try {
      return this.expr(node, at);
    } catch (error) {
      if (error instanceof HoleError) return { kind: "missing", span: spanOf(at, at) };
      throw error;
    }
  }

  #if(node: Cst, at: number): Expr {
    const [condition, then, otherwise] = nodesOf(node, "Expr");
    const span = spanOfNode(node, at);
    return {
      kind: "if",
      span,
      condition: this.expr(condition, span.end),
      // biome-ignore lint/suspicious/noThenProperty: the AST names the parts of `if` as the language does; nothing awaits it
      then: this.expr(then, span.end),
      else: this.expr(otherwise, span.end),
    };
  }

  #logic(node: Cst | undefined, at: number): Expr {
    if (node === undefined) return { kind: "missing", span: spanOf(at, at) };
    const operators = tokensOf(node, "operator");
    const { end } = spanOfNode(node, at);
    const operands = nodesOf(node, "Condition").map((condition) => this.#condition(condition, end));
    const [first] = operands;
    if (first === undefined) return { kind: "missing", span: spanOf(at, at) };
    while (operands.length <= operators.length) operands.push({ kind: "missing", span: spanOf(end, end) });
    if (operators.length === 0) return first;
    const isMixed = operators.some((o) => o.image !== operators[0]?.image);
    if (isMixed) this.report(mixedLogic(this, operands, operators));
    return joinLogic(operands, operators);
  }

  /** `at`: where it is when recovery left nothing in it. */
  #condition(node: Cst, at: number): Expr {
    const quantifier = nodeOf(node, "Quantifier");
    const comparison = nodeOf(node, "Comparison");
    const span = spanOfNode(node, at);
    let value: Expr = quantifier
      ? this.#quantifier(quantifier, span.end)
      : comparison
        ? this.#comparison(comparison, span.end)
        : { kind: "missing", span: spanOf(span.end, span.end) };
    for (const not of this.#prefixes(tokensOf(node, "KwNot"))) {
      value = { kind: "not", span: joinSpans(spanOfToken(not), wholeOf(value)), operand: value };
    }
    return value;
  }

  /** Innermost first; beyond the nesting limit the rest is reported and left out. */
  #prefixes(tokens: readonly CstToken[]): readonly CstToken[] {
    const [first] = tokens;
    if (first !== undefined && tokens.length + this.#depth > limits.policyNestingMax) {
      this.report(tooDeep(this.path, spanOfToken(first)));
      return tokens.slice(0, 1);
    }
    return [...tokens].reverse();
  }

  #quantifier(node: Cst, at: number): Expr {
    const span = spanOfNode(node, at);
    const which = tokenOf(node, "which")?.image;
    if (which !== "any" && which !== "all" && which !== "none") throw new HoleError();
    return {
      kind: "quantifier",
      span,
      which,
      variable: this.name(tokenOf(node, "Name")),
      over: this.arith(nodeOf(node, "Arith"), span.end),
      body: this.expr(nodeOf(node, "Expr"), span.end),
    };
  }

  #comparison(node: Cst, at: number): Expr {
    const [leftNode, rightNode] = nodesOf(node, "Arith");
    const span = spanOfNode(node, at);
    const left = this.arith(leftNode, span.start);
    const what = tokenOf(node, "what")?.image;
    if (what === "present" || what === "absent") return { kind: "is", span, operand: left, what };
    const opNode = nodeOf(node, "CompareOp");
    const op = opNode && tokenOf(opNode, "operator");
    if (opNode === undefined || op === undefined || !isCompareOp(op.image)) return left;
    const opSpan = spanOfNode(opNode, span.end);
    const isPattern = op.image === "like" || op.image === "matches";
    const pattern = isPattern && rightNode ? loneText(rightNode) : undefined;
    const right: Expr = pattern
      ? { kind: "string", span: spanOfToken(pattern), text: this.plain(pattern) }
      : this.arith(rightNode, span.end);
    // one problem for one slip: nothing is said about what stands beside a hole
    if (left.kind === "missing" || right.kind === "missing") return { kind: "missing", span };
    const isNegated = tokenOf(opNode, "KwNot") !== undefined;
    return {
      kind: "compare",
      span: joinSpans(wholeOf(left), wholeOf(right)),
      op: op.image,
      isNegated,
      left,
      right,
      opSpan,
    };
  }

  /** Operators by their precedence; each step takes the operator that binds tightest on the stack (Dijkstra 1961). */
  arith(node: Cst | undefined, at = 0): Expr {
    if (node === undefined) return { kind: "missing", span: spanOf(at, at) };
    const operandNodes = nodesOf(node, "Operand");
    const operators = nodesOf(node, "ArithOp").map((op) => tokenOf(op, "operator"));
    if (operandNodes.length - 1 + this.#depth > limits.policyNestingMax) {
      this.report(tooDeep(this.path, spanOfNode(node, at)));
      return { kind: "missing", span: spanOfNode(node, at) };
    }
    const secondRange = operators.filter((op) => op?.image === ".." || op?.image === "..<")[1];
    if (secondRange) this.report(chainedRange(this.path, secondRange));
    const end = spanOfNode(node, at).end;
    const values: Expr[] = [this.operand(operandNodes[0], at)];
    const pending: CstToken[] = [];
    const reduce = (): void => {
      const op = pending.pop();
      const right = values.pop();
      const left = values.pop();
      if (op && left && right) values.push(this.#binary(op, left, right));
    };
    for (const [i, op] of operators.entries()) {
      if (op === undefined) continue;
      const mine = precedence[op.image];
      for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
        const theirs = precedence[top.image];
        if (mine === undefined || theirs === undefined || theirs.level < mine.level) break;
        if (theirs.level === mine.level && mine.side === "right") break;
        reduce();
      }
      pending.push(op);
      values.push(this.operand(operandNodes[i + 1], end));
    }
    while (pending.length > 0) reduce();
    return values[0] ?? { kind: "missing", span: spanOf(at, at) };
  }

  #binary(op: CstToken, left: Expr, right: Expr): Expr {
    const span = joinSpans(wholeOf(left), wholeOf(right));
    switch (op.image) {
      case "??":
        return { kind: "coalesce", span, left, right };
      case "..":
      case "..<":
        return { kind: "range", span, from: left, to: right, isHalfOpen: op.image === "..<" };
      case "+":
      case "-":
      case "*":
      case "/":
      case "%":
        return { kind: "arithmetic", span, op: op.image, left, right };
      default:
        throw new HoleError();
    }
  }

  operand(node: Cst | undefined, at = 0): Expr {
    const primary = node && nodeOf(node, "Primary");
    if (node === undefined || primary === undefined) return { kind: "missing", span: spanOf(at, at) };
    const suffixes = nodesOf(node, "Suffix");
    if (suffixes.length + this.#depth > limits.policyNestingMax) {
      this.report(tooDeep(this.path, spanOfNode(node, at)));
      return { kind: "missing", span: spanOfNode(node, at) };
    }
    let value = this.primary(primary);
    for (const suffix of suffixes) value = this.#suffix(value, suffix);
    const type = nodeOf(node, "Type");
    if (type)
      value = {
        kind: "cast",
        span: joinSpans(wholeOf(value), spanOfNode(type)),
        operand: value,
        type: this.type(type),
      };
    for (const minus of this.#prefixes(tokensOf(node, "Minus"))) {
      value = { kind: "negate", span: joinSpans(spanOfToken(minus), wholeOf(value)), operand: value };
    }
    return value;
  }

  #suffix(object: Expr, node: Cst): Expr {
    const span = joinSpans(wholeOf(object), spanOfNode(node, object.span.end));
    if (tokenOf(node, "Dot")) {
      const field = tokenOf(node, "Name");
      return field ? { kind: "field", span, object, field: this.name(field) } : { kind: "missing", span };
    }
    if (tokenOf(node, "LBracket"))
      return { kind: "index", span, object, index: this.expr(nodeOf(node, "Expr"), span.end) };
    return { kind: "call", span, callee: object, args: nodesOf(node, "Arg").map((arg) => this.arg(arg, span.end)) };
  }

  arg(node: Cst, at: number): Arg {
    const name = tokenOf(node, "Name");
    const span = spanOfNode(node, at);
    return { span, name: name && this.name(name), value: this.expr(nodeOf(node, "Expr"), span.end) };
  }

  primary(node: Cst | undefined, at = 0): Expr {
    if (node === undefined) return { kind: "missing", span: spanOf(at, at) };
    const [part] = Object.values(node.children).flat();
    const span = spanOfNode(node, at);
    if (part === undefined) return { kind: "missing", span };
    if (nodeOf(node, "List")) return this.#list(nodeOf(node, "List"), span);
    if (nodeOf(node, "Record")) return this.record(nodeOf(node, "Record"), span);
    if (tokenOf(node, "LParen")) {
      const inner = this.expr(nodeOf(node, "Expr"), span.end);
      inParentheses.set(inner, span);
      return inner;
    }
    return "image" in part && part.isInsertedInRecovery !== true
      ? this.#literal(node, part)
      : { kind: "missing", span };
  }

  #literal(node: Cst, token: CstToken): Expr {
    const span = spanOfToken(token);
    const raw = token.image;
    switch (Object.keys(node.children)[0]) {
      case "STRING":
        return { kind: "string", span, text: this.interpolated(token) };
      case "TAGGED": {
        const quote = raw.indexOf('"');
        const tag = { span: spanOf(span.start, span.start + quote), text: raw.slice(0, quote) };
        return { kind: "tagged", span, tag, value: raw.slice(quote + 1, -1) };
      }
      case "DURATION":
        return { kind: "duration", span, value: measured(raw), raw };
      case "SIZE":
        return { kind: "size", span, value: measured(raw), raw };
      case "FLOAT":
        return { kind: "float", span, value: measured(raw), raw };
      case "INT":
        return { kind: "int", span, value: measured(raw), raw };
      case "KwTrue":
      case "KwFalse":
        return { kind: "bool", span, value: raw === "true" };
      default:
        if (nothings.has(raw)) {
          this.report(noNull(this.path, span, raw));
          return { kind: "missing", span };
        }
        return { kind: "name", span, name: this.name(token) };
    }
  }

  literalDuration(token: CstToken): Expr {
    return { kind: "duration", span: spanOfToken(token), value: measured(token.image), raw: token.image };
  }

  #list(node: Cst | undefined, span: Span): Expr {
    if (node === undefined) return { kind: "missing", span };
    const items = nodesOf(node, "item").map((item) => this.expr(item, span.end));
    const [item] = items;
    if (item === undefined || tokenOf(node, "KwFor") === undefined) return { kind: "list", span, items };
    const condition = nodeOf(node, "condition");
    return {
      kind: "comprehension",
      span,
      item,
      variable: this.name(tokenOf(node, "Name")),
      over: this.arith(nodeOf(node, "Arith"), span.end),
      condition: condition && this.expr(condition, span.end),
    };
  }

  record(node: Cst | undefined, at: Span): Expr {
    if (node === undefined) return { kind: "missing", span: at };
    const entries = nodesOf(node, "Entry").map((entry) => ({
      key: this.#key(tokenOf(entry, "key")),
      value: this.expr(nodeOf(entry, "Expr"), spanOfNode(entry).end),
    }));
    return { kind: "record", span: spanOfNode(node), entries };
  }

  #key(token: CstToken | undefined): Name {
    if (token === undefined) throw new HoleError();
    const isText = token.image.startsWith('"') || token.image.startsWith("`");
    return isText ? { span: spanOfToken(token), text: this.plain(token).raw } : this.name(token);
  }
}

/** The text token when an operand is nothing but a text. */
function loneText(arith: Cst): CstToken | undefined {
  const [operand, another] = nodesOf(arith, "Operand");
  if (operand === undefined || another !== undefined) return undefined;
  const primary = nodeOf(operand, "Primary");
  const isBare = ["Suffix", "Type", "Minus"].every((name) => operand.children[name] === undefined);
  return isBare && primary ? tokenOf(primary, "STRING") : undefined;
}

/** ms, bytes, or the number itself. */
function measured(raw: string): number {
  const unit = /[A-Za-z].*$/.exec(raw)?.[0] ?? "";
  const digits = raw.slice(0, raw.length - unit.length).replaceAll("_", "");
  return Math.min(Number(digits) * (unitOf(unit) ?? 1), Number.MAX_SAFE_INTEGER);
}
