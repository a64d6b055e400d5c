// text -> tokens -> CST -> AST
import { EOF, type IRecognitionException, type IToken, type TokenType } from "chevrotain";
import { type Span, spanOf } from "../engine/lib/span.ts";
import { limits } from "../engine/limits.ts";
import type { Expr, SourceFile } from "./ast.ts";
import { PolicyParser } from "./cst.ts";
import { type Cst, spanOfToken } from "./cst-read.ts";
import { type Diagnostic, diagnose, sortDiagnostics } from "./diagnostic.ts";
import { TooManyProblemsError } from "./grammar/grammar.ts";
import { type Comment, tokenize } from "./lexer.ts";
import { lowerFile } from "./lower.ts";
import { ExprLowering } from "./lower-expr.ts";
import { tooDeep } from "./lower-problems.ts";
import type { TextSource } from "./lower-text.ts";
import { describeProblem, type SyntaxProblem, type Word } from "./syntax-errors.ts";
import { Identifier, IndentedLet, kw, mark } from "./tokens.ts";
import { unsafeCharacter } from "./unsafe-text.ts";

export type Parsed = { readonly file: SourceFile; readonly diagnostics: readonly Diagnostic[] };
/** What the formatter and the editor need besides the AST. */
export type ParsedWithComments = Parsed & { readonly comments: readonly Comment[] };

/**
 * Reads a policy file. Total: whatever is wrong with the text is a diagnostic (codes P…, E000x, E0012), sorted by
 * place, and the rest of the file is read all the same. Bounds: `policyFileBytesMax`, `policyTokensMax`, `policyNestingMax`.
 */
export function parsePolicy(path: string, text: string): Parsed {
  const { file, diagnostics } = parsePolicyWithComments(path, text);
  return { file, diagnostics };
}

export function parsePolicyWithComments(path: string, text: string): ParsedWithComments {
  const empty: SourceFile = { path, text, package: undefined, imports: [], decls: [] };
  if (isTooLarge(text)) {
    return { file: empty, diagnostics: [tooLarge(path, text)], comments: [] };
  }
  const from = text.startsWith("\ufeff") ? 1 : 0;
  const lexed = tokenize(path, text, from);
  const diagnostics: Diagnostic[] = [...unsafeCharacter(path, text), ...lexed.diagnostics];
  const refused = refuseTokens(path, lexed.tokens);
  if (refused) return { file: empty, diagnostics: [...diagnostics, refused], comments: lexed.comments };

  const report = (diagnostic: Diagnostic): void => {
    if (diagnostics.length < limits.policyDiagnosticsMax) diagnostics.push(diagnostic);
  };
  const source: TextSource = { path, text, report, readExpr: (span) => readPlaceholder(source, span) };
  const parsed = parseTokens(lexed.tokens, "File", text.trimEnd().length);
  const lost = lexed.diagnostics.filter((d) => textLoss.has(d.code)).map((d) => d.span.start);
  for (const problem of withoutCascades(lexed.tokens, parsed.problems, lost)) report(describeProblem(source, problem));
  const [first] = lexed.tokens;
  if (first && first.tokenType !== kw.package && parsed.problems[0]?.found.span.start !== first.startOffset) {
    report(noPackage(path, spanOfToken(first)));
  }
  const file = lowerFile(source, parsed.cst, docsOf(text, lexed.comments));
  return { file, diagnostics: sortDiagnostics(withoutEchoes(diagnostics)), comments: lexed.comments };
}

/** One expression, for tools that ask for one (`gw policy eval`, the editor). */
export function parseExpression(
  path: string,
  text: string,
): { readonly expr: Expr; readonly diagnostics: readonly Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const source: TextSource = {
    path,
    text,
    report: (diagnostic) => diagnostics.push(diagnostic),
    readExpr: (span) => readPlaceholder(source, span),
  };
  if (isTooLarge(text)) {
    return { expr: { kind: "missing", span: spanOf(0, 0) }, diagnostics: [tooLarge(path, text)] };
  }
  const expr = readPlaceholder(source, spanOf(0, text.length));
  return { expr, diagnostics: sortDiagnostics(withoutEchoes(diagnostics)) };
}

