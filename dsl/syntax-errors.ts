// what the parser stumbled over -> what the author reads
import { type Span, spanOf } from "../engine/lib/span.ts";
import { type Diagnostic, diagnose } from "./diagnostic.ts";
import { suggest } from "./suggest.ts";
import { type ConstructForm, constructForms } from "./syntax-forms.ts";

/** `kind` is the token's name in `tokens.ts`, or `end` after the last word. */
export type Word = { readonly text: string; readonly span: Span; readonly kind: string };

/** A place where the grammar and the text part ways. */
export type SyntaxProblem = {
  /** Names of the grammar rules that were being read, outermost first. */
  readonly rules: readonly string[];
  /** What could have stood here, in the words of `tokens.ts`. */
  readonly expected: readonly string[];
  readonly found: Word;
  /** The words before it, nearest first; a few. */
  readonly before: readonly Word[];
  readonly next: Word | undefined;
  readonly isInPlaceholder: boolean;
  /** The innermost bracket that is open here. */
  readonly opener: Word | undefined;
};

type Source = { readonly path: string; readonly text: string };
type Said = Pick<Diagnostic, "code" | "message"> & Partial<Diagnostic>;
/** Answers when the mistake is the one it knows. The first that answers is heard. */
type Describe = (source: Source, problem: SyntaxProblem) => Said | undefined;

export function describeProblem(source: Source, problem: SyntaxProblem): Diagnostic {
  for (const describe of known) {
    const said = describe(source, problem);
    if (said) return diagnose({ path: source.path, span: spanAtEnd(source, problem), ...said });
  }
  return diagnose({ path: source.path, span: spanAtEnd(source, problem), ...inGeneral(source, problem) });
}

// ---- words about places

const ruleOf = (problem: SyntaxProblem): string => problem.rules.at(-1) ?? "File";
const isAtTop = (problem: SyntaxProblem): boolean => ruleOf(problem) === "File" || ruleOf(problem) === "Decl";
const previousOf = (problem: SyntaxProblem): Word | undefined => problem.before[0];
const isEnd = (word: Word): boolean => word.kind === "end";
const isReserved = (word: Word): boolean => word.kind.startsWith("Kw");
const isName = (word: Word | undefined): boolean => word?.kind === "Identifier";
const isText = (word: Word | undefined): boolean => word?.kind === "QUOTED" || word?.kind === "RAW";
const foundText = (problem: SyntaxProblem): string =>
  isEnd(problem.found)
    ? problem.isInPlaceholder
      ? "the end of the placeholder"
      : "the end of the file"
    : `\`${short(problem.found.text)}\``;

const short = (text: string): string => {
  const line = text.split("\n")[0] ?? "";
  return line.length > 40 ? `${line.slice(0, 39)}…` : line;
};

/** The end of the file is shown on the last line that has something on it. */
const spanAtEnd = (source: Source, problem: SyntaxProblem): Span => {
  if (!isEnd(problem.found)) return problem.found.span;
  const end = source.text.trimEnd().length;
  const last = previousOf(problem);
  return last ? spanOf(Math.max(last.span.end, 0), Math.max(last.span.end, 0)) : spanOf(end, end);
};

const startsLine = (source: Source, word: Word): boolean =>
  /(?:^|\n)[ \t]*$/.test(source.text.slice(Math.max(0, word.span.start - 200), word.span.start));

const restOfLine = (source: Source, from: number): string => {
  const end = source.text.indexOf("\n", from);
  return source.text.slice(from, end === -1 ? undefined : end).trim();
};

const orList = (items: readonly string[]): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`;

// ---- mistakes that are known

const valueEnds = new Set([
  "Identifier",
  "QUOTED",
  "RAW",
  "TAGGED",
  "DURATION",
  "SIZE",
  "FLOAT",
  "INT",
  "RParen",
  "RBracket",
  "RBrace",
  "KwTrue",
  "KwFalse",
  "KwAllow",
  "KwDeny",
  "KwPresent",
  "KwAbsent",
]);
const endsValue = (word: Word | undefined): boolean =>
  word !== undefined && (valueEnds.has(word.kind) || (isReserved(word) && softKinds.has(word.kind)));
const softKinds = new Set(["KwSql", "KwHttp", "KwMcp", "KwLlm", "KwCount", "KwText", "KwJson", "KwFrom", "KwTo"]);

const expressionRules = new Set([
  "Expr",
  "If",
  "Quantifier",
  "Logic",
  "Condition",
  "Comparison",
  "CompareOp",
  "Arith",
  "ArithOp",
  "Operand",
  "Primary",
  "Suffix",
  "Arg",
  "List",
  "Record",
  "Entry",
]);

/** `when a = b`. */
const singleEquals: Describe = (_source, problem) => {
  if (problem.found.kind !== "Eq" || !endsValue(previousOf(problem))) return undefined;
  if (!isAtTop(problem) && !expressionRules.has(ruleOf(problem)) && !closesExpression(problem)) return undefined;
  return {
    code: "P0004",
    message: "`=` gives a name a value; to compare write `==`",
    label: "did you mean `==`?",
    fixes: [{ title: "write `==`", span: problem.found.span, replacement: "==" }],
  };
};

/** `partial(last = 4)`, `{ sub = "a" }`. */
const equalsForColon: Describe = (_source, problem) => {
  const [name, before] = problem.before;
  if (problem.found.kind !== "Eq" || !name) return undefined;
  const isEntry = ruleOf(problem) === "Entry";
  const isArg = problem.rules.includes("Arg") || ruleOf(problem) === "MaskCall" || ruleOf(problem) === "Suffix";
  if (!isEntry && !(isArg && isName(name) && (before?.kind === "LParen" || before?.kind === "Comma"))) return undefined;
  return {
    code: "P0004",
    message: `${isEntry ? "fields are" : "a named argument is"} written with \`:\`, not with \`=\``,
    label: `did you mean \`${name.text}: …\`?`,
    fixes: [{ title: "write `:`", span: problem.found.span, replacement: ":" }],
  };
};

