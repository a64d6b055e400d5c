// mistakes in tests and properties
import { spanOf } from "../../engine/lib/span.ts";
import { suggest } from "../suggest.ts";
import { declarationWords } from "./declarations.ts";
import {
  type Describe,
  foundText,
  isEnd,
  isName,
  isReserved,
  isText,
  previousOf,
  ruleOf,
  short,
  startsLine,
} from "./words.ts";

/** `test "x" { given … }`, and clauses of a test in the wrong order. */
export const testBody: Describe = (source, problem) => {
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
export const rowNotClosed: Describe = (source, problem) => {
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

export const expectWhat: Describe = (_source, problem) => {
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
export const givenMethod: Describe = (_source, problem) => {
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