function readPlaceholder(source: TextSource, span: Span): Expr {
  const lexed = tokenize(source.path, source.text, span.start, span.end);
  for (const diagnostic of lexed.diagnostics) source.report(diagnostic);
  const refused = refuseTokens(source.path, lexed.tokens);
  if (refused) {
    source.report(refused);
    return { kind: "missing", span };
  }
  const parsed = parseTokens(lexed.tokens, "Expr", span.end);
  for (const problem of parsed.problems) source.report(describeProblem(source, problem));
  return new ExprLowering(source).wholeExpr(parsed.cst, span.start);
}

// ---- one diagnostic for one slip

/** Problems of the lexer after which a part of the text is missing, so that the parser stumbles too. */
const textLoss: ReadonlySet<string> = new Set(["P0001", "P0002", "P0003"]);

const declarationStarts: ReadonlySet<TokenType> = new Set(
  [
    ...(["import", "export", "let", "func", "allow", "deny", "mask", "require", "alert", "property"] as const),
    ...([
      "package",
      "type",
      "schema",
      "catalog",
      "data",
      "counter",
      "fixture",
      "default",
      "filter",
      "limit",
      "test",
    ] as const),
  ].map((word) => kw[word]),
);
const testParts: ReadonlySet<TokenType> = new Set([kw.given, kw.expect]);

/**
 * After a slip the parser may trip again over the rest of the same declaration. Only the first problem of a declaration
 * (in a test: of each `given` and `expect`) is kept, and none where the lexer has lost text before it.
 */
function withoutCascades(
  tokens: readonly IToken[],
  problems: readonly SyntaxProblem[],
  lost: readonly number[],
): readonly SyntaxProblem[] {
  const startsLine = (token: IToken, i: number): boolean => (tokens[i - 1]?.startLine ?? 0) < (token.startLine ?? 0);
  const starts: number[] = [];
  const parts: number[] = [];
  for (const [i, token] of tokens.entries()) {
    if (!startsLine(token, i)) continue;
    const isDeclaration = declarationStarts.has(token.tokenType) || token.tokenType === mark["@"];
    if (isDeclaration) starts.push(token.startOffset);
    if (isDeclaration || testParts.has(token.tokenType)) parts.push(token.startOffset);
  }
  const seen = new Set<string>();
  const regionOf = (at: number): string => `declaration ${countUpTo(starts, at)}`;
  const partOf = (at: number): string => `part ${countUpTo(parts, at)}`;
  for (const at of lost) seen.add(regionOf(at)).add(partOf(at));
  return [...problems]
    .sort((a, b) => a.found.span.start - b.found.span.start)
    .filter((problem) => {
      const at = problem.found.span.start;
      // a misspelt declaration that recovery skipped is a slip of its own
      if (problem.before.length === 0 && problem.rules.length === 1) return true;
      // a declaration word at which a declaration breaks off belongs to what it breaks
      const isInTest = problem.rules.includes("TestDecl") || problem.rules.includes("PropertyDecl");
      const place = starts.includes(at) && problem.rules.length > 1 ? at - 1 : at;
      const region = isInTest ? partOf(place) : regionOf(place);
      if (seen.has(region)) return false;
      seen.add(regionOf(place)).add(partOf(place));
      return true;
    });
}

