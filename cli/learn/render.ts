// learned rules and their cases -> the text of a policy
import type { Audience } from "./callers.ts";
import type { Case } from "./cases.ts";
import type { Observed } from "./observed.ts";
import { audienceWord, type Grant, type LearnedRule } from "./rules.ts";
import { commented, dayOf, Names, quoted, slug } from "./text.ts";

export type LearnedCatalog = { readonly connection: string; readonly path: string };

export type LearnedTest = {
  readonly title: string;
  readonly audience: Audience | "stranger";
  readonly connection: string;
  readonly cases: readonly Case[];
  /** `allow by rule`, or `deny`. */
  readonly expect: string;
};

export type PolicyParts = {
  readonly package: string;
  readonly observed: Pick<Observed, "learned" | "callers" | "things">;
  readonly catalogs: readonly LearnedCatalog[];
  readonly rules: readonly LearnedRule[];
  readonly tests: readonly LearnedTest[];
};

export function renderPolicy({ package: name, observed, catalogs, rules, tests }: PolicyParts): string {
  const times = rules.flatMap(({ grants }) => grants.map(({ lastMs }) => lastMs));
  const last = times.reduce((latest, ms) => Math.max(latest, ms), 0);
  const head = [
    `# Learned by \`gw policy learn\` from ${count(observed.learned, "request")} of ${count(observed.callers.size, "caller")}${last === 0 ? "" : `, the last on ${dayOf(last)}`}.`,
    "# Read it before you use it: what was seen is allowed, whether it was right or not, and nothing else is. Masks, filters,",
    "# limits, approvals and denials aren't learned: keep those rules, and put these in place of your allow rules.",
    `package ${name}`,
    "",
    ...catalogs.map(({ connection, path }) => `catalog ${pattern(connection)} from ${quoted(`./${path}`)}`),
    "",
    'default deny because "nothing like it was seen when this policy was learned"',
  ];
  const fixtures = fixturesOf(tests);
  return [
    head.join("\n"),
    ...rules.map(renderRule),
    ...[...fixtures.values()].map(({ name, record }) => `fixture ${name}: identity = ${record}`),
    ...tests.flatMap((test) => renderTest(test, fixtures)),
    "",
  ].join("\n\n");
}

const count = (n: number, noun: string): string => `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;

/** Connections and routes are patterns: they have no escapes. */
const pattern = (text: string): string => `"${text}"`;

function renderRule({ name, connection, audience, target, conditions, grants }: LearnedRule): string {
  const [first, ...more] = conditions;
  const clause = more.length === 0 ? (first ?? "") : conditions.map(inParentheses).join(" and ");
  return [
    ...evidence(audience, grants),
    `allow ${name} on ${target} at ${pattern(connection)}`,
    ...(first === undefined ? [] : [`  when ${clause}`]),
  ].join("\n");
}

/** `any`, `all`, `none` and `or` reach as far as they can. */
const inParentheses = (condition: string): string =>
  /^(?:any|all|none) | or /.test(condition) ? `(${condition})` : condition;

function evidence(audience: Audience, grants: readonly Grant[]): readonly string[] {
  const all = grants.reduce((sum, grant) => sum + grant.count, 0);
  const users = Math.max(...grants.map((grant) => grant.users));
  const members = Math.max(...grants.map((grant) => grant.members));
  const last = dayOf(Math.max(...grants.map(({ lastMs }) => lastMs)));
  const [alike] = audience.who.by === "group" ? audience.who.alike : [];
  const kind = `${commented(audience.kind)} caller${members === 1 ? "" : "s"}`;
  const { who } = audience;
  const whose = who.by === "group" ? `${kind} of group ${commented(who.group)}` : `${kind}, by name: no group fits`;
  return [
    `## Used ${timesOf(all)} by ${users} of ${members} ${whose}, last on ${last}.`,
    ...(alike === undefined ? [] : [`## The same callers are in group ${commented(alike)}.`]),
    ...(grants.length === 1
      ? []
      : grants.map(
          ({ what, ...grant }) => `## - ${labelOf(what)}: ${timesOf(grant.count)}, last on ${dayOf(grant.lastMs)}`,
        )),
  ];
}

