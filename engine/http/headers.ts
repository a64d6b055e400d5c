// headers as they came -> end-to-end headers, each name once, or refused
import { err, ok, type Result } from "../lib/result.ts";
import { httpFault } from "./faults.ts";
import type { ContentLength, Field, HttpFault } from "./request.ts";

export type RequestHeaders = {
  readonly endToEnd: readonly Field[];
  readonly contentLength: ContentLength;
  /** Values of `Host`, in order. */
  readonly hosts: readonly string[];
  /** Taken out of the headers that go on: tokens, session, expectation. By lower-case name, first value. */
  readonly taken: ReadonlyMap<string, string>;
};

export type HeaderOptions = {
  /** Headers that carry the client's token here. */
  readonly tokenHeaders: readonly string[];
};

/** Hop by hop (RFC 9110 section 7.6.1), and what proxies have added since. */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-authentication-info",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Claims about who asks, which an upstream may believe. */
const forwarding =
  /^(?:forwarded|via|x-forwarded(?:-.*)?|x-real-ip|x-client-ip|x-cluster-client-ip|true-client-ip|cf-connecting-ip|fastly-client-ip|x-remote-(?:user|addr|ip)|remote-user|x-remote-.*|x-ssl-.*|x-authenticated-.*|x-original-forwarded-for|x-envoy-.*|ssl-client-.*)$/;

/** Ask a server to serve another method or target than the request line's. */
const overrides =
  /^(?:x-http-method(?:-override)?|x-method-override|x-original-(?:url|uri|method)|x-rewrite-(?:url|uri)|x-override-url|x-http-path-override|x-forwarded-(?:uri|method|prefix|path))$/;

/** Lists by definition: several lines mean one list. */
const lists: ReadonlySet<string> = new Set([
  "accept",
  "accept-charset",
  "accept-encoding",
  "accept-language",
  "anthropic-beta",
  "cache-control",
  "if-match",
  "if-none-match",
  "link",
  "pragma",
  "prefer",
  "tracestate",
  "want-digest",
  "want-repr-digest",
  "warning",
]);

const headersMax = 200;

export function readRequestHeaders(raw: readonly Field[], options: HeaderOptions): Result<RequestHeaders, HttpFault> {
  if (raw.length > headersMax) return err(httpFault("headers-too-large"));
  const values = new Map<string, string[]>();
  for (const [rawName, rawValue] of raw) {
    const name = rawName.toLowerCase();
    // CGI and its heirs read `_` as `-`: two names for one header.
    if (!/^[!#$%&'*+.^`|~0-9a-z-]+$/.test(name)) return err(httpFault("header-malformed"));
    const value = rawValue.replace(/^[ \t]+|[ \t]+$/g, "");
    if (!/^[\t -~]*$/.test(value)) return err(httpFault("header-malformed"));
    if (overrides.test(name)) {
      return err(httpFault(/method/.test(name) ? "method-override" : "header-refused"));
    }
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  const contentLength = readContentLength(values);
  if (!contentLength.ok) return contentLength;
  const options_ = (values.get("connection") ?? []).flatMap((v) => v.split(",")).map((v) => v.trim().toLowerCase());
  if (options_.some((o) => !/^(?:|close|keep-alive|upgrade|te|http2-settings)$/.test(o))) {
    return err(httpFault("connection-option"));
  }
  const expect = values.get("expect");
  if (expect?.some((v) => v.toLowerCase() !== "100-continue")) return err(httpFault("expectation-unknown"));
  return sort(values, contentLength.value, options);
}

function sort(
  values: ReadonlyMap<string, readonly string[]>,
  contentLength: ContentLength,
  { tokenHeaders }: HeaderOptions,
): Result<RequestHeaders, HttpFault> {
  const endToEnd: Field[] = [];
  const taken = new Map<string, string>();
  for (const [name, all] of values) {
    const [first = ""] = all;
    const isTaken =
      name === "authorization" ||
      name === "x-gw-session" ||
      name === "expect" ||
      name === "upgrade" ||
      tokenHeaders.includes(name);
    if (name === "host" || name === "content-length") continue;
    if (isTaken) {
      if (all.length > 1) return err(httpFault("header-repeated"));
      taken.set(name, first);
      continue;
    }
    if (hopByHop.has(name) || forwarding.test(name)) continue;
    if (name === "cookie") {
      endToEnd.push([name, all.join("; ")]);
      continue;
    }
    if (all.length > 1 && !lists.has(name)) return err(httpFault("header-repeated"));
    endToEnd.push([name, all.join(", ")]);
  }
  return ok({ endToEnd, contentLength, hosts: values.get("host") ?? [], taken });
}

/** One statement about the length, in one spelling (RFC 9112 section 6). */
function readContentLength(values: ReadonlyMap<string, readonly string[]>): Result<ContentLength, HttpFault> {
  const length = values.get("content-length");
  const coding = values.get("transfer-encoding");
  if (length !== undefined && coding !== undefined) return err(httpFault("framing-ambiguous"));
  if (coding !== undefined) {
    const isChunked = coding.length === 1 && coding[0]?.toLowerCase() === "chunked";
    return isChunked ? ok({ kind: "chunked" }) : err(httpFault("framing-ambiguous"));
  }
  if (length === undefined) return ok({ kind: "none" });
  const [text = ""] = length;
  if (length.length > 1 || !/^(?:0|[1-9][0-9]{0,14})$/.test(text)) return err(httpFault("framing-ambiguous"));
  return ok(text === "0" ? { kind: "none" } : { kind: "bytes", bytes: Number(text) });
}

/** Hop-by-hop headers of an answer, and what only the gateway may say. */
const answerDropped: ReadonlySet<string> = new Set([
  ...hopByHop,
  "alt-svc",
  "proxy-status",
  "strict-transport-security",
]);

/** Headers of an upstream's answer that go on. */
export function readAnswerHeaders(raw: readonly Field[], passCookies: boolean): readonly Field[] {
  const named = new Set(
    raw.filter(([name]) => name.toLowerCase() === "connection").flatMap(([, v]) => v.toLowerCase().split(/\s*,\s*/)),
  );
  return raw
    .map(([name, value]): Field => [name.toLowerCase(), value])
    .filter(([name]) => !answerDropped.has(name) && !named.has(name) && (passCookies || name !== "set-cookie"));
}
