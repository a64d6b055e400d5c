// what the parser stumbled over -> what the author reads
import { type Diagnostic, diagnose } from "./diagnostic.ts";
import { strayBracket, unclosedBracket } from "./syntax-errors/brackets.ts";
import { afterAnnotation, bracketsForList, strayMark, strayText, unknownWord } from "./syntax-errors/declarations.ts";
import {
  chainedComparison,
  commaBeforeNothing,
  equalsForColon,
  isWhat,
  missingField,
  notBeforeOperator,
  singleEquals,
  stopsAfterOperator,
} from "./syntax-errors/expressions.ts";
import { dashInName, reservedKey, reservedName } from "./syntax-errors/names.ts";
import {
  approverKind,
  clauseOutOfOrder,
  limitUnit,
  missingUnit,
  namelessRule,
  unknownTarget,
  unquotedText,
} from "./syntax-errors/rules.ts";
import { expectWhat, givenMethod, rowNotClosed, testBody } from "./syntax-errors/tests.ts";
import {
  type Describe,
  foundText,
  orList,
  previousOf,
  type Said,
  type Source,
  type SyntaxProblem,
  short,
  spanAtEnd,
} from "./syntax-errors/words.ts";
import { type ConstructForm, constructForms } from "./syntax-forms.ts";

export function describeProblem(source: Source, problem: SyntaxProblem): Diagnostic {
  for (const describe of known) {
    const said = describe(source, problem);
    if (said) return diagnose({ path: source.path, span: spanAtEnd(source, problem), ...said });
  }
  return diagnose({ path: source.path, span: spanAtEnd(source, problem), ...inGeneral(source, problem) });
}

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

export type { SyntaxProblem, Word } from "./syntax-errors/words.ts";
