// mistakes in the head and the clauses of a rule
import { suggest } from "../suggest.ts";
import { reservedAsName } from "./names.ts";
import {
  type Describe,
  foundText,
  isAtTop,
  isEnd,
  isName,
  isReserved,
  isText,
  previousOf,
  restOfLine,
  ruleOf,
  short,
  type Word,
} from "./words.ts";

/** `limit l to 500 on …`. */
export const limitUnit: Describe = (_source, problem) => {
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
export const approverKind: Describe = (_source, problem) => {
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
export const namelessRule: Describe = (source, problem) => {
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

const clauseOrder: Readonly<Record<string, string>> = {
  on: "`on` stands right after the name of the rule (and, for masks and filters, what they are of)",
  at: "`at` stands before `when`, `unless`, `let` and `because`",
  when: "`when` stands before `because`",
  unless: "`unless` stands before `because`",
  because: "a rule has one `because`, at its end",
  where: "`where` belongs to `filter` rules; in other rules write `when`",
};

/** `because "…" when …`. */
export const clauseOutOfOrder: Describe = (_source, problem) => {
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

/** `at prod`, `because no`. */
export const unquotedText: Describe = (_source, problem) => {
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
export const missingUnit: Describe = (_source, problem) => {
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

/** `on postgres`. */
export const unknownTarget: Describe = (_source, problem) => {
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
