// AST and comments -> text in the one style
import { unreachable } from "../engine/lib/assert.ts";
import { err, ok, type Result } from "../engine/lib/result.ts";
import type { ContentFormat } from "../engine/model/decision.ts";
import type * as ast from "./ast.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { CommentQueue, type SourceComment } from "./format-comments.ts";
import { concat, type Doc, flat, group, indent, join, layOut, line } from "./format-doc.ts";
import {
  argsDoc,
  cellText,
  exprDoc,
  exprLevels,
  interpolatedText,
  plainText,
  quotedText,
  typeDoc,
} from "./format-expr.ts";
import { parsePolicyWithComments } from "./parser.ts";

const width = 100;

/** The text in the one style, or what is wrong with it: a text that cannot be read is never rewritten. */
export function formatPolicy(path: string, text: string): Result<string, readonly Diagnostic[]> {
  const { file, diagnostics, comments } = parsePolicyWithComments(path, text);
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  return errors.length > 0 ? err(errors) : ok(formatFile(file, comments));
}

/** Prints any AST, one that was built and not read too (then there are no comments and `file.text` may be empty). */
export function formatFile(file: ast.SourceFile, comments: readonly SourceComment[] = []): string {
  const queue = new CommentQueue(file.text, comments);
  const out = new Printer(queue);
  const { package: name } = file;
  if (name)
    out.item(
      name,
      () => `package ${dotted(name)}`,
      () => false,
    );
  for (const [i, node] of file.imports.entries())
    out.item(
      node,
      () => importText(node),
      () => i > 0,
    );
  let previous: Printed | undefined;
  for (const decl of file.decls) {
    const isClose = (text: string): boolean => {
      const printed = { decl, isShort: !text.includes("\n") };
      const before = previous;
      previous = printed;
      return before !== undefined && areNeighbours(before, printed, file.text);
    };
    out.item(decl, () => declText(decl, queue), isClose);
  }
  return out.finish();
}

type Printed = { readonly decl: ast.Decl; readonly isShort: boolean };

/** Two one-line declarations of a kind that the author wrote without an empty line between stay together. */
function areNeighbours(a: Printed, b: Printed, text: string): boolean {
  if (!a.isShort || !b.isShort || a.decl.kind !== b.decl.kind) return false;
  if (a.decl.kind === "rule" || a.decl.kind === "test" || b.decl.doc !== undefined) return false;
  return !/\n[ \t\r]*\n/.test(text.slice(a.decl.span.end, b.decl.span.start));
}

/** Collects the printed items of a file with the comments that stand around them. */
class Printer {
  readonly #comments: CommentQueue;
  readonly #lines: string[] = [];

  constructor(comments: CommentQueue) {
    this.#comments = comments;
  }

  /** `isClose` says whether no empty line stands above. What a comment inside says is printed before the item. */
  item(node: ast.Node, makeText: () => string, isClose: (text: string) => boolean): void {
    const above = this.#comments.leading({ start: node.span.start, end: node.span.start }, "");
    const text = makeText();
    const inside = this.#comments.leading({ start: node.span.start, end: node.span.end }, "").lines;
    if (!isClose(text) || above.startsWithGap) this.#gap();
    this.#lines.push(...(above.endsWithGap ? [...above.lines, ...inside] : [...inside, ...above.lines]));
    this.#lines.push(`${text}${this.#comments.trailing(node.span.end)}`);
  }

  #gap(): void {
    if (this.#lines.length > 0) this.#lines.push("");
  }