/** `identity. == "a"`. */
const missingField: Describe = (_source, problem) => {
  const dot = previousOf(problem);
  if (dot?.kind !== "Dot" || !problem.expected.includes("a name")) return undefined;
  return {
    code: "P0013",
    message: `a name must follow \`.\`, not ${foundText(problem)}`,
    span: dot.span,
    label: "the name is missing",
    help: problem.found.kind === "Star" ? ["imports bring in names: `import acme.shared.agents.{is_agent}`"] : [],
  };
};

/** `string[]`. */
const bracketsForList: Describe = (_source, problem) => {
  const element = previousOf(problem);
  if (problem.found.kind !== "LBracket" || problem.next?.kind !== "RBracket" || !element) return undefined;
  const meant = `list<${element.text}>`;
  return {
    code: "P0013",
    span: spanOf(element.span.start, problem.next.span.end),
    message: `a list type is written \`${meant}\``,
    label: `did you mean \`${meant}\`?`,
    fixes: [
      { title: `write \`${meant}\``, span: spanOf(element.span.start, problem.next.span.end), replacement: meant },
    ],
  };
};

/** `limit l to 500 on …`. */
const limitUnit: Describe = (_source, problem) => {
  const count = previousOf(problem);
  if (ruleOf(problem) !== "Head" || count?.kind !== "INT" || !problem.expected.includes("a name")) return undefined;
  return {
    code: "P0013",
    span: count.span,
    message: `\`${count.text}\` of what?`,
    label: "a limit counts something",
    help: [`\`${count.text} rows\`, or \`${count.text} requests per 1m by identity.sub\``],
  };
};

/** `from "dba"`. */
const approverKind: Describe = (_source, problem) => {
  if (ruleOf(problem) !== "Approver" && !(ruleOf(problem) === "Head" && previousOf(problem)?.kind === "KwFrom"))
    return undefined;
  if (!isText(problem.found)) return undefined;
  const meant = `group ${problem.found.text}`;
  return {
    code: "P0013",
    message: `is ${short(problem.found.text)} a group or a user?`,
    label: `did you mean \`${meant}\`?`,
    help: ['approvers are `group "dba"`, `2 of group "lead"` or `user "olga"`'],
    fixes: [{ title: `write \`${meant}\``, span: problem.found.span, replacement: meant }],
  };
};

const closesExpression = (problem: SyntaxProblem): boolean =>
  problem.expected.every(
    (e) => e === "`)`" || e === "`]`" || e === "`}`" || e === "`|`" || e === "`then`" || e === "`:`",
  );

const comparisonKinds = new Set([
  "EqEq",
  "NotEq",
  "Less",
  "LessEq",
  "Greater",
  "GreaterEq",
  "KwIn",
  "KwContains",
  "KwIs",
]);

/** `a < b < c`. */
const chainedComparison: Describe = (_source, problem) => {
  if (!comparisonKinds.has(problem.found.kind) || !endsValue(previousOf(problem))) return undefined;
  if (!isAtTop(problem) && !closesExpression(problem)) return undefined;
  return {
    code: "P0012",
    message: "comparisons cannot be chained",
    label: `a second comparison: \`${problem.found.text}\``,
    help: ["compare two things at a time: `a < b and b < c`; for a range write `x in 1..10`"],
  };
};

const operatorKinds = new Set([
  "KwAnd",
  "KwOr",
  "KwNot",
  "KwIn",
  "KwContains",
  "KwStartswith",
  "KwEndswith",
  "KwLike",
  "KwMatches",
  "EqEq",
  "NotEq",
  "Less",
  "LessEq",
  "Greater",
  "GreaterEq",
  "Plus",
  "Minus",
  "Star",
  "Slash",
  "Percent",
  "Coalesce",
  "DotDot",
  "DotDotLess",
]);
const conditionIntroducers = new Set(["KwWhen", "KwUnless", "KwWhere", "KwIf"]);
const valueIntroducers = new Set(["Eq", "KwThen", "KwElse", "Colon", "KwBy", "KwTo"]);
const expressionStartRules = new Set(["Primary", "Condition", "Expr", "Logic", "Comparison", "Arith", "Operand"]);

