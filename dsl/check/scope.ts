// `on … of …` and `at …` -> Scope: which accesses a rule is asked about.
import { type Catalog, relationKey } from "../../engine/model/catalog.ts";
import { kindOfVerb, type SqlVerb, sqlKinds, sqlVerbs } from "../../engine/model/statement.ts";
import type { Name, RuleDecl, TablePat, Target, Text } from "../ast.ts";
import type { ColumnPattern, Scope, Selector, TablePattern } from "../checked.ts";
import { anyMatches, type Glob, parseGlob } from "../glob.ts";
import { parseRoute, type Route } from "../route.ts";
import { suggest } from "../suggest.ts";
import { pathText } from "../words.ts";
import { type Env, type Place, report, sourceOf } from "./context.ts";

export const placeOf = (target: Target | undefined): Place => (target === undefined ? "any" : target.kind);

export const checkAt = (at: readonly Text[]): readonly Glob[] | undefined =>
  at.length === 0 ? undefined : at.map((text) => parseGlob(text.raw));

/** Catalogs of the connections that the rule concerns, by connection. */
export const catalogsAt = (env: Env, at: readonly Glob[] | undefined): ReadonlyMap<string, Catalog> =>
  new Map([...env.context.catalogs].filter(([connection]) => anyMatches(at, connection)));

export type ScopeContext = {
  readonly env: Env;
  readonly at: readonly Glob[] | undefined;
  readonly allowMissing: boolean;
};

export function checkTarget(c: ScopeContext, target: Target | undefined): Scope {
  if (!target || target.kind === "any") return { protocol: "any" };
  switch (target.kind) {
    case "sql":
      return {
        protocol: "sql",
        verbs: checkActions(c.env, target.actions),
        tables:
          target.tables.length === 0 ? undefined : target.tables.flatMap((t) => checkTablePattern(c, t, "access")),
        needsTable: false,
      };
    case "http":
      return {
        protocol: "http",
        methods: target.methods.length === 0 ? undefined : new Set(target.methods.map((m) => m.text.toUpperCase())),
        routes: target.routes.length === 0 ? undefined : target.routes.flatMap((r) => checkRoute(c.env, r)),
      };
    case "mcp":
    case "llm":
      return {
        protocol: target.kind,
        selectors: target.selectors.flatMap((s) => checkSelector(c.env, target.kind, s.name, s.patterns)),
      };
    default:
      return target satisfies never;
  }
}

function checkActions(env: Env, actions: readonly Name[]): ReadonlySet<SqlVerb> | undefined {
  if (actions.length === 0) return undefined;
  const verbs = new Set<SqlVerb>();
  for (const action of actions) {
    const verb = sqlVerbs.find((v) => v === action.text);
    const kind = sqlKinds.find((k) => k === action.text);
    if (verb) verbs.add(verb);
    else if (kind) for (const v of sqlVerbs) kindOfVerb[v] === kind && verbs.add(v);
    else {
      const near = suggest(action.text, [...sqlKinds, ...sqlVerbs]);
      report(env, "E0106", action.span, `\`${action.text}\` is not a SQL action`, {
        label: near === undefined ? "unknown action" : `did you mean \`${near}\`?`,
        notes: ["this rule would never match, so it is an error and not a warning"],
        help: ["actions are read, write, ddl, dcl, tcl, session, procedural, or a single verb such as select"],
      });
    }
  }
  return verbs;
}

function checkRoute(env: Env, text: Text): readonly Route[] {
  const route = parseRoute(text.raw);
  if (route.ok) return [route.value];
  report(env, "E0115", text.span, `\`${text.raw}\` is not a route`, { label: route.error });
  return [];
}

const selectorNames = { mcp: ["tool", "resource", "prompt"], llm: ["model", "tool"] } as const;

function checkSelector(env: Env, protocol: "mcp" | "llm", name: Name, patterns: readonly Text[]): readonly Selector[] {
  const names: readonly string[] = selectorNames[protocol];
  if (names.includes(name.text)) return [{ name: name.text, patterns: patterns.map((p) => parseGlob(p.raw)) }];
  const near = suggest(name.text, names);
  report(env, "E0116", name.span, `\`${name.text}\` is not part of an ${protocol} request`, {
    label: near === undefined ? `write ${names.join(", ")}` : `did you mean \`${near}\`?`,
  });
  return [];
}

/** `what` is what the rule does with the table, for the note. */
export function checkTablePattern(
  c: ScopeContext,
  pattern: TablePat,
  what: "access" | "filter",
): readonly TablePattern[] {
  const text = sourceOf(c.env, pattern.span);
  if (pattern.kind === "tagged") return [{ kind: "tagged", tag: pattern.tag.raw, text }];
  const [schema, table, ...rest] = pattern.segments;
  if (!namesOf(c, pattern)) return [];
  if (!schema || !table || rest.length > 0) {
    report(c.env, "E0405", pattern.span, `\`${text}\` does not name a table`, { label: "write `schema.table`" });
    return [];
  }
  const found = checkRelation(c, pattern, schema.text, table.text, what);
  const columns = pattern.columns && new Set(pattern.columns.map((column) => column.text));
  for (const column of pattern.columns ?? []) {
    if (found.length > 0 && !found.some((r) => r.columns.some((each) => each.name === column.text))) {
      const near = suggest(
        column.text,
        found.flatMap((r) => r.columns.map((each) => each.name)),
      );
      report(c.env, "E0402", column.span, `table \`${schema.text}.${table.text}\` has no column \`${column.text}\``, {
        label: near === undefined ? "unknown column" : `did you mean \`${near}\`?`,
      });
    }
  }
  return [{ kind: "named", schema: schema.text, table: table.text, columns, text }];
}

