// request target + Host -> host, segments, query: decoded once, or refused
import { err, ok, type Result } from "../lib/result.ts";
import { httpFault } from "./faults.ts";
import { isMethodField } from "./field-names.ts";
import { encodeQueryPart, encodeSegment, percentDecode } from "./percent.ts";
import type { HttpFault, QueryParameter } from "./request.ts";

export type Target = {
  readonly host: string;
  /** Decoded; no empty or dot segments. */
  readonly segments: readonly string[];
  /** The client's path ended in `/`: forwarded so, not decided on. */
  readonly endsInSlash: boolean;
  readonly query: readonly QueryParameter[];
};

const queryParametersMax = 1_000;

/** `hosts`: all values of `Host` and `:authority`. */
export function readTarget(target: string, hosts: readonly string[]): Result<Target, HttpFault> {
  const host = readHost(hosts);
  if (host === undefined) return err(httpFault("host-malformed"));
  // Raw bytes that a URL doesn't have: servers cut, fold or decode them, each in its way.
  if (!/^[!$-;=?-Z[\]_a-z~]*$/.test(target) || target === "") return err(httpFault("target-malformed"));
  const origin = originForm(target, host);
  if (origin === undefined) return err(httpFault("target-form"));
  const mark = origin.indexOf("?");
  const path = mark < 0 ? origin : origin.slice(0, mark);
  const segments = readPath(path);
  if (!segments.ok) return segments;
  const query = readQuery(mark < 0 ? "" : origin.slice(mark + 1));
  if (!query.ok) return query;
  return ok({ host: host.name, ...segments.value, query: query.value });
}

type Host = { readonly name: string; readonly port: string };

function readHost(hosts: readonly string[]): Host | undefined {
  const [first, ...others] = hosts.map(parseHost);
  if (first === undefined || others.some((other) => other?.name !== first.name || other.port !== first.port)) {
    return undefined;
  }
  return first;
}

function parseHost(text: string): Host | undefined {
  const match =
    /^((?:[a-z0-9](?:[a-z0-9_-]{0,62})\.)*[a-z0-9](?:[a-z0-9_-]{0,62})\.?|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$/i.exec(
      text,
    );
  if (!match || text.length > 260) return undefined;
  return { name: (match[1] ?? "").toLowerCase().replace(/\.$/, ""), port: match[2] ?? "" };
}

/** Absolute form is for proxies, but servers must read it: its host must be the one that `Host` names. */
function originForm(target: string, host: Host): string | undefined {
  if (target.startsWith("/")) return target;
  const match = /^https?:\/\/([^/?]+)(\/[^?]*)?(\?.*)?$/i.exec(target);
  const named = match && parseHost(match[1] ?? "");
  if (!match || !named || named.name !== host.name || named.port !== host.port) return undefined;
  return `${match[2] ?? "/"}${match[3] ?? ""}`;
}

function readPath(path: string): Result<Pick<Target, "segments" | "endsInSlash">, HttpFault> {
  const segments: string[] = [];
  const pieces = path.split("/").slice(1);
  let endsInSlash = false;
  for (const piece of pieces) {
    const segment = readSegment(piece);
    if (!segment.ok) return segment;
    const { value } = segment;
    endsInSlash = value === "" || value === "." || value === "..";
    if (value === "" || value === ".") continue;
    if (value !== "..") segments.push(value);
    else if (segments.pop() === undefined) return err(httpFault("path-escapes-root"));
  }
  return ok({ segments, endsInSlash: endsInSlash && segments.length > 0 });
}

/**
 * Refused is what some server reads otherwise than others: an encoded `/` or `\`, `;` parameters, a second level of
 * encoding, control characters, and names that Windows trims.
 */
function readSegment(piece: string): Result<string, HttpFault> {
  const decoded = percentDecode(piece);
  if (decoded === undefined)
    return err(httpFault(/%(?![0-9A-Fa-f]{2})/.test(piece) ? "target-malformed" : "path-not-utf8"));
  if (decoded === "" || decoded === "." || decoded === "..") return ok(decoded);
  if (decoded.normalize("NFC") !== decoded) return err(httpFault("path-not-normalised"));
  // A letter that only looks like a dot or a slash becomes one on servers that fold widths.
  const folded = decoded.normalize("NFKC");
  if (/[/\\;\p{C}\p{Zl}\p{Zp}]|%[0-9A-Fa-f]{2}|%u[0-9A-Fa-f]{4}|[.\s]$|^\s/u.test(folded)) {
    return err(httpFault("path-ambiguous"));
  }
  return ok(decoded);
}

function readQuery(text: string): Result<readonly QueryParameter[], HttpFault> {
  const parameters: QueryParameter[] = [];
  for (const piece of text.split("&")) {
    if (piece === "") continue;
    const equals = piece.indexOf("=");
    const name = readQueryPart(equals < 0 ? piece : piece.slice(0, equals));
    const value = readQueryPart(equals < 0 ? "" : piece.slice(equals + 1));
    if (name === undefined || value === undefined) return err(httpFault("path-not-utf8"));
    if (`${name}${value}`.includes("\0")) return err(httpFault("target-malformed"));
    if (isMethodField(name)) return err(httpFault("method-override"));
    parameters.push({ name, value, hasEquals: equals >= 0 });
    if (parameters.length > queryParametersMax) return err(httpFault("query-too-many"));
  }
  return ok(parameters);
}

/** `+` is a space, as in forms: it goes upstream as `%20`, which nobody reads otherwise. */
const readQueryPart = (text: string): string | undefined => percentDecode(text.replaceAll("+", "%20"));

export const renderPath = (segments: readonly string[]): string => `/${segments.join("/")}`;

/** The one spelling of a path and query. */
export function renderTarget(
  segments: readonly string[],
  endsInSlash: boolean,
  query: readonly QueryParameter[],
): string {
  const path = `/${segments.map(encodeSegment).join("/")}${endsInSlash && segments.length > 0 ? "/" : ""}`;
  if (query.length === 0) return path;
  const parts = query.map(({ name, value, hasEquals }) =>
    hasEquals ? `${encodeQueryPart(name)}=${encodeQueryPart(value)}` : encodeQueryPart(name),
  );
  return `${path}?${parts.join("&")}`;
}