/** `when a or` and then nothing. */
const stopsAfterOperator: Describe = (source, problem) => {
  const previous = previousOf(problem);
  if (!previous || !expressionStartRules.has(ruleOf(problem))) return undefined;
  const isCondition = problem.rules.includes("BodyClause");
  const what = isCondition ? "condition" : "expression";
  const related = problem.isInPlaceholder ? [] : [{ path: source.path, span: nextThing(source, problem), label: "" }];
  const notes = problem.isInPlaceholder ? [] : [`the next thing in the file is ${foundText(problem)}`];
  if (operatorKinds.has(previous.kind)) {
    return {
      code: "P0007",
      span: previous.span,
      message: `this ${what} stops after \`${previous.text}\``,
      label: `something must follow \`${previous.text}\``,
      notes,
      related,
    };
  }
  if (conditionIntroducers.has(previous.kind)) {
    return {
      code: "P0007",
      span: previous.span,
      message: `\`${previous.text}\` has no condition`,
      label: "a condition must follow",
      notes,
      related,
    };
  }
  if (valueIntroducers.has(previous.kind)) {
    return {
      code: "P0007",
      span: previous.span,
      message: `nothing follows \`${previous.text}\``,
      label: "a value must follow",
      notes,
      related,
    };
  }
  return undefined;
};

/** At the end of the file, the line after the last word. */
const nextThing = (source: Source, problem: SyntaxProblem): Span =>
  isEnd(problem.found)
    ? spanOf(source.text.length, source.text.length)
    : spanOf(problem.found.span.start, problem.found.span.start);

/** `[1, 2, ]`. */
const commaBeforeNothing: Describe = (_source, problem) => {
  const previous = previousOf(problem);
  if (previous?.kind !== "Comma") return undefined;
  const isClosing = ["RParen", "RBracket", "RBrace", "Greater"].includes(problem.found.kind);
  return {
    code: "P0014",
    span: previous.span,
    message: "nothing follows this comma",
    label: isClosing ? `delete it, or write something before \`${problem.found.text}\`` : "something must follow `,`",
    notes: isClosing ? [] : [`the next thing in the file is ${foundText(problem)}`],
    fixes: isClosing ? [{ title: "delete the comma", span: previous.span, replacement: "" }] : [],
  };
};

const effectForms: Readonly<Record<string, string>> = {
  allow: "on sql read of public.orders",
  deny: "on sql ddl",
  mask: "of public.customers.email using hash",
  filter: "of public.orders where row.tenant == identity.claims.tenant",
  approval: "on sql write",
  limit: "to 500 rows on sql read",
  alert: 'to "#security" on any',
};

/** `allow on sql read`. */
const namelessRule: Describe = (source, problem) => {
  const [previous, beforePrevious] = problem.before;
  const isSwallowed = previous?.kind === "KwTo" || previous?.kind === "KwFrom"; // read as the name
  if (previous && beforePrevious && isSwallowed && beforePrevious.text in effectForms) {
    const effect = beforePrevious.text === "approval" ? "require approval" : beforePrevious.text;
    return {
      code: "P0011",
      span: previous.span,
      message: `\`${effect}\` rules need a name`,
      label: `expected a name before \`${previous.text}\``,
      help: [`\`${effect} my_rule ${restOfLine(source, previous.span.start)}\``],
      notes: ["decision logs, `explain` and tests refer to rules by name"],
    };
  }
  if (ruleOf(problem) !== "Head" || !previous || !(previous.text in effectForms)) return undefined;
  if (!problem.expected.includes("a name")) return undefined;
  if (isText(problem.found)) {
    const name = problem.found.text.slice(1, -1).trim().replace(/\W+/g, "_").toLowerCase();
    return {
      code: "P0011",
      message: "the name of a rule stands without quotes",
      label: "expected a name",
      help: [`\`${previous.text} ${name || "my_rule"} ${restOfLine(source, problem.found.span.end)}\``],
      fixes: name ? [{ title: `write \`${name}\``, span: problem.found.span, replacement: name }] : [],
    };
  }
  const isWordAsName = isReserved(problem.found) && ["KwOn", "KwOf", "KwTo"].includes(problem.next?.kind ?? "");
  if (isWordAsName) return reservedAsName(problem.found);
  const rest = isEnd(problem.found) ? "" : restOfLine(source, problem.found.span.start);
  const effect = previous.text === "approval" ? "require approval" : previous.text;
  const name = nameFor(previous.text, rest);
  const example = startsTarget(problem.found) ? rest : effectForms[previous.text];
  return {
    code: "P0011",
    message: `\`${effect}\` rules need a name`,
    label: isEnd(problem.found) ? "expected a name" : `expected a name before ${foundText(problem)}`,
    span: isEnd(problem.found) ? previous.span : problem.found.span,
    help: [`\`${effect} ${name} ${example}\``],
    notes: ["decision logs, `explain` and tests refer to rules by name"],
  };
};

