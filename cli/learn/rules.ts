// observed things -> allow rules, each with its evidence
import { kindOfVerb, type SqlVerb } from "../../engine/model/statement.ts";
import { type Audience, audiencesOf } from "./callers.ts";
import type { Caller, Observed, Thing, Use, What } from "./observed.ts";
import { routesOf } from "./paths.ts";
import { isPlainName, Names, quoted, slug } from "./text.ts";

export type LearnedRule = {
  readonly name: string;
  readonly connection: string;
  readonly audience: Audience;
  /** Behind `on`. */
  readonly target: string;
  readonly conditions: readonly string[];
  readonly grants: readonly Grant[];
};

/** One thing for one audience. */
export type Grant = {
  readonly connection: string;
  readonly audience: Audience;
  readonly what: What;
  /** Of a table: those that were used. */
  readonly columns: readonly string[];
  readonly isBounded: boolean;
  readonly isWithoutTables: boolean;
  readonly count: number;
  readonly lastMs: number;
  /** Names of those who used it, and of those whom the rule is about. */
  readonly users: number;
  readonly members: number;
};

/** `blocked`: by the key of a thing, callers to whom it was denied. */
export function grantsOf(
  { things, callers }: Observed,
  blocked: ReadonlyMap<string, ReadonlySet<string>>,
): readonly Grant[] {
  const byConnection = Map.groupBy(things.values(), ({ connection }) => connection);
  const everyone = [...callers.values()];
  return [...byConnection].flatMap(([, own]) => {
    const routes = routesOf(
      own.flatMap(({ what }) => (what.kind === "route" && !what.isDocumented ? [what.path] : [])),
    );
    return own.flatMap((thing) => {
      const users = [...thing.uses.keys()].flatMap((key) => callers.get(key) ?? []);
      const audiences = audiencesOf(users, everyone, blocked.get(thing.key) ?? new Set());
      return audiences.map((audience) => grantOf(thing, audience, everyone, routes));
    });
  });
}

function grantOf(
  { what, connection, uses }: Thing,
  audience: Audience,
  everyone: readonly Caller[],
  routes: ReadonlyMap<string, string>,
): Grant {
  const own = [...uses].filter(([key]) => audience.users.has(key));
  const all = own.map(([, use]) => use);
  const names = (callers: readonly Caller[]): number => new Set(callers.map(({ sub }) => sub)).size;
  return {
    connection,
    audience,
    what: what.kind === "route" ? { ...what, path: routes.get(what.path) ?? what.path } : what,
    columns: [...new Set(all.flatMap(({ columns }) => [...columns]))].sort(),
    isBounded: all.every((use: Use) => use.isBounded),
    isWithoutTables: all.every((use: Use) => use.isWithoutTables),
    count: all.reduce((sum, { count }) => sum + count, 0),
    lastMs: all.reduce((last, { lastMs }) => Math.max(last, lastMs), 0),
    users: names(everyone.filter(({ key }) => audience.users.has(key))),
    members: names(everyone.filter((caller) => isMember(caller, audience))),
  };
}

export const isMember = (caller: Caller, { kind, who, isOnBehalf }: Audience): boolean =>
  caller.kind === kind &&
  (!isOnBehalf || caller.isOnBehalf) &&
  (who.by === "group" ? caller.groups.includes(who.group) : who.subs.includes(caller.sub));

