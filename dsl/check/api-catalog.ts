// `catalog "bank-api" from "./openapi.json"`: routes or tools of a connection, and what their bodies and arguments are.
import type { Json } from "../../engine/lib/json.ts";
import { documentTags } from "../../engine/lib/schema-tags.ts";
import type { Scope, Selector } from "../checked.ts";
import { anyMatches, type Glob } from "../glob.ts";
import { parseRoute, type Route } from "../route.ts";
import { sameType, type Type } from "../types.ts";
import { isObject, pointed, typeOfSchema } from "./json-schema.ts";

/** `tags`: those that schemas of the document have. */
export type ApiCatalog = { readonly tags: ReadonlySet<string> } & (
  | { readonly kind: "http"; readonly operations: readonly Operation[] }
  | { readonly kind: "mcp"; readonly tools: ReadonlyMap<string, Type> }
);
type Operation = {
  readonly id: string | undefined;
  readonly method: string;
  readonly route: Route;
  readonly body: Type | undefined;
};

const methods = ["get", "head", "post", "put", "patch", "delete", "options"];

/** undefined for a text that is neither an OpenAPI document (JSON, version 3) nor an MCP list of tools. */
export function decodeApiCatalog(text: string): ApiCatalog | undefined {
  let document: Json;
  try {
    document = JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
  if (!isObject(document)) return undefined;
  if (typeof document.openapi === "string" && document.openapi.startsWith("3."))
    return openApi(document, document.paths);
  return Array.isArray(document.tools) ? mcpTools(document, document.tools) : undefined;
}

function openApi(document: Json, paths: Json | undefined): ApiCatalog {
  const operations = Object.entries(isObject(paths) ? paths : {}).flatMap(([path, item]): readonly Operation[] => {
    const route = parseRoute(path);
    if (!route.ok || !isObject(item)) return [];
    return methods.flatMap((method): readonly Operation[] => {
      const operation = item[method];
      return isObject(operation)
        ? [
            {
              id: idOf(operation),
              method: method.toUpperCase(),
              route: route.value,
              body: bodyOf(document, operation.requestBody),
            },
          ]
        : [];
    });
  });
  return { kind: "http", operations, tags: documentTags(document).tags };
}

const idOf = ({ operationId }: { readonly [key: string]: Json }): string | undefined =>
  typeof operationId === "string" ? operationId : undefined;

function bodyOf(document: Json, given: Json | undefined): Type | undefined {
  const body = isObject(given) && typeof given.$ref === "string" ? pointed(document, given.$ref) : given;
  const content = isObject(body) ? body.content : undefined;
  const media = isObject(content) ? content["application/json"] : undefined;
  return isObject(media) ? typeOfSchema(media.schema, document) : undefined;
}

function mcpTools(document: Json, tools: readonly Json[]): ApiCatalog {
  const entries = tools.flatMap((tool): readonly [string, Type][] =>
    isObject(tool) && typeof tool.name === "string" ? [[tool.name, typeOfSchema(tool.inputSchema, document)]] : [],
  );
  // Masks are of results: a tag of arguments is none that a mask could find.
  const results = tools.map((tool) => (isObject(tool) ? (tool.outputSchema ?? null) : null));
  return { kind: "mcp", tools: new Map(entries), tags: documentTags(results).tags };
}

export type ApiCatalogs = ReadonlyMap<string, ApiCatalog>;

/** Tags of all documents of the connections; undefined where there is none. */
export function knownTags(apis: ApiCatalogs, at: readonly Glob[] | undefined): ReadonlySet<string> | undefined {
  const own = [...apis].filter(([connection]) => anyMatches(at, connection));
  return own.length === 0 ? undefined : new Set(own.flatMap(([, { tags }]) => [...tags]));
}

/** The type of the body or the arguments of every request that the scope holds; undefined where they differ or nobody knows. */
export function contentType(apis: ApiCatalogs, scope: Scope, at: readonly Glob[] | undefined): Type | undefined {
  const types = [...apis].flatMap(([connection, api]): readonly (Type | undefined)[] => {
    if (!anyMatches(at, connection)) return [];
    if (api.kind === "http" && scope.protocol === "http")
      return api.operations.filter((o) => holdsOperation(scope, o)).map((o) => o.body);
    if (api.kind === "mcp" && scope.protocol === "mcp")
      return [...api.tools].filter(([name]) => holdsTool(scope.selectors, name)).map(([, type]) => type);
    return [];
  });
  const [first] = types;
  if (first?.kind !== "record") return undefined;
  return types.every((type) => type !== undefined && sameType(type, first)) ? first : undefined;
}

const holdsOperation = (scope: Scope & { protocol: "http" }, { method, route }: Operation): boolean =>
  (scope.methods?.has(method) ?? true) && (scope.routes?.some((own) => overlap(own, route)) ?? true);

/** Some path is of both. */
export function overlap(a: Route, b: Route): boolean {
  for (let i = 0; ; i += 1) {
    const [x, y] = [a.segments[i], b.segments[i]];
    if (x?.kind === "rest" || y?.kind === "rest") return true;
    if (!x || !y) return x === y;
    if (x.kind === "text" && y.kind === "text" && x.text !== y.text) return false;
  }
}

/** Rules call a tool `server.tool`; a server's own list has no server. */
const holdsTool = (selectors: readonly Selector[], name: string): boolean =>
  selectors.every((s) => s.name === "tool" && s.patterns.some((p) => p.matches(name) || p.text.endsWith(`.${name}`)));

/** Routes and tools of a rule that no catalog of its connections has: [] where a connection has none. */
export function unknownPlaces(apis: ApiCatalogs, scope: Scope, at: readonly Glob[] | undefined): readonly string[] {
  const own = at?.map((glob) => apis.get(glob.text));
  const known = own?.flatMap((api) => api ?? []) ?? [];
  if (!own || known.length < own.length) return [];
  if (scope.protocol === "http") {
    const operations = known.flatMap((api) => (api.kind === "http" ? api.operations : []));
    return (scope.routes ?? [])
      .filter((route) => !operations.some((o) => (scope.methods?.has(o.method) ?? true) && overlap(route, o.route)))
      .map((route) => route.text);
  }
  if (scope.protocol !== "mcp") return [];
  const tools = known.flatMap((api) => (api.kind === "mcp" ? [...api.tools.keys()] : []));
  return scope.selectors
    .filter((s) => s.name === "tool")
    .flatMap((s) => s.patterns)
    .filter((p) => !tools.some((name) => p.matches(name) || p.text.endsWith(`.${name}`) || isServerOf(p.text)))
    .map((p) => p.text);
}

/** `github.*`: whatever the server has. */
const isServerOf = (pattern: string): boolean => pattern.endsWith("*");