const startsTarget = (word: Word): boolean => ["KwOn", "KwOf", "KwTo", "KwFrom"].includes(word.kind);

/** `read_orders` from `on sql read of public.orders`. */
function nameFor(effect: string, rest: string): string {
  const sql = /^on\s+sql\s+(\w+)[^"]*?\bof\s+(?:[\w*]+\.)*(\w+)/.exec(rest);
  if (sql) return `${sql[1]}_${sql[2]}`;
  const column = /^of\s+(?:[\w*]+\.)*(\w+)/.exec(rest);
  if (column) return `${effect}_${column[1]}`;
  const target = /^on\s+(\w+)(?:\s+(\w+))?/.exec(rest);
  return target
    ? [effect === "allow" ? "" : effect, target[1], target[2]].filter(Boolean).join("_").toLowerCase()
    : "my_rule";
}

const reservedAsName = (word: Word): Said => ({
  code: "P0024",
  message: `\`${word.text}\` is a word of the language and cannot be a name`,
  label: "choose another name",
  help: [`for example \`${word.text}_rule\` or \`the_${word.text}\``],
});

/** A reserved word where a name should stand. */
const reservedName: Describe = (_source, problem) => {
  if (problem.expected.length !== 1 || problem.expected[0] !== "a name" || !isReserved(problem.found)) return undefined;
  const follows = problem.next?.kind ?? "";
  return ["Colon", "Eq", "LParen", "Comma", "KwOf", "KwIn", "Pipe", "RBrace", "RParen", "Dot"].includes(follows)
    ? reservedAsName(problem.found)
    : undefined;
};

/** `func f(in: int)`, `{ by: 1 }`. */
const reservedKey: Describe = (_source, problem) => {
  if (!isReserved(problem.found) || problem.next?.kind !== "Colon") return undefined;
  if (!["LParen", "LBrace", "Comma"].includes(previousOf(problem)?.kind ?? "")) return undefined;
  const said = reservedAsName(problem.found);
  const isRecord = problem.rules.includes("Record");
  return isRecord ? { ...said, label: "put it in quotes", help: [`\`{ "${problem.found.text}": … }\``] } : said;
};

/** `allow read-orders`. */
const dashInName: Describe = (source, problem) => {
  const [first] = problem.before;
  const isDefining = isAtTop(problem) || ruleOf(problem).endsWith("Decl") || ruleOf(problem) === "Head";
  if (!isDefining || problem.found.kind !== "Minus" || !isName(first) || !isName(problem.next)) return undefined;
  const whole = /^[\w-]+/.exec(source.text.slice(first?.span.start ?? 0))?.[0] ?? "";
  if (!whole.includes("-") || first === undefined) return undefined;
  const name = whole.replaceAll("-", "_");
  const span = spanOf(first.span.start, first.span.start + whole.length);
  return {
    code: "P0001",
    span,
    message: `the name \`${whole}\` has a dash`,
    label: `did you mean \`${name}\`?`,
    help: ["names are made of the letters A-Z and a-z, digits and `_`"],
    fixes: [{ title: `write \`${name}\``, span, replacement: name }],
  };
};

const clauseOrder: Readonly<Record<string, string>> = {
  on: "`on` stands right after the name of the rule (and, for masks and filters, what they are of)",
  at: "`at` stands before `when`, `unless`, `let` and `because`",
  when: "`when` stands before `because`",
  unless: "`unless` stands before `because`",
  because: "a rule has one `because`, at its end",
  where: "`where` belongs to `filter` rules; in other rules write `when`",
};

/** `because "…" when …`. */
const clauseOutOfOrder: Describe = (_source, problem) => {
  const order = clauseOrder[problem.found.text];
  if (!isAtTop(problem) || order === undefined) return undefined;
  if (problem.before.length === 0) return undefined;
  return {
    code: "P0020",
    message: `\`${problem.found.text}\` cannot stand here`,
    label: problem.found.text === "where" ? "did you mean `when`?" : "too late in the rule",
    notes: [order],
    help: ["a rule is: effect, name, `on` what, `at` which connections, `when` / `unless` / `let`, `because`"],
    fixes:
      problem.found.text === "where" ? [{ title: "write `when`", span: problem.found.span, replacement: "when" }] : [],
  };
};

const declarationWords = [
  "package",
  "import",
  "type",
  "schema",
  "catalog",
  "data",
  "let",
  "export",
  "func",
  "counter",
  "fixture",
  "default",
  "allow",
  "deny",
  "mask",
  "filter",
  "require",
  "limit",
  "alert",
  "test",
  "property",
];
const clauseWords = ["on", "at", "when", "unless", "because", "of", "using", "where", "searchable"];

/** What other policy languages call it. */
const synonyms: Readonly<Record<string, string>> = {
  permit: "allow",
  grant: "allow",
  forbid: "deny",
  reject: "deny",
  block: "deny",
  redact: "mask",
  def: "func",
  function: "func",
  fn: "func",
  const: "let",
  var: "let",
  rule: "allow",
  if: "when",
  given: "test",
  expect: "test",
  module: "package",
  namespace: "package",
  use: "import",
  with: "using",
  except: "unless",
  reason: "because",
  message: "because",
};

/** `alow x on sql`, `permit x`, or a word that has no place. */
const unknownWord: Describe = (source, problem) => {
  if (!isAtTop(problem) || !(isName(problem.found) || isReserved(problem.found))) return undefined;
  const word = problem.found;
  if (word.kind === "KwImport") {
    return {
      code: "P0022",
      message: "imports stand before everything else",
      label: "too late in the file",
      help: ["move this line up, right under `package`"],
    };
  }
  if (word.kind === "KwPackage") {
    return { code: "P0021", message: "a file has one `package`", label: "a second one" };
  }
  const isFirst = startsLine(source, word);
  const meant =
    synonyms[word.text] ?? suggest(word.text, isFirst ? [...declarationWords, ...clauseWords] : clauseWords);
  if (isFirst || problem.before.length === 0) {
    return {
      code: "P0023",
      message: `\`${word.text}\` does not start a declaration`,
      label: meant ? `did you mean \`${meant}\`?` : "not a word of the language",
      notes: meant === "deny" || meant === "allow" || meant === "mask" ? ["what it was meant to do is not done"] : [],
      help: meant ? [] : [`declarations start with ${orList(declarationWords.slice(2).map((w) => `\`${w}\``))}`],
      fixes: meant ? [{ title: `write \`${meant}\``, span: word.span, replacement: meant }] : [],
    };
  }
  return strayWord(source, problem, meant);
};

