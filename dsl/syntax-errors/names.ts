// what cannot be a name
import { spanOf } from "../../engine/lib/span.ts";
import { type Describe, isAtTop, isName, isReserved, previousOf, ruleOf, type Said, type Word } from "./words.ts";

export const reservedAsName = (word: Word): Said => ({
  code: "P0024",
  message: `\`${word.text}\` is a word of the language and cannot be a name`,
  label: "choose another name",
  help: [`for example \`${word.text}_rule\` or \`the_${word.text}\``],
});

/** A reserved word where a name should stand. */
export const reservedName: Describe = (_source, problem) => {
  if (problem.expected.length !== 1 || problem.expected[0] !== "a name" || !isReserved(problem.found)) return undefined;
  const follows = problem.next?.kind ?? "";
  return ["Colon", "Eq", "LParen", "Comma", "KwOf", "KwIn", "Pipe", "RBrace", "RParen", "Dot"].includes(follows)
    ? reservedAsName(problem.found)
    : undefined;
};

/** `func f(in: int)`, `{ by: 1 }`. */
export const reservedKey: Describe = (_source, problem) => {
  if (!isReserved(problem.found) || problem.next?.kind !== "Colon") return undefined;
  if (!["LParen", "LBrace", "Comma"].includes(previousOf(problem)?.kind ?? "")) return undefined;
  const said = reservedAsName(problem.found);
  const isRecord = problem.rules.includes("Record");
  return isRecord ? { ...said, label: "put it in quotes", help: [`\`{ "${problem.found.text}": … }\``] } : said;
};

/** `allow read-orders`. */
export const dashInName: Describe = (source, problem) => {
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