/** Rules in a stable order: equal recordings give equal texts. */
export function rulesOf(grants: readonly Grant[]): readonly LearnedRule[] {
  const names = new Names();
  const sorted = [...grants].sort((a, b) => compare(sortKey(a), sortKey(b)));
  const groups = Map.groupBy(sorted, groupKey);
  const isOne = new Set(grants.map(({ connection }) => connection)).size < 2;
  return [...groups.values()].flatMap((group) => ruleOf(group, names, isOne));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const sortKey = (grant: Grant): string => `${groupKey(grant)} ${JSON.stringify(Object.values(grant.what))}`;

/** Grants that one rule can hold. */
function groupKey({ connection, audience, what, columns, isBounded, isWithoutTables }: Grant): string {
  const parts = (): readonly (string | boolean)[] => {
    switch (what.kind) {
      case "table":
        return isWritable(what, columns)
          ? [what.verb, narrowed(what.verb, columns), needsWhere(what.verb) && isBounded]
          : [what.verb, what.schema, what.table, needsWhere(what.verb) && isBounded];
      case "verb":
        return [mayHaveTables(what.verb) && isWithoutTables];
      case "route":
        return [what.method];
      case "mcp":
        return [what.selector, what.method];
      case "mcp-method":
        return [];
      case "llm":
        return [what.selector];
      default:
        return what satisfies never;
    }
  };
  return JSON.stringify([connection, audience.key, what.kind, ...parts()]);
}

const needsWhere = (verb: SqlVerb): boolean => verb === "update" || verb === "delete";

/** An allow of a table without columns is one of all its columns: it must say that none was used. */
const narrowed = (verb: SqlVerb, columns: readonly string[]): boolean =>
  columns.length === 0 && (verb === "select" || verb === "insert" || verb === "update");

const mayHaveTables = (verb: SqlVerb): boolean => !["tcl", "session"].includes(kindOfVerb[verb]);

const isWritable = ({ schema, table }: What & { kind: "table" }, columns: readonly string[]): boolean =>
  [schema, table, ...columns].every(isPlainName);

function ruleOf(group: readonly Grant[], names: Names, isOneConnection: boolean): readonly LearnedRule[] {
  const [first] = group;
  if (first === undefined) return [];
  const { connection, audience } = first;
  const made = (word: string, target: string, conditions: readonly string[]): readonly LearnedRule[] => [
    {
      name: names.take(slug(audienceWord(audience), word, ...(isOneConnection ? [] : [connection]))),
      connection,
      audience,
      target,
      conditions: [...audienceConditions(audience), ...conditions],
      grants: group,
    },
  ];
  const { what } = first;
  const namesOf = (): string =>
    [...new Set(group.map((grant) => ("name" in grant.what ? `"${grant.what.name}"` : "")))].join(", ");
  switch (what.kind) {
    case "table":
      return made(...tableRule(group, first, what));
    case "verb": {
      const verbs = [...new Set(group.map((grant) => (grant.what.kind === "verb" ? grant.what.verb : "")))];
      const isNarrowed = mayHaveTables(what.verb) && first.isWithoutTables;
      return made("no_table", `sql ${verbs.join(", ")}`, isNarrowed ? ["count(sql.tables) == 0"] : []);
    }
    case "route": {
      const routes = [...new Set(group.map((grant) => (grant.what.kind === "route" ? grant.what.path : "")))];
      return made(what.method, `http ${what.method} ${routes.map((route) => `"${route}"`).join(", ")}`, []);
    }
    case "mcp": {
      const isTool = what.selector === "tool";
      const condition = isTool ? [] : [`mcp.method == ${quoted(what.method)}`];
      return made(isTool ? "tools" : what.method, `mcp ${what.selector} ${namesOf()}`, condition);
    }
    case "mcp-method": {
      const methods = group.map((grant) => (grant.what.kind === "mcp-method" ? quoted(grant.what.method) : ""));
      return made("methods", "mcp", [`mcp.method in [${methods.join(", ")}]`]);
    }
    case "llm":
      return what.selector === "tool"
        ? made("tools", `llm tool ${namesOf()}`, [])
        : made("models", `llm model ${namesOf()}`, ["llm.tool_use is absent"]);
    default:
      return what satisfies never;
  }
}

function tableRule(
  group: readonly Grant[],
  first: Grant,
  { verb, schema, table }: What & { kind: "table" },
): readonly [word: string, target: string, conditions: readonly string[]] {
  const bounded = needsWhere(verb) && first.isBounded ? ["sql.has_where", "not sql.where_always_true"] : [];
  const isNarrowed = narrowed(verb, first.columns);
  const used = verb === "select" ? "sql.columns_read" : "sql.columns_written";
  const none = isNarrowed ? [`none c in ${used}: c.table == table`] : [];
  if (group.every(({ what, columns }) => what.kind === "table" && isWritable(what, columns))) {
    const tables = group.map(({ what, columns }) => {
      const name = what.kind === "table" ? `${what.schema}.${what.table}` : "";
      return columns.length === 0 ? name : `${name}(${columns.join(", ")})`;
    });
    const word = isNarrowed ? `${verb}_no_columns` : bounded.length > 0 ? `${verb}_some` : verb;
    return [word, `sql ${verb} of ${tables.join(", ")}`, [...bounded, ...none]];
  }
  // Names that can't be written without quotes stand in conditions.
  const columns = first.columns.map(quoted).join(", ");
  const only = first.columns.length === 0 ? none : [`all c in ${used}: c.table != table or c.name in [${columns}]`];
  const named = [`table.schema == ${quoted(schema)}`, `table.name == ${quoted(table)}`];
  return [`${verb}_${table}`, `sql ${verb} of *.*`, [...named, ...bounded, ...only]];
}

export const audienceWord = ({ who, kind }: Audience): string =>
  who.by === "group"
    ? `${who.group} ${kind}s`
    : who.subs.length === 1
      ? (who.subs[0] ?? kind)
      : `${who.subs.length} ${kind}s`;

const kinds = ["human", "agent", "service"];

function audienceConditions({ kind, who, isOnBehalf }: Audience): readonly string[] {
  const [sub = "", another] = who.by === "name" ? who.subs : [];
  return [
    ...(kinds.includes(kind) ? [`identity.kind == ${kind}`] : []),
    who.by === "group"
      ? `identity.groups contains ${quoted(who.group)}`
      : another === undefined
        ? `identity.sub == ${quoted(sub)}`
        : `identity.sub in [${who.subs.map(quoted).join(", ")}]`,
    ...(isOnBehalf ? ["identity.on_behalf_of is present"] : []),
  ];
}