/** A word in the middle of a line that continues nothing. */
function strayWord(source: Source, problem: SyntaxProblem, meant: string | undefined): Said {
  const [previous] = problem.before;
  const clause =
    previous && isName(previous) && startsLine(source, previous) ? suggest(previous.text, clauseWords) : undefined;
  if (previous && clause) {
    return {
      code: "P0023",
      span: previous.span,
      message: `\`${previous.text}\` does not start a clause`,
      label: `did you mean \`${clause}\`?`,
      fixes: [{ title: `write \`${clause}\``, span: previous.span, replacement: clause }],
    };
  }
  const fix = (replacement: string) => [{ title: `write \`${replacement}\``, span: problem.found.span, replacement }];
  const sql = problem.before.findIndex((word) => word.kind === "KwSql");
  const isAfterActions = sql > 0 && problem.before.slice(0, sql).every((word) => isName(word) || word.kind === "Comma");
  if (isAfterActions && problem.next?.kind === "Dot") {
    return {
      code: "P0028",
      message: `\`${problem.found.text}\` cannot follow \`${previous?.text}\``,
      label: `did you mean \`of ${problem.found.text}.…\`?`,
      help: ["tables come after `of`: `on sql read of public.orders`"],
      fixes: fix(`of ${problem.found.text}`),
    };
  }
  if (isAfterActions) {
    return {
      code: "P0028",
      message: `\`${problem.found.text}\` cannot follow \`${previous?.text}\``,
      label: "a comma is missing, or `of`",
      help: ["actions are separated by commas: `on sql select, update of public.orders`"],
    };
  }
  return {
    code: "P0013",
    message: `\`${problem.found.text}\` cannot follow ${previous ? `\`${short(previous.text)}\`` : "this"}`,
    label: meant
      ? `did you mean \`${meant}\`?`
      : "an operator such as `and` or `==` is missing, or this word is one too many",
    fixes: meant ? fix(meant) : [],
  };
}

const bracketPairs: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** `(a or b when`, and a file that ends inside braces. */
const unclosedBracket: Describe = (source, problem) => {
  const { opener } = problem;
  if (!opener) return undefined;
  const closing = bracketPairs[opener.text] ?? "";
  if (!problem.expected.includes(`\`${closing}\``)) return undefined;
  const isOther = ["RParen", "RBracket", "RBrace"].includes(problem.found.kind);
  return {
    code: "P0015",
    message: isOther ? `\`${opener.text}\` is closed by \`${problem.found.text}\`` : `\`${opener.text}\` is not closed`,
    label: isEnd(problem.found) ? `the file ends without \`${closing}\`` : `expected \`${closing}\` before this`,
    related: [{ path: source.path, span: opener.span, label: "opened here" }],
  };
};

