// Protected-resource metadata (RFC 9728) and the 401 challenge that leads to it.
import type { HttpAnswer, OpenRequest } from "../http/exchange.ts";

export const metadataPath = "/.well-known/oauth-protected-resource";

const resourceOf = ({ origin, prefix }: OpenRequest): string => (prefix === "/" ? origin : `${origin}${prefix}`);

/** A client without a token learns here who gives it one. */
export function resourceMetadata(
  request: OpenRequest,
  name: string,
  issuers: readonly string[],
): HttpAnswer | undefined {
  if (request.method !== "GET" || request.path !== metadataPath) return undefined;
  return {
    status: 200,
    headers: [
      ["content-type", "application/json"],
      ["cache-control", "no-store"],
      ["access-control-allow-origin", "*"],
    ],
    body: JSON.stringify({
      resource: resourceOf(request),
      authorization_servers: issuers,
      bearer_methods_supported: ["header"],
      resource_name: name,
    }),
  };
}

export const challengeOf = (request: OpenRequest): string =>
  `resource_metadata="${resourceOf(request).replaceAll('"', "")}${metadataPath}"`;
