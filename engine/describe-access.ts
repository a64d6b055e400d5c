// accesses and requests in words
import { type Relation, relationKey } from "./model/catalog.ts";
import type { PolicyRequest } from "./model/request.ts";
import type { SqlAccess } from "./model/statement.ts";

/** `select public.payroll`; `begin` for an access without an object. */
export const describeAccess = (access: SqlAccess): string =>
  access.relation === undefined ? access.verb : `${access.verb} ${keyOf(access.relation)}`;

/** The same for every protocol. */
export function describeRequest(request: PolicyRequest, access: SqlAccess | undefined): string {
  switch (request.protocol) {
    case "sql":
      return access === undefined ? request.sql.verb : describeAccess(access);
    case "http":
      return `${request.http.method} ${request.http.path}`;
    case "mcp": {
      const { tool, resource, prompt, method } = request.mcp;
      const name = [tool, resource, prompt].find((part) => typeof part === "string");
      return name === undefined ? method : `${method} ${String(name)}`;
    }
    case "llm":
      return typeof request.llm.toolUse === "string" ? `tool ${request.llm.toolUse}` : `model ${request.llm.model}`;
    default:
      return request satisfies never;
  }
}

const keys = new WeakMap<Relation, string>();
/** `schema.name`, made once per relation. */
export function keyOf(relation: Relation): string {
  const known = keys.get(relation);
  if (known !== undefined) return known;
  const key = relationKey(relation.schema, relation.name);
  keys.set(relation, key);
  return key;
}
