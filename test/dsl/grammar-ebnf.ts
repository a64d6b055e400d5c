// The parser's own idea of its grammar -> EBNF, rule by rule, as GRAMMAR.md writes it.
import { PolicyParser } from "../../dsl/cst.ts";

type Production = {
  readonly type: string;
  readonly name?: string;
  readonly label?: string;
  readonly definition?: readonly Production[];
  readonly separator?: Production;
};

const literalTokens: Readonly<Record<string, string>> = {
  QUOTED: "STRING",
  ALLOW: '"allow"',
  DENY: '"deny"',
  LET: '"let"',
};

function terminal(production: Production): string {
  const name = production.name ?? "";
  const known = literalTokens[name];
  if (known !== undefined) return known;
  const word = /^`(.+)`$/.exec(production.label ?? "")?.[1];
  return word === undefined ? name : `"${word}"`;
}

const isSeveral = (definition: readonly Production[]): boolean => definition.length > 1;

/** Two tokens may stand for one word (`let`): then there is nothing to choose. */
const isChoice = (alternation: Production): boolean => ebnf(alternation).includes(" | ");

function sequence(definition: readonly Production[]): string {
  return definition
    .map((part) =>
      part.type === "Alternation" && isSeveral(definition) && isChoice(part) ? `( ${ebnf(part)} )` : ebnf(part),
    )
    .filter((text) => text !== "")
    .join(" , ");
}

function ebnf(production: Production): string {
  const definition = production.definition ?? [];
  switch (production.type) {
    case "Terminal":
      return terminal(production);
    case "NonTerminal":
      return production.name ?? "";
    case "Option":
      return `[ ${sequence(definition)} ]`;
    case "Repetition":
      return `{ ${sequence(definition)} }`;
    case "RepetitionMandatory":
      return `${sequence(definition)} , { ${sequence(definition)} }`;
    case "RepetitionMandatoryWithSeparator":
      return `${sequence(definition)} , { ${separatorOf(production)} , ${sequence(definition)} }`;
    case "RepetitionWithSeparator":
      return `[ ${sequence(definition)} , { ${separatorOf(production)} , ${sequence(definition)} } ]`;
    case "Alternation": {
      const texts = definition.map((alternative) => sequence(alternative.definition ?? []));
      return [...new Set(texts)].join(" | ");
    }
    default:
      throw new Error(`a kind of production that GRAMMAR.md does not know: ${production.type}`);
  }
}

const separatorOf = (production: Production): string => (production.separator ? terminal(production.separator) : "");

/** Rule name → right-hand side, in the order of the parser. */
export function parserGrammar(): ReadonlyMap<string, string> {
  const productions: readonly Production[] = new PolicyParser().getSerializedGastProductions();
  return new Map(productions.map((rule) => [rule.name ?? "", sequence(rule.definition ?? [])]));
}

/** The rules of a document's ```ebnf blocks, without comments and line breaks. */
export function documentGrammar(markdown: string): ReadonlyMap<string, string> {
  const blocks = [...markdown.matchAll(/```ebnf\n([\s\S]*?)```/g)].map((block) => block[1] ?? "").join("\n");
  const bare = blocks.replace(/\(\*[\s\S]*?\*\)/g, " ");
  // a rule ends with ` ;`: a semicolon is no token of the language
  const rules = bare.split(/\s;(?=\s|$)/).map((rule) => rule.replace(/\s+/g, " ").trim());
  return new Map(
    rules
      .filter((rule) => rule !== "")
      .map((rule) => {
        const equals = rule.indexOf(" = ");
        return [rule.slice(0, equals), rule.slice(equals + 3)];
      }),
  );
}