/** How many of the sorted `offsets` are at or before `at`. */
function countUpTo(offsets: readonly number[], at: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

const noPackage = (path: string, span: Span): Diagnostic =>
  diagnose({
    code: "P0021",
    path,
    span,
    message: "this file does not say its package",
    label: "expected `package` before this",
    notes: ["decision logs and imports name a rule by its package"],
    help: ["start the file with a line such as `package acme.postgres.pii`"],
  });

// ---- bounds

/** In UTF-8, as a file has it. The quick answer first: a unit of UTF-16 takes one to three bytes. */
const isTooLarge = (text: string): boolean =>
  text.length > limits.policyFileBytesMax ||
  (text.length > limits.policyFileBytesMax / 3 && Buffer.byteLength(text) > limits.policyFileBytesMax);

const tooLarge = (path: string, text: string): Diagnostic =>
  diagnose({
    code: "P0016",
    path,
    span: spanOf(0, 0),
    message: `this file has ${Buffer.byteLength(text).toLocaleString("en")} bytes, the limit is ${limits.policyFileBytesMax.toLocaleString("en")}`,
    help: ["split the package into several files; lists belong into a `data` document"],
  });

const openers: ReadonlySet<TokenType> = new Set([mark["("], mark["["], mark["{"]]);
const closers: ReadonlySet<TokenType> = new Set([mark[")"], mark["]"], mark["}"]]);
/** Tokens after which the parser goes one level down without a bracket. */
const descents: ReadonlySet<TokenType> = new Set([kw.if, kw.any, kw.all, kw.none, mark["<"]]);
/** Tokens at which every such level has ended. */
const landings: ReadonlySet<TokenType> = new Set([
  mark[","],
  mark["|"],
  kw.when,
  kw.unless,
  kw.let,
  IndentedLet,
  kw.because,
  kw.on,
  kw.at,
  kw.given,
  kw.expect,
  kw.func,
]);

/** The parser is recursive: what it may meet is bounded before it starts. One pass over the tokens. */
function refuseTokens(path: string, tokens: readonly IToken[]): Diagnostic | undefined {
  const last = tokens[limits.policyTokensMax];
  if (last !== undefined) {
    return diagnose({
      code: "P0017",
      path,
      span: spanOfToken(last),
      message: `this file has more than ${limits.policyTokensMax.toLocaleString("en")} words and marks`,
      label: "the limit is reached here",
      help: ["split the package into several files; lists belong into a `data` document"],
    });
  }
  const levels: number[] = [0];
  let depth = 0;
  for (const token of tokens) {
    const type = token.tokenType;
    if (openers.has(type)) {
      levels.push(0);
      depth += 1;
    } else if (closers.has(type) && levels.length > 1) depth -= 1 + (levels.pop() ?? 0);
    else if (landings.has(type)) {
      depth -= levels.at(-1) ?? 0;
      levels[levels.length - 1] = 0;
    } else if (descents.has(type)) {
      levels[levels.length - 1] = (levels.at(-1) ?? 0) + 1;
      depth += 1;
    }
    if (depth > limits.policyNestingMax) return tooDeep(path, spanOfToken(token));
  }
  return undefined;
}

// ---- the parser

let instance: PolicyParser | undefined;

/** Built when the first text is read: a gateway that loads compiled bundles never pays for it. */
const parserOf = (): PolicyParser => {
  instance ??= new PolicyParser();
  return instance;
};

function parseTokens(
  tokens: IToken[],
  root: "File" | "Expr",
  textEnd: number,
): { readonly cst: Cst | undefined; readonly problems: readonly SyntaxProblem[] } {
  const parser = parserOf();
  let cst: Cst | undefined;
  try {
    cst = parser.read(tokens, root);
  } catch (error) {
    if (!(error instanceof TooManyProblemsError)) throw error;
  }
  const problems = parser.errors.flatMap((error) => [
    problemOf(error, tokens, textEnd, root === "Expr"),
    ...skippedDeclarations(error, tokens),
  ]);
  return { cst, problems };
}

/** Words before a problem that a message may look at. */
const wordsBefore = 8;

function problemOf(
  error: IRecognitionException,
  tokens: readonly IToken[],
  textEnd: number,
  isInPlaceholder: boolean,
): SyntaxProblem {
  const isEnd = error.token.tokenType === EOF;
  const at = isEnd ? tokens.length : indexOfToken(tokens, error.token);
  const words = (from: number, to: number): readonly Word[] => tokens.slice(Math.max(0, from), to).map(wordOf);
  return {
    rules: error.context.ruleStack,
    expected: JSON.parse(error.message) as readonly string[], // SAFETY: written by Messages in cst.ts
    found: words(at, at + 1)[0] ?? { text: "", span: spanOf(textEnd, textEnd), kind: "end" },
    before: [...words(at - wordsBefore, at)].reverse(),
    next: words(at + 1, at + 2)[0],
    opener: openerBefore(tokens, at),
    isInPlaceholder,
  };
}

/** What recovery skipped may hold a declaration whose first word is misspelt: a name at the very start of a line. */
function skippedDeclarations(error: IRecognitionException, tokens: readonly IToken[]): readonly SyntaxProblem[] {
  return error.resyncedTokens.flatMap((token): readonly SyntaxProblem[] => {
    if (token.tokenType !== Identifier || token.startOffset === error.token.startOffset) return [];
    const at = indexOfToken(tokens, token);
    const next = tokens[at + 1];
    const isFirst = (tokens[at - 1]?.startLine ?? 0) < (token.startLine ?? 0);
    if (!isFirst || next?.tokenType !== Identifier || tokens[at - 1]?.tokenType === mark[","]) return [];
    return [
      {
        rules: ["File"],
        expected: [],
        found: wordOf(token),
        before: [],
        next: wordOf(next),
        opener: undefined,
        isInPlaceholder: false,
      },
    ];
  });
}

const wordOf = (token: IToken): Word => ({ text: token.image, span: spanOfToken(token), kind: token.tokenType.name });

/** The bracket that is still open at a token. */
function openerBefore(tokens: readonly IToken[], at: number): Word | undefined {
  let depth = 0;
  for (let i = at - 1; i >= 0; i -= 1) {
    const token = tokens[i];
    if (token === undefined) break;
    if (closers.has(token.tokenType)) depth += 1;
    else if (openers.has(token.tokenType)) {
      if (depth === 0) return wordOf(token);
      depth -= 1;
    }
  }
  return undefined;
}

/** Binary search by place: errors can be as many as tokens. */
function indexOfToken(tokens: readonly IToken[], token: IToken): number {
  let low = 0;
  let high = tokens.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.startOffset ?? 0) < token.startOffset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One diagnostic per place: what the lexer said about a text is not said again by the parser. */
function withoutEchoes(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const kept: Diagnostic[] = [];
  const starts = new Set<number>();
  let lastRowEnd = -1;
  for (const diagnostic of diagnostics) {
    if (starts.has(diagnostic.span.start)) continue;
    starts.add(diagnostic.span.start);
    // a row with an empty cell falls apart into two that share a bar: said once
    if (diagnostic.code === "P0019" && diagnostic.span.start < lastRowEnd) continue;
    if (diagnostic.code === "P0019") lastRowEnd = diagnostic.span.end;
    kept.push(diagnostic);
  }
  return kept;
}

// ---- documentation comments

/** The `##` lines that stand right above a declaration, with no empty line between. */
function docsOf(text: string, comments: readonly Comment[]): (declStart: number) => string | undefined {
  const docs = comments.filter((comment) => comment.isDoc && comment.isAlone);
  return (declStart) => {
    let index = lastBefore(docs, declStart);
    let below = declStart;
    const lines: string[] = [];
    for (; index >= 0; index -= 1) {
      const comment = docs[index];
      if (comment === undefined || !isLineAbove(text, comment.span.end, below)) break;
      lines.unshift(comment.text);
      below = comment.span.start;
    }
    return lines.length > 0 ? lines.join("\n") : undefined;
  };
}

function lastBefore(comments: readonly Comment[], offset: number): number {
  let low = 0;
  let high = comments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((comments[middle]?.span.start ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const isLineAbove = (text: string, end: number, below: number): boolean =>
  /^[ \t]*\r?\n[ \t]*$/.test(text.slice(end, Math.min(below, end + 1_000)));
