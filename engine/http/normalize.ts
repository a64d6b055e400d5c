// request as it came -> the one form that is decided, recorded and forwarded; or why there is none
import { err, ok, type Result } from "../lib/result.ts";
import { httpFault } from "./faults.ts";
import { type HeaderOptions, type RequestHeaders, readRequestHeaders } from "./headers.ts";
import type { CanonicalRequest, Field, HttpFault } from "./request.ts";
import { readTarget, renderPath, renderTarget, type Target } from "./target.ts";

/** As the HTTP parser gives it: nothing folded, joined or decoded. */
export type RawRequest = {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly Field[];
  /** HTTP/2's `:authority`. */
  readonly authority: string | undefined;
};

/** What is known before it is clear which connection is meant. */
export type ReadRequest = { readonly method: string; readonly target: Target; readonly headers: RequestHeaders };

export type RouteOptions = {
  /** Segments of the connection's prefix: taken off the path. */
  readonly prefix: readonly string[];
  /** The upstream doesn't tell upper from lower case: paths are decided and forwarded in lower case. */
  readonly isCaseInsensitive: boolean;
  /** Headers that the gateway sets itself for this upstream. */
  readonly ownHeaders: ReadonlySet<string>;
  /** Cookies go through in both directions. */
  readonly passCookies: boolean;
};

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export function readRequest(raw: RawRequest, options: HeaderOptions): Result<ReadRequest, HttpFault> {
  if (!methods.has(raw.method)) return err(httpFault("method-unknown"));
  const headers = readRequestHeaders(raw.headers, options);
  if (!headers.ok) return headers;
  const { contentLength, hosts } = headers.value;
  if (contentLength.kind !== "none" && (raw.method === "GET" || raw.method === "HEAD")) {
    return err(httpFault("body-unexpected"));
  }
  if (hosts.length > 1) return err(httpFault("host-malformed"));
  const target = readTarget(raw.target, raw.authority === undefined ? hosts : [raw.authority, ...hosts]);
  if (!target.ok) return target;
  return ok({ method: raw.method, target: target.value, headers: headers.value });
}

/** Below the prefix of a connection. INVARIANT: `target` is a function of `path`, `query` and the trailing `/` alone. */
export function canonicalRequest(
  { method, target, headers }: ReadRequest,
  { prefix, isCaseInsensitive, ownHeaders, passCookies }: RouteOptions,
): CanonicalRequest {
  const below = target.segments.slice(prefix.length);
  const segments = isCaseInsensitive ? below.map((segment) => segment.toLowerCase()) : below;
  return {
    method,
    host: target.host,
    path: renderPath(segments),
    query: target.query,
    target: renderTarget(segments, target.endsInSlash, target.query),
    headers: headers.endToEnd.filter(([name]) => !ownHeaders.has(name) && (passCookies || name !== "cookie")),
    contentLength: headers.contentLength,
  };
}

/** Of routes that could serve it: the longest prefix, and of equal ones the one that names the host. */
export function pickRoute<R extends { readonly hosts: readonly string[]; readonly prefix: readonly string[] }>(
  routes: readonly R[],
  { host, segments }: Pick<Target, "host" | "segments">,
): R | undefined {
  let best: R | undefined;
  for (const route of routes) {
    if (route.hosts.length > 0 && !route.hosts.includes(host)) continue;
    if (!route.prefix.every((segment, i) => segments[i] === segment)) continue;
    const isBetter =
      best === undefined ||
      route.prefix.length > best.prefix.length ||
      (route.prefix.length === best.prefix.length && route.hosts.length > 0 && best.hosts.length === 0);
    if (isBetter) best = route;
  }
  return best;
}