/** `)` with nothing to close. */
const strayBracket: Describe = (_source, problem) => {
  if (!isAtTop(problem) || !["RParen", "RBracket", "RBrace"].includes(problem.found.kind)) return undefined;
  return {
    code: "P0015",
    message: `\`${problem.found.text}\` closes nothing`,
    label: "nothing is open here",
    fixes: [{ title: "delete it", span: problem.found.span, replacement: "" }],
  };
};

/** `at prod`, `because no`. */
const unquotedText: Describe = (_source, problem) => {
  if (problem.expected.length !== 1 || !problem.expected[0]?.startsWith("a text in quotes")) return undefined;
  if (!isName(problem.found) && !(isReserved(problem.found) && ruleOf(problem) === "Because")) return undefined;
  const quoted = `"${problem.found.text}"`;
  return {
    code: "P0029",
    message: `\`${problem.found.text}\` needs quotes`,
    label: `did you mean \`${quoted}\`?`,
    help: ["patterns, file names and messages are texts: they stand in double quotes"],
    fixes: [{ title: `write \`${quoted}\``, span: problem.found.span, replacement: quoted }],
  };
};

/** `within 30`. */
const missingUnit: Describe = (_source, problem) => {
  if (!problem.expected[0]?.startsWith("a duration") || problem.found.kind !== "INT") return undefined;
  const unit = `${problem.found.text}m`;
  return {
    code: "P0010",
    message: `\`${problem.found.text}\` needs a unit`,
    label: `did you mean \`${unit}\`?`,
    help: ["durations end in ms, s, m, h or d"],
    fixes: [{ title: `write \`${unit}\``, span: problem.found.span, replacement: unit }],
  };
};

/** `is not null`. */
const isWhat: Describe = (_source, problem) => {
  if (ruleOf(problem) !== "Comparison" || previousOf(problem)?.kind !== "KwIs") return undefined;
  const isNegative = problem.found.kind === "KwNot";
  const after = isNegative ? problem.next?.text : problem.found.text;
  const isNothing = ["null", "none", "nil", "undefined", "empty", "missing", "absent"].includes(after ?? "");
  const meant = isNothing === isNegative ? "present" : "absent";
  return {
    code: "P0013",
    message: `\`is\` is followed by \`present\` or \`absent\`, not by ${foundText(problem)}`,
    label: `did you mean \`is ${meant}\`?`,
    help: ["to compare with a value write `==`"],
  };
};

/** `on postgres`. */
const unknownTarget: Describe = (_source, problem) => {
  const afterOn = previousOf(problem)?.kind === "KwOn" || previousOf(problem)?.kind === "KwOf";
  if (ruleOf(problem) !== "Target" || !afterOn) return undefined;
  const protocols = ["any", "sql", "http", "mcp", "llm"];
  const aliases: Readonly<Record<string, string>> = {
    postgres: "sql",
    postgresql: "sql",
    database: "sql",
    db: "sql",
    table: "sql",
    read: "sql read",
    write: "sql write",
    select: "sql select",
    update: "sql update",
    insert: "sql insert",
    delete: "sql delete",
    api: "http",
    https: "http",
    rest: "http",
    tool: "mcp tool",
    model: "llm model",
    all: "any",
    everything: "any",
  };
  const meant = aliases[problem.found.text.toLowerCase()] ?? suggest(problem.found.text, protocols);
  return {
    code: "P0027",
    message: isEnd(problem.found)
      ? "`on` is not followed by anything"
      : `${foundText(problem)} is not something a rule can be on`,
    label: meant ? `did you mean \`${meant}\`?` : "expected `any`, `sql`, `http`, `mcp` or `llm`",
    help: ['for example `on sql read of public.orders`, `on http GET "/v1/**"`, `on mcp tool "github.*"`'],
    fixes:
      meant && isName(problem.found)
        ? [{ title: `write \`${meant}\``, span: problem.found.span, replacement: meant }]
        : [],
  };
};

/** `a not == b`. */
const notBeforeOperator: Describe = (_source, problem) => {
  if (ruleOf(problem) !== "CompareOp" || previousOf(problem)?.kind !== "KwNot") return undefined;
  const opposites: Readonly<Record<string, string>> = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">": "<=",
    "<=": ">",
    ">=": "<",
  };
  const opposite = opposites[problem.found.text];
  const not = previousOf(problem);
  return {
    code: "P0013",
    message: `\`not\` cannot stand before ${foundText(problem)}`,
    label: opposite
      ? `did you mean \`${opposite}\`?`
      : "expected `in`, `contains`, `startswith`, `endswith`, `like` or `matches`",
    help: opposite ? [] : ["to negate a whole condition write `not (…)`"],
    fixes:
      opposite && not
        ? [
            {
              title: `write \`${opposite}\``,
              span: spanOf(not.span.start, problem.found.span.end),
              replacement: opposite,
            },
          ]
        : [],
  };
};