  finish(): string {
    const rest = this.#comments.rest();
    if (rest.length > 0 && this.#lines.length > 0) this.#lines.push("");
    this.#lines.push(...rest);
    return this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
  }
}

const dotted = (name: ast.QName): string => name.parts.map((part) => part.text).join(".");

function importText(node: ast.Import): string {
  const path = `import ${dotted(node.path)}`;
  if (node.names) return `${path}.{${node.names.map((name) => name.text).join(", ")}}`;
  return node.alias ? `${path} as ${node.alias.text}` : path;
}

const print = (...parts: readonly Doc[]): string => layOut(concat(...parts), width);

// ---- declarations

function declText(decl: ast.Decl, comments: CommentQueue): string {
  const annotations = decl.annotations.map((a) =>
    flat(concat(`@${a.name.text}`, a.args.length > 0 ? annotationArgs(a) : "")),
  );
  const above = annotations.length > 0 ? `${annotations.join(" ")}\n` : "";
  return above + bodyText(decl, comments);
}

const annotationArgs = (annotation: ast.Annotation): Doc =>
  argsDoc(annotation.args.map((value) => ({ span: value.span, name: undefined, value })));

function bodyText(decl: ast.Decl, comments: CommentQueue): string {
  switch (decl.kind) {
    case "type":
      return print(`type ${decl.name.text} = `, typeDoc(decl.type));
    case "schema":
      return print(`schema ${dotted(decl.target)}: `, typeDoc(decl.type));
    case "catalog":
      return `catalog ${plainText(decl.connection)} from ${plainText(decl.from)}`;
    case "data":
      return print(`data ${decl.name.text}: `, typeDoc(decl.type), ` from ${plainText(decl.from)}`);
    case "let": {
      const type = decl.type ? concat(": ", typeDoc(decl.type)) : "";
      return print(`${decl.isExported ? "export " : ""}let ${decl.name.text}`, type, " = ", exprDoc(decl.value));
    }
    case "func":
      return funcText(decl);
    case "counter":
      return counterText(decl);
    case "fixture":
      return print(`fixture ${decl.name.text}: `, typeDoc(decl.type), " = ", exprDoc(decl.value));
    case "default":
      return `default ${decl.effect.text}${decl.because ? ` because ${interpolatedText(decl.because)}` : ""}`;
    case "rule":
      return ruleText(decl, comments);
    case "test":
      return testText(decl, comments);
    case "property":
      return propertyText(decl, comments);
    default:
      return unreachable(decl);
  }
}

function funcText(decl: ast.FuncDecl): string {
  const params = decl.params.map((param) => flat(concat(`${param.name.text}: `, typeDoc(param.type)))).join(", ");
  const result = decl.result ? concat(": ", typeDoc(decl.result)) : "";
  const head = concat(`${decl.isExported ? "export " : ""}func ${decl.name.text}(${params})`, result, " =");
  return print(group(concat(head, indent(concat(line, exprDoc(decl.body))))));
}

function counterText(decl: ast.CounterDecl): string {
  const measured = decl.of
    ? concat(`${decl.measure.text} of `, exprDoc(decl.of, exprLevels.negate), " on ", targetText(decl.target))
    : concat(`${decl.measure.text} of `, targetText(decl.target));
  const parts: Doc[] = [decl.at.length > 0 ? group(join(line, [measured, atText(decl.at)])) : measured];
  if (decl.when) parts.push(concat("when ", exprDoc(decl.when)));
  parts.push(concat("by ", exprDoc(decl.by), " over ", exprDoc(decl.over)));
  return print(group(concat(`counter ${decl.name.text} = `, indent(join(line, parts)))));
}

// ---- rules

function ruleText(decl: ast.RuleDecl, comments: CommentQueue): string {
  const scope: Doc[] = [];
  if (decl.target) scope.push(concat("on ", targetText(decl.target)));
  if (decl.at.length > 0) scope.push(atText(decl.at));
  const pieces = [headDoc(decl), ...(scope.length > 0 ? [group(join(line, scope))] : [])];
  const clauses = decl.clauses.map((clause) => ({ span: clause.span, text: clauseText(clause) }));
  const because = decl.because ? [{ span: decl.because.span, text: `because ${interpolatedText(decl.because)}` }] : [];
  const all = [...clauses, ...because];
  // comments above the first clause stand inside the head
  const headEnd = headEndOf(decl);
  const head = `${print(group(indent(join(line, pieces))))}${all.length > 0 ? comments.trailing(headEnd) : ""}`;
  return [head, ...all.flatMap((clause) => innerLines(clause, comments))].join("\n");
}

/** Where the words before the first clause end. */
function headEndOf(decl: ast.RuleDecl): number {
  const last = decl.at.at(-1) ?? decl.target;
  if (last) return last.span.end;
  switch (decl.head.effect) {
    case "allow":
    case "deny":
      return decl.name.span.end;
    case "mask":
      return decl.head.using.span.end;
    case "filter":
      return decl.head.where.span.end;
    case "approval":
      return decl.head.within?.span.end ?? decl.head.from.at(-1)?.span.end ?? decl.name.span.end;
    case "limit":
      return decl.head.per?.by.span.end ?? decl.head.unit.span.end;
    case "alert":
      return decl.head.to.span.end;
    default:
      return unreachable(decl.head);
  }
}

/** A clause or a line of a test, indented, with the comments that belong to it. */
function innerLines(
  item: { readonly span: ast.Node["span"]; readonly text: string },
  comments: CommentQueue,
): readonly string[] {
  const leading = comments.leading(item.span, "  ").lines;
  return [...leading, `  ${item.text}${comments.trailing(item.span.end)}`];
}

const printInner = (...parts: readonly Doc[]): string => layOut(concat(...parts), width, 2, 2);

function clauseText(clause: ast.BodyClause): string {
  if (clause.kind === "let") return printInner(`let ${clause.name.text} = `, exprDoc(clause.value));
  return printInner(`${clause.kind} `, exprDoc(clause.condition));
}

function headDoc(decl: ast.RuleDecl): Doc {
  const { head } = decl;
  const name = decl.name.text;
  switch (head.effect) {
    case "allow":
    case "deny":
      return `${head.effect} ${name}`;
    case "mask": {
      const searchable = head.searchable ? " searchable" : "";
      return concat(`mask ${name} of ${maskTargetText(head.of)} using `, maskCallDoc(head.using), searchable);
    }
    case "filter":
      return concat(`filter ${name} of ${maskTargetText(head.of)} where `, exprDoc(head.where));
    case "approval": {
      const from = head.from.length > 0 ? ` from ${head.from.map(approverText).join(", ")}` : "";
      return concat(`require approval ${name}${from}`, head.within ? concat(" within ", exprDoc(head.within)) : "");
    }
    case "limit": {
      const per = head.per
        ? concat(" per ", exprDoc(head.per.duration), " by ", exprDoc(head.per.by, exprLevels.negate))
        : "";
      return concat(`limit ${name} to `, exprDoc(head.to, exprLevels.range), ` ${head.unit.text}`, per);
    }
    case "alert":
      return `alert ${name} to ${plainText(head.to)}`;
    default:
      return unreachable(head);
  }
}

const approverText = (approver: ast.ApproverClause): string =>
  `${approver.count === undefined ? "" : `${approver.count} of `}${approver.kind.text} ${plainText(approver.name)}`;

const maskTargetText = (target: ast.MaskTarget): string =>
  target.kind === "tables"
    ? target.tables.map(tablePatText).join(", ")
    : `${formatText[target.kind]} ${target.patterns.map(plainText).join(", ")}`;

const formatText: Readonly<Record<ContentFormat, string>> = { json: "json", text: "text", tagged: "json tagged" };

const maskCallDoc = (call: ast.MaskCall): Doc => concat(call.name.text, call.args.length > 0 ? argsDoc(call.args) : "");

const atText = (patterns: readonly ast.Text[]): string => `at ${patterns.map(plainText).join(", ")}`;

function targetText(target: ast.Target): string {
  switch (target.kind) {
    case "any":
      return "any";
    case "sql": {
      const actions = target.actions.length > 0 ? ` ${target.actions.map((a) => a.text).join(", ")}` : "";
      const tables = target.tables.length > 0 ? ` of ${target.tables.map(tablePatText).join(", ")}` : "";
      return `sql${actions}${tables}`;
    }
    case "http": {
      const methods = target.methods.length > 0 ? ` ${target.methods.map((m) => m.text).join(", ")}` : "";
      const routes = target.routes.length > 0 ? ` ${target.routes.map(plainText).join(", ")}` : "";
      return `http${methods}${routes}`;
    }
    case "mcp":
    case "llm": {
      const selectors = target.selectors.map((s) => ` ${s.name.text} ${s.patterns.map(plainText).join(", ")}`);
      return `${target.kind}${selectors.join("")}`;
    }
    default:
      return unreachable(target);
  }
}

const segmentText = ({ text, isQuoted }: ast.Segment): string => (isQuoted ? quotedText(text) : text);

export function tablePatText(pattern: ast.TablePat): string {
  if (pattern.kind === "tagged") return `tagged ${plainText(pattern.tag)}`;
  const columns = pattern.columns ? `(${pattern.columns.map(segmentText).join(", ")})` : "";
  return `${pattern.segments.map(segmentText).join(".")}${columns}`;
}

// ---- tests

function testText(decl: ast.TestDecl, comments: CommentQueue): string {
  const head = `test ${plainText(decl.title)} {`;
  const cases = decl.cases ? casesLines(decl.cases, comments) : [];
  return [head, ...cases, ...bodyLines(decl.givens, decl.expects, comments), ...closing(decl, comments)].join("\n");
}

function propertyText(decl: ast.PropertyDecl, comments: CommentQueue): string {
  const foralls = decl.foralls.flatMap((forall) => {
    const where = forall.where ? concat(" where ", exprDoc(forall.where)) : "";
    const text = printInner(`forall ${forall.name.text}: `, typeDoc(forall.type), where);
    return innerLines({ span: forall.span, text }, comments);
  });
  const head = `property ${plainText(decl.title)} {`;
  return [head, ...foralls, ...bodyLines(decl.givens, decl.expects, comments), ...closing(decl, comments)].join("\n");
}

const bodyLines = (
  givens: readonly ast.Given[],
  expects: readonly ast.Expect[],
  comments: CommentQueue,
): readonly string[] => [
  ...givens.flatMap((given) => innerLines({ span: given.span, text: givenText(given) }, comments)),
  ...expects.flatMap((expect) => innerLines({ span: expect.span, text: expectText(expect) }, comments)),
];

/** Comments before the closing brace stay inside. */
const closing = (decl: ast.Node, comments: CommentQueue): readonly string[] => [
  ...comments.leading({ start: decl.span.end - 1, end: decl.span.end - 1 }, "  ").lines,
  "}",
];

/** A table whose columns line up. */
function casesLines(cases: ast.Cases, comments: CommentQueue): readonly string[] {
  const rows = [cases.columns.map((column) => column.text), ...cases.rows.map((row) => row.cells.map(cellText))];
  const widths = rows.reduce<readonly number[]>(
    (so, row) =>
      Array.from({ length: Math.max(so.length, row.length) }, (_, i) => Math.max(so[i] ?? 0, (row[i] ?? "").length)),
    [],
  );
  const rowText = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [header, ...bodies] = rows;
  const headEnd = cases.columns.at(-1)?.span.end ?? cases.span.start;
  const top = comments.leading({ start: cases.span.start, end: headEnd }, "  ").lines;
  return [
    ...top,
    "  cases",
    `    ${rowText(header ?? [])}${comments.trailingOnLine(headEnd)}`,
    ...bodies.flatMap((body, i) => {
      const span = cases.rows[i]?.span ?? cases.span;
      return [...comments.leading(span, "    ").lines, `    ${rowText(body)}${comments.trailing(span.end)}`];
    }),
  ];
}

function givenText(given: ast.Given): string {
  const at = (patterns: readonly ast.Text[]): string => (patterns.length > 0 ? ` ${atText(patterns)}` : "");
  switch (given.kind) {
    case "http":
    case "mcp":
    case "llm": {
      const word = given.kind === "http" ? given.method.text : given.selector.text;
      const value = exprDoc(given.kind === "http" ? given.path : given.name, exprLevels.primary);
      const record = given.record ? concat(" ", exprDoc(given.record)) : "";
      return printInner(`given ${given.kind} ${word} `, value, at(given.at), record);
    }
    case "counter":
    case "data":
      return printInner(`given ${given.kind} ${given.name.text} = `, exprDoc(given.value));
    case "root":
      return printInner(`given ${given.root.text} `, exprDoc(given.value), at(given.at));
    default:
      return unreachable(given);
  }
}

function expectText(expect: ast.Expect): string {
  const word = expect.isNegated ? "expect not" : "expect";
  const { what } = expect;
  switch (what.kind) {
    case "mask": {
      const using = what.using ? concat(" using ", maskCallDoc(what.using)) : "";
      return printInner(`${word} mask ${tablePatText(what.column)}`, using);
    }
    case "content-mask": {
      const using = what.using ? concat(" using ", maskCallDoc(what.using)) : "";
      return printInner(`${word} mask ${formatText[what.format]} ${plainText(what.pattern)}`, using);
    }
    case "item-filter":
      return `${word} filter json ${plainText(what.path)}${what.as ? ` as ${plainText(what.as)}` : ""}`;
    case "filter":
      return `${word} filter ${tablePatText(what.table)}${what.as ? ` as ${plainText(what.as)}` : ""}`;
    case "limit":
      return `${word} limit ${what.name.text}`;
    case "alert":
      return `${word} alert${what.name ? ` ${what.name.text}` : ""}`;
    case "effect": {
      const by = what.by ? ` by ${what.by.text}` : "";
      const because = what.because ? ` because ${interpolatedText(what.because)}` : "";
      return printInner(`${word} `, exprDoc(what.effect, exprLevels.primary), by, because);
    }
    default:
      return unreachable(what);
  }
}
