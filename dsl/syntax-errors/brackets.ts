// brackets without their partner
import { type Describe, isAtTop, isEnd } from "./words.ts";

const bracketPairs: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** `(a or b when`, and a file that ends inside braces. */
export const unclosedBracket: Describe = (source, problem) => {
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
export const strayBracket: Describe = (_source, problem) => {
  if (!isAtTop(problem) || !["RParen", "RBracket", "RBrace"].includes(problem.found.kind)) return undefined;
  return {
    code: "P0015",
    message: `\`${problem.found.text}\` closes nothing`,
    label: "nothing is open here",
    fixes: [{ title: "delete it", span: problem.found.span, replacement: "" }],
  };
};
