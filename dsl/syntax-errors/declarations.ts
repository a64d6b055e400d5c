// words, texts and marks that no declaration has a place for
import { spanOf } from "../../engine/lib/span.ts";
import { suggest } from "../suggest.ts";
import { reservedAsName } from "./names.ts";
import {
  type Describe,
  isAtTop,
  isEnd,
  isName,
  isReserved,
  isText,
  orList,
  previousOf,
  ruleOf,
  type Said,
  type Source,
  type SyntaxProblem,
  short,
  startsLine,
} from "./words.ts";

/** `string[]`. */
export const bracketsForList: Describe = (_source, problem) => {
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

export const declarationWords = [
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
export const unknownWord: Describe = (source, problem) => {
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
  const { next } = problem;
  if (declarationWords.includes(word.text) && next !== undefined && !isName(next)) {
    return isReserved(next)
      ? { ...reservedAsName(next), span: next.span }
      : {
          code: "P0013",
          span: next.span,
          message: `\`${word.text}\` needs a name, not \`${short(next.text)}\``,
          label: "expected a name",
        };
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

/** `"x" + "y"` is fine grammar; two texts side by side are not, nor a text after a value. */
export const strayText: Describe = (source, problem) => {
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

export const strayMark: Describe = (_source, problem) => {
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

export const afterAnnotation: Describe = (_source, problem) => {
  if (ruleOf(problem) !== "Decl") return undefined;
  if (!isEnd(problem.found)) return undefined;
  return {
    code: "P0023",
    message: "this annotation belongs to nothing",
    label: "expected a declaration after it",
    help: ["an annotation stands right before the rule, test or definition that it is about"],
  };
};