/** In quotes a star would be a name; nothing behind this could tell it from the wildcard. */
function namesOf(c: ScopeContext, pattern: TablePat & { readonly kind: "path" }): boolean {
  const star = [...pattern.segments, ...(pattern.columns ?? [])].find(
    (s) => s.isQuoted && (s.text === "*" || s.text === ""),
  );
  if (star)
    report(c.env, "E0405", star.span, `\`${sourceOf(c.env, star.span)}\` is not a name that a rule can be about`, {
      label: star.text === "*" ? "the wildcard stands without quotes" : "a name has at least one character",
    });
  return star === undefined;
}

const isWild = (segment: string): boolean => segment === "*";

/** The relations of the concerned catalogs that a pattern names; reports a table that no catalog has. */
function checkRelation(
  c: ScopeContext,
  pattern: TablePat,
  schema: string,
  table: string,
  what: "access" | "filter" | "mask",
) {
  const catalogs = catalogsAt(c.env, c.at);
  const found = [...catalogs.values()].flatMap((catalog) =>
    [...catalog.relations.values()].filter(
      (r) => (isWild(schema) || r.schema === schema) && (isWild(table) || r.name === table),
    ),
  );
  const isBuiltin = schema === "pg_catalog" || schema === "information_schema";
  if (found.length > 0 || catalogs.size === 0 || c.allowMissing || isBuiltin) return found;
  const name = `${schema}.${table}`;
  const connections = [...catalogs.keys()].sort().map((n) => JSON.stringify(n));
  if (isWild(schema) || isWild(table)) {
    report(
      c.env,
      "L0106",
      pattern.span,
      `\`${name}\` matches no table in the catalog of connection ${connections.join(", ")}`,
      {
        severity: "warning",
        label: "matches nothing",
        notes: ["a rule about tables that do not exist can never match"],
        help: ["run `gw catalog pull` if the tables are new, else mend or delete the pattern"],
      },
    );
    return found;
  }
  const candidates = new Map([...catalogs.values()].flatMap((catalog) => [...catalog.relations]));
  const near = suggest(relationKey(schema, table), [...candidates.keys()]);
  const nearest = near === undefined ? undefined : candidates.get(near);
  report(c.env, "E0401", pattern.span, `no table \`${name}\` in the catalog of connection ${connections.join(", ")}`, {
    label: near === undefined ? "unknown table" : `did you mean \`${near}\`?`,
    notes: [notes[what]],
    help: ["run `gw catalog pull` if the table is new, or mark the rule @allow_missing"],
    fixes:
      nearest === undefined
        ? []
        : [{ title: `change to \`${near}\``, span: pattern.span, replacement: pathText(nearest.schema, nearest.name) }],
  });
  return found;
}

const notes = {
  access: "a rule about a table that does not exist can never match",
  filter: "a filter of a table that does not exist would protect nothing",
  mask: "a mask for a table that does not exist would protect nothing",
} as const;

export function checkColumnPattern(c: ScopeContext, pattern: TablePat): readonly ColumnPattern[] {
  const text = sourceOf(c.env, pattern.span);
  if (pattern.kind === "tagged") return [{ kind: "tagged", tag: pattern.tag.raw, text }];
  const [schema, table, column, ...rest] = pattern.segments;
  if (!namesOf(c, pattern)) return [];
  if (!schema || !table || !column || rest.length > 0 || pattern.columns) {
    report(c.env, "E0405", pattern.span, `\`${text}\` does not name a column`, {
      label: "write `schema.table.column`",
    });
    return [];
  }
  const found = checkRelation(c, pattern, schema.text, table.text, "mask");
  const names = found.flatMap((r) =>
    r.columns.map((each) => ({ path: `${r.schema}.${r.name}.${each.name}`, column: each.name })),
  );
  if (found.length > 0 && !isWild(column.text) && !names.some((n) => n.column === column.text) && !c.allowMissing) {
    const isConcrete = !isWild(schema.text) && !isWild(table.text);
    if (isConcrete) {
      const near = suggest(
        column.text,
        names.map((n) => n.column),
      );
      const path = pathText(schema.text, table.text, near ?? "");
      report(c.env, "E0402", pattern.span, `table \`${schema.text}.${table.text}\` has no column \`${column.text}\``, {
        label: near === undefined ? "unknown column" : `did you mean \`${path}\`?`,
        notes: ["a mask for a column that does not exist would protect nothing"],
        fixes: near === undefined ? [] : [{ title: `change to \`${path}\``, span: pattern.span, replacement: path }],
      });
    } else {
      report(c.env, "L0106", pattern.span, `\`${text}\` matches no column in the catalog`, {
        severity: "warning",
        label: "matches nothing",
        notes: ["a mask for columns that do not exist protects nothing"],
        help: ["run `gw catalog pull` if the columns are new, else mend or delete the pattern"],
      });
    }
  }
  return [{ kind: "named", schema: schema.text, table: table.text, column: column.text, text }];
}

/** Names that the routes of a rule all bring into scope. */
export function routeParams(scope: Scope): ReadonlyMap<string, "string" | "int"> {
  if (scope.protocol !== "http" || !scope.routes) return new Map();
  const [first, ...rest] = scope.routes;
  const common = [...(first?.params ?? [])].filter(([name, type]) => rest.every((r) => r.params.get(name) === type));
  return new Map(common);
}

export const hasAnnotation = (decl: RuleDecl, name: string): boolean =>
  decl.annotations.some((a) => a.name.text === name);