const timesOf = (n: number): string => (n === 1 ? "once" : `${n.toLocaleString("en-US")} times`);

function labelOf(what: Grant["what"]): string {
  switch (what.kind) {
    case "table":
      return commented(`${what.schema}.${what.table}`);
    case "verb":
      return what.verb;
    case "route":
      return commented(what.path);
    case "mcp":
    case "llm":
      return commented(what.name);
    case "mcp-method":
      return commented(what.method);
    default:
      return what satisfies never;
  }
}

type Fixture = { readonly name: string; readonly record: string };

function fixturesOf(tests: readonly LearnedTest[]): ReadonlyMap<string, Fixture> {
  const names = new Names();
  const fixtures = new Map<string, Fixture>();
  for (const { audience } of tests) {
    const key = keyOf(audience);
    if (fixtures.has(key)) continue;
    const word = audience === "stranger" ? "stranger" : slug("of", audienceWord(audience));
    fixtures.set(key, { name: names.take(word), record: fixtureOf(audience) });
  }
  return fixtures;
}

const keyOf = (audience: LearnedTest["audience"]): string => (audience === "stranger" ? audience : audience.key);

function fixtureOf(audience: LearnedTest["audience"]): string {
  const { sub, kind, groups, onBehalfOf } = identityFor(audience);
  const owner = onBehalfOf === undefined ? "" : `, on_behalf_of: ${quoted(onBehalfOf)}`;
  return `{ sub: ${quoted(sub)}, kind: ${kind}, groups: [${groups.map(quoted).join(", ")}]${owner} }`;
}

/** Somebody of an audience, for tests. */
export function identityFor(audience: LearnedTest["audience"]): {
  readonly sub: string;
  readonly kind: "human" | "agent" | "service";
  readonly groups: readonly string[];
  readonly onBehalfOf: string | undefined;
} {
  if (audience === "stranger") return { sub: "a stranger", kind: "human", groups: [], onBehalfOf: undefined };
  const kind = (["human", "agent", "service"] as const).find((known) => known === audience.kind) ?? "human";
  const { who } = audience;
  return {
    sub: who.by === "name" ? (who.subs[0] ?? "") : "somebody",
    kind,
    groups: who.by === "group" ? [who.group] : [],
    onBehalfOf: kind === "agent" ? "a person" : undefined,
  };
}

/** One test for each way to say `given`. */
function renderTest(test: LearnedTest, fixtures: ReadonlyMap<string, Fixture>): readonly string[] {
  const { title, audience, connection, cases, expect } = test;
  const groups = Map.groupBy(cases, headOf);
  const fixture = fixtures.get(keyOf(audience))?.name ?? "stranger";
  return [...groups].map(([head, own]) => {
    const name = groups.size === 1 ? title : `${title}: ${head}`;
    const texts = [...new Set(own.map(textOf))];
    const [only, second] = texts;
    const single = second === undefined ? only : undefined;
    const table = single === undefined ? ["cases", "| what |", ...texts.map((text) => `| ${text} |`)] : [];
    return [
      `test ${quoted(name)} {`,
      ...table,
      `given identity ${fixture}`,
      `given ${head} ${single ?? "what"} at ${pattern(connection)}`,
      `expect ${expect}`,
      "}",
    ].join("\n");
  });
}

function headOf(one: Case): string {
  switch (one.protocol) {
    case "sql":
      return "sql";
    case "http":
      return `http ${one.method}`;
    case "mcp":
    case "llm":
      return `${one.protocol} ${one.selector}`;
    default:
      return one satisfies never;
  }
}

const textOf = (one: Case): string =>
  quoted(one.protocol === "sql" ? one.text : one.protocol === "http" ? one.path : one.name);