/** `test "x" { given … }`, and clauses of a test in the wrong order. */
const testBody: Describe = (source, problem) => {
  const rule = ruleOf(problem);
  if (rule !== "TestDecl" && rule !== "PropertyDecl") return undefined;
  const what = rule === "TestDecl" ? "test" : "property";
  const { found } = problem;
  const isOutside = declarationWords.includes(found.text) && startsLine(source, found);
  if ((isOutside || isEnd(found)) && problem.opener?.kind === "LBrace") {
    return {
      code: "P0015",
      message: `the \`{\` of this ${what} is not closed`,
      label: isEnd(found) ? "the file ends without `}`" : "expected `}` before this",
      related: [{ path: source.path, span: problem.opener.span, label: "opened here" }],
    };
  }
  if (
    what === "property" &&
    problem.expected.includes("`forall`") &&
    (found.kind === "KwGiven" || found.kind === "KwExpect")
  ) {
    return {
      code: "P0026",
      message: "this property is about nothing in particular",
      label: `expected \`forall\` before \`${found.text}\``,
      help: ["`forall who: identity where who.kind == agent`"],
    };
  }
  if (found.kind === "KwGiven" || found.kind === "KwCases" || found.kind === "KwForall") {
    return {
      code: "P0026",
      message: `\`${found.text}\` cannot stand here`,
      label: `too late in the ${what}`,
      help: [
        `a ${what} has ${what === "test" ? "`cases`" : "`forall`"} first, then every \`given\`, then every \`expect\``,
      ],
    };
  }
  if (found.kind === "LBrace" && problem.expected.some((e) => e.startsWith("a text"))) {
    return {
      code: "P0026",
      message: `this ${what} has no title`,
      label: "expected a text before `{`",
      help: [`\`${what} "agents only read" { … }\``],
    };
  }
  if (found.kind === "RBrace" && problem.expected.includes("`expect`")) {
    return {
      code: "P0026",
      message: `this ${what} expects nothing`,
      label: "expected `expect` before `}`",
      notes: ["without an `expect` it could never fail"],
      help: ["`expect allow by …`, `expect deny by …`, `expect approval by …`"],
    };
  }
  if (isName(found) || isReserved(found)) {
    const words = ["given", "expect", "cases", "forall"];
    const meant = suggest(found.text, words);
    return {
      code: "P0026",
      message: `\`${found.text}\` does not belong in a ${what}`,
      label: meant
        ? `did you mean \`${meant}\`?`
        : what === "test"
          ? "expected `given`, `expect` or `}`"
          : "expected `forall`, `given`, `expect` or `}`",
      fixes: meant ? [{ title: `write \`${meant}\``, span: found.span, replacement: meant }] : [],
    };
  }
  return undefined;
};

/** `| a | want` without its last bar, or a cell with nothing in it. */
const rowNotClosed: Describe = (source, problem) => {
  const [bar, last] = problem.before;
  const rule = ruleOf(problem);
  if (
    bar?.kind === "Pipe" &&
    problem.found.kind === "Pipe" &&
    (rule === "CaseRow" || rule === "CaseHead" || rule === "Primary")
  ) {
    return {
      code: "P0019",
      span: spanOf(bar.span.start, problem.found.span.end),
      message: "a cell of this table is empty",
      label: "expected a value between the bars",
      help: ['every cell holds an expression; for a text with nothing in it write `""`'],
    };
  }
  if (bar?.kind !== "Pipe" || last === undefined || !startsLine(source, bar) || !problem.rules.includes("TestDecl"))
    return undefined;
  return {
    code: "P0019",
    span: spanOf(last.span.end, last.span.end),
    message: "this row of the table has no closing `|`",
    label: "expected `|` at the end of the row",
    fixes: [{ title: "close the row with `|`", span: spanOf(last.span.end, last.span.end), replacement: " |" }],
  };
};

const expectWhat: Describe = (_source, problem) => {
  if (ruleOf(problem) !== "Expect" || previousOf(problem)?.kind !== "KwExpect") return undefined;
  return {
    code: "P0026",
    message: `\`expect\` cannot be followed by ${foundText(problem)}`,
    label: "expected an outcome",
    help: [
      "outcomes are `allow`, `deny`, `approval`, `mask …`, `filter …`, `limit …` and `alert …`, or a column of `cases`",
    ],
  };
};

/** `given http "/v1"`. */
const givenMethod: Describe = (_source, problem) => {
  const protocol = previousOf(problem)?.text ?? "";
  if (
    ruleOf(problem) !== "Given" ||
    !["http", "mcp", "llm"].includes(protocol) ||
    !problem.expected.includes("a name")
  ) {
    return undefined;
  }
  const word = protocol === "http" ? "GET" : protocol === "mcp" ? "tool" : "model";
  const example = isText(problem.found) ? short(problem.found.text) : '"…"';
  return {
    code: "P0013",
    message: `\`given ${protocol}\` needs ${protocol === "http" ? "a method" : `a word for what \`${example}\` is`}`,
    label: `did you mean \`${word} ${example}\`?`,
    fixes: isText(problem.found)
      ? [
          {
            title: `write \`${word} ${example}\``,
            span: problem.found.span,
            replacement: `${word} ${problem.found.text}`,
          },
        ]
      : [],
  };
};

