// rules -> statements and requests for their tests, made of names alone: nothing of what was sent
import type { Catalog } from "../../engine/model/catalog.ts";
import { relationKey } from "../../engine/model/catalog.ts";
import { examplePath } from "./paths.ts";
import type { Grant, LearnedRule } from "./rules.ts";
import { isPlainName } from "./text.ts";

/** One row of a test. SQL is a text; the others are `given` as they stand. */
export type Case =
  | { readonly protocol: "sql"; readonly text: string }
  | { readonly protocol: "http"; readonly method: string; readonly path: string }
  | { readonly protocol: "mcp" | "llm"; readonly selector: string; readonly name: string };

/** In the form of what was seen. `readable`: columns of the same table that the audience may read, for a WHERE. */
export function casesOf(rule: LearnedRule, readable: (grant: Grant) => readonly string[]): readonly Case[] {
  return rule.grants.slice(0, rowsMax).flatMap((grant) => caseOf(grant, readable(grant)) ?? []);
}

function caseOf({ what, columns }: Grant, readable: readonly string[]): Case | undefined {
  switch (what.kind) {
    case "table": {
      const text = statementFor(what.verb, tableOf(what), columns.map(identifier), readable.map(identifier));
      return text === undefined ? undefined : { protocol: "sql", text };
    }
    case "verb": {
      const text = plainStatements[what.verb];
      return text === undefined ? undefined : { protocol: "sql", text };
    }
    case "route":
      return { protocol: "http", method: what.method, path: examplePath(what.path) };
    case "mcp":
      return what.method === "tools/call" || what.method === "resources/read" || what.method === "prompts/get"
        ? { protocol: "mcp", selector: what.selector, name: what.name.replace(/\*$/, "x") }
        : undefined;
    case "mcp-method":
      return undefined;
    case "llm":
      return { protocol: "llm", selector: what.selector, name: what.name };
    default:
      return what satisfies never;
  }
}

const tableOf = ({ schema, table }: { readonly schema: string; readonly table: string }): string =>
  `${identifier(schema)}.${identifier(table)}`;

/** As PostgreSQL reads it. */
const identifier = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) && isPlainName(name) ? quoteKeyword(name) : `"${name.replaceAll('"', '""')}"`;

/** Quotes harm no name, and words such as `order` or `user` need them. */
const quoteKeyword = (name: string): string =>
  /^(?:all|and|any|array|as|asc|both|case|cast|check|collate|column|constraint|create|default|desc|distinct|do|else|end|except|false|fetch|for|foreign|from|grant|group|having|in|into|is|join|leading|left|like|limit|not|null|offset|on|only|or|order|placing|primary|references|returning|right|select|some|table|then|to|trailing|true|union|unique|user|using|when|where|window|with)$/.test(
    name,
  )
    ? `"${name}"`
    : name;

function statementFor(
  verb: string,
  table: string,
  columns: readonly string[],
  readable: readonly string[],
): string | undefined {
  const [key] = readable;
  const where = key === undefined ? "" : ` where ${key} = $1`;
  switch (verb) {
    case "select":
      return columns.length === 0 ? `select count(*) from ${table}` : `select ${columns.join(", ")} from ${table}`;
    case "insert":
      return columns.length === 0
        ? `insert into ${table} default values`
        : `insert into ${table} (${columns.join(", ")}) values (${columns.map((_, i) => `$${i + 1}`).join(", ")})`;
    case "update":
      return columns.length === 0
        ? undefined
        : `update ${table} set ${columns.map((column) => `${column} = null`).join(", ")}${where}`;
    case "delete":
      return `delete from ${table}${where}`;
    case "truncate":
      return `truncate ${table}`;
    default:
      return undefined;
  }
}

const plainStatements: Readonly<Record<string, string>> = {
  select: "select 1",
  begin: "begin",
  commit: "commit",
  rollback: "rollback",
  savepoint: "savepoint a",
  deallocate: "deallocate all",
  discard: "discard all",
  unlisten: "unlisten *",
};

/** What stands next to the grants of one audience at one connection, and wasn't seen. */
export function neighboursOf(grants: readonly Grant[], catalog: Catalog | undefined): readonly Case[] {
  const [first] = grants;
  switch (first?.what.kind) {
    case "table":
    case "verb":
      return sqlNeighbours(grants, catalog);
    case "route": {
      const seen = new Set(grants.map(({ what }) => (what.kind === "route" ? what.method : "")));
      const path = first.what.kind === "route" ? examplePath(first.what.path) : "/";
      const method = ["DELETE", "PUT", "PATCH", "POST", "GET"].find((name) => !seen.has(name));
      const other = { protocol: "http", method: [...seen][0] ?? "GET", path: "/not/seen/in/the/recording" } as const;
      return method === undefined ? [other] : [{ protocol: "http", method, path }, other];
    }
    case "mcp": {
      const { name, selector } = first.what;
      const server = /^[A-Za-z0-9_-]+\./.exec(name)?.[0] ?? "";
      const other = selector === "resource" ? "notseen:x" : `${server}not_seen`;
      return [{ protocol: "mcp", selector, name: other }];
    }
    case "llm":
      return [{ protocol: "llm", selector: first.what.selector, name: "not-seen" }];
    default:
      return [];
  }
}

function sqlNeighbours(grants: readonly Grant[], catalog: Catalog | undefined): readonly Case[] {
  const tables = new Map<string, { read: Set<string>; verbs: Set<string>; name: string }>();
  for (const { what, columns } of grants) {
    if (what.kind !== "table") continue;
    const key = relationKey(what.schema, what.table);
    const known = tables.get(key) ?? { read: new Set(), verbs: new Set(), name: tableOf(what) };
    tables.set(key, known);
    known.verbs.add(what.verb);
    if (what.verb === "select") for (const column of columns) known.read.add(column);
  }
  const found: string[] = [];
  const relations = [...(catalog?.relations.values() ?? [])].filter(({ kind }) => kind === "table" || kind === "view");
  const other = relations.find(({ schema, name }) => !tables.has(relationKey(schema, name)));
  if (other !== undefined) found.push(`select * from ${tableOf({ schema: other.schema, table: other.name })}`);
  for (const [key, { read, verbs, name }] of tables) {
    const relation = catalog?.relations.get(key);
    const hidden = relation?.columns.find((column) => !read.has(column.name));
    if (verbs.has("select") && hidden !== undefined) found.push(`select ${identifier(hidden.name)} from ${name}`);
    if (!verbs.has("delete")) found.push(`delete from ${name}`);
    else if (!verbs.has("truncate")) found.push(`truncate ${name}`);
  }
  return found.slice(0, rowsMax).map((text) => ({ protocol: "sql", text }));
}

/** Rows of one test that a reader still looks at. */
const rowsMax = 12;
