// Protected-resource metadata (RFC 9728) and the challenges that lead to it: 401 without a token, 403 without a scope.
import type { HttpAnswer, OpenRequest } from "../http/exchange.ts";
import { type McpScopes, supportedScopes } from "./scopes.ts";

export const metadataPath = "/.well-known/oauth-protected-resource";

export type ProtectedResource = {
  readonly name: string;
  /** As clients know it, and as their tokens name it (RFC 8707); undefined: as the request found it. */
  readonly url: string | undefined;
  readonly issuers: readonly string[];
  readonly scopes: McpScopes;
};

const resourceOf = ({ url }: ProtectedResource, { origin, prefix }: OpenRequest): string =>
  url ?? (prefix === "/" ? origin : `${origin}${prefix}`);

/** A client without a token learns here who gives it one. */
export function resourceMetadata(resource: ProtectedResource, request: OpenRequest): HttpAnswer | undefined {
  if (request.method !== "GET" || request.path !== metadataPath) return undefined;
  const scopes = supportedScopes(resource.scopes);
  return {
    status: 200,
    headers: [
      ["content-type", "application/json"],
      ["cache-control", "no-store"],
      ["access-control-allow-origin", "*"],
    ],
    body: JSON.stringify({
      resource: resourceOf(resource, request),
      authorization_servers: resource.issuers,
      bearer_methods_supported: ["header"],
      resource_name: resource.name,
      ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
    }),
  };
}

/** Between host and path: RFC 9728, section 3.1. */
function metadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${metadataPath}${pathname === "/" ? "" : pathname}`.replaceAll('"', "");
}

export const challengeOf = (resource: ProtectedResource, request: OpenRequest): string => {
  const found = resourceOf(resource, request);
  const { required } = resource.scopes;
  const scope = required.length === 0 ? "" : `, scope="${required.join(" ")}"`;
  return URL.canParse(found) ? `resource_metadata="${metadataUrl(found)}"${scope}` : "";
};

/** RFC 6750, section 3.1; MCP 2025-11-25, "Scope Challenge Handling": everything that the request needs. */
export const scopeChallenge = (resource: string, scopes: readonly string[]): string =>
  `Bearer error="insufficient_scope", scope="${scopes.join(" ")}", resource_metadata="${metadataUrl(resource)}"`;