/** `"x" + "y"` is fine grammar; two texts side by side are not, nor a text after a value. */
const strayText: Describe = (source, problem) => {
  if (!isText(problem.found) || !isAtTop(problem)) return undefined;
  const previous = previousOf(problem);
  if (previous?.kind === "Identifier" && previous.span.end === problem.found.span.start) {
    return {
      code: "P0010",
      span: spanOf(previous.span.start, problem.found.span.end),
      message: `\`${short(`${previous.text}${problem.found.text}`)}\` is not a kind of literal`,
      label: "unknown kind of literal",
      help: ['typed literals are cidr"…", ip"…", ts"…", date"…", table"…" and col"…"'],
    };
  }
  if (previous && isName(previous) && startsLine(source, previous)) return strayWord(source, problem, undefined);
  return {
    code: "P0013",
    message: `this text cannot follow ${previous ? `\`${short(previous.text)}\`` : "nothing"}`,
    label: startsLine(source, problem.found)
      ? "did you mean `because` before it?"
      : "an operator is missing, or `because`",
    help: [`\`because ${short(problem.found.text)}\` gives the reason that the caller sees`],
    fixes: [
      {
        title: "write `because` before it",
        span: spanOf(problem.found.span.start, problem.found.span.start),
        replacement: "because ",
      },
    ],
  };
};

const strayMark: Describe = (_source, problem) => {
  if (!isAtTop(problem) || isEnd(problem.found)) return undefined;
  const previous = previousOf(problem);
  if (problem.found.kind === "LBrace") {
    return {
      code: "P0013",
      message: "rules have no braces",
      label: "not expected here",
      help: ["a rule ends where the next declaration starts; only tests and records stand in braces"],
    };
  }
  return {
    code: "P0013",
    message: `\`${short(problem.found.text)}\` cannot follow ${previous ? `\`${short(previous.text)}\`` : "nothing"}`,
    label: "not expected here",
    help: problem.before.length === 0 ? ["a file starts with `package`"] : [],
  };
};

const afterAnnotation: Describe = (_source, problem) => {
  if (ruleOf(problem) !== "Decl") return undefined;
  if (!isEnd(problem.found)) return undefined;
  return {
    code: "P0023",
    message: "this annotation belongs to nothing",
    label: "expected a declaration after it",
    help: ["an annotation stands right before the rule, test or definition that it is about"],
  };
};

const known: readonly Describe[] = [
  equalsForColon,
  singleEquals,
  bracketsForList,
  limitUnit,
  approverKind,
  missingField,
  reservedKey,
  rowNotClosed,
  chainedComparison,
  notBeforeOperator,
  isWhat,
  commaBeforeNothing,
  namelessRule,
  stopsAfterOperator,
  dashInName,
  clauseOutOfOrder,
  testBody,
  expectWhat,
  givenMethod,
  unclosedBracket,
  strayBracket,
  unquotedText,
  missingUnit,
  unknownTarget,
  reservedName,
  strayText,
  afterAnnotation,
  unknownWord,
  strayMark,
];

// ---- everything else

/** Names the construct, what is missing in it, and shows its form. */
function inGeneral(_source: Source, problem: SyntaxProblem): Said {
  const form = formOf(problem);
  const expected = problem.expected.length > 0 && problem.expected.length <= 4 ? orList(problem.expected) : undefined;
  const previous = previousOf(problem);
  const where = form ? ` in ${form.name}` : "";
  return {
    code: "P0013",
    message: expected
      ? `expected ${expected}${where}, found ${foundText(problem)}`
      : `${foundText(problem)} cannot stand here${where}`,
    label: previous ? `after \`${short(previous.text)}\`` : "not expected here",
    help: form ? [`\`${form.example}\``] : [],
  };
}

function formOf(problem: SyntaxProblem): ConstructForm | undefined {
  for (const rule of [...problem.rules].reverse()) {
    if (rule === "Given")
      return (
        constructForms[`Given:${problem.before.find((w) => w.kind === "KwCounter" || w.kind === "KwData")?.text}`] ??
        constructForms.Given
      );
    if (rule === "Head") return constructForms[`Head:${effectOf(problem)}`] ?? constructForms["Head:allow"];
    const form = constructForms[rule];
    if (form) return form;
  }
  return undefined;
}

const effectOf = (problem: SyntaxProblem): string =>
  problem.before.find((word) => ["allow", "deny", "mask", "filter", "require", "limit", "alert"].includes(word.text))
    ?.text ?? "allow";
