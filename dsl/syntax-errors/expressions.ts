// mistakes inside expressions
import { type Span, spanOf } from "../../engine/lib/span.ts";
import {
  type Describe,
  foundText,
  isAtTop,
  isEnd,
  isName,
  isReserved,
  previousOf,
  ruleOf,
  type Source,
  type SyntaxProblem,
  type Word,
} from "./words.ts";

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
export const singleEquals: Describe = (_source, problem) => {
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
export const equalsForColon: Describe = (_source, problem) => {
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
export const missingField: Describe = (_source, problem) => {
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
export const chainedComparison: Describe = (_source, problem) => {
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
export const stopsAfterOperator: Describe = (source, problem) => {
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
export const commaBeforeNothing: Describe = (_source, problem) => {
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

/** `is not null`. */
export const isWhat: Describe = (_source, problem) => {
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

/** `a not == b`. */
export const notBeforeOperator: Describe = (_source, problem) => {
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
