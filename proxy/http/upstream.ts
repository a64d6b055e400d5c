// The door to HTTP upstreams: undici. A connection reaches the one origin that its configuration names.
import { Readable } from "node:stream";
import { Pool } from "undici";
import { httpFault } from "../../engine/http/faults.ts";
import { readAnswerHeaders } from "../../engine/http/headers.ts";
import type { Field, HttpFault } from "../../engine/http/request.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import { decodeBody } from "./decode-body.ts";
import type { HttpUpstream, UpstreamRequest, UpstreamResponse } from "./exchange.ts";
import { hideInBody, hideInHeaders, spellingsOf } from "./hide-secret.ts";

/** A secret that only the gateway holds, and how the upstream wants it. */
export type Credential =
  | { readonly kind: "none" }
  | { readonly kind: "header"; readonly name: string; readonly prefix: string; readonly secret: () => Promise<string> }
  | { readonly kind: "basic"; readonly user: string; readonly secret: () => Promise<string> }
  | { readonly kind: "query"; readonly name: string; readonly secret: () => Promise<string> };

export type HttpUpstreamTarget = {
  /** `https://api.internal:8443`, without a path. */
  readonly origin: string;
  /** `` or `/base`, already in the canonical spelling. */
  readonly basePath: string;
  readonly credential: Credential;
  readonly tls: {
    readonly ca: string | undefined;
    /** For mTLS. */
    readonly certificate: { readonly cert: string; readonly key: string } | undefined;
  };
  /** From the request's last byte to the answer's head, ms. */
  readonly headTimeoutMs: number;
  /** Between two chunks of an answer, ms. */
  readonly idleTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly connectionsMax: number;
  readonly passCookies: boolean;
};

/** Opens no connection before the first request. */
export function openHttpUpstream(target: HttpUpstreamTarget, name: string, log: Log): HttpUpstream {
  const { ca, certificate } = target.tls;
  const pool = new Pool(target.origin, {
    connections: target.connectionsMax,
    pipelining: 1,
    headersTimeout: target.headTimeoutMs,
    bodyTimeout: target.idleTimeoutMs,
    maxHeaderSize: 65_536,
    allowH2: false,
    connect: {
      timeout: target.connectTimeoutMs,
      ...(ca === undefined ? {} : { ca }),
      ...(certificate ?? {}),
    },
  });
  const host = new URL(target.origin).host;
  const fail = (error: unknown): Result<never, HttpFault> => {
    const fault = faultOf(error);
    log.warn({ code: fault.code, connection: name, cause: causeCode(error) }, "an upstream request failed");
    return err(fault);
  };

  const send = async (request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamResponse> => {
    const credential = await credentialOf(target.credential, request.target);
    const answer = await pool.request({
      method: request.method,
      path: target.basePath + credential.target,
      headers: flat([
        ["host", host],
        ...(credential.secrets.length === 0 ? request.headers : readable(request.headers)),
        ...credential.headers,
        ...lengthOf(request),
      ]),
      body: bodyOf(request),
      signal: request.signal === undefined ? signal : eitherOf(signal, request.signal),
      responseHeaders: "raw",
      ...(request.idleTimeoutMs === undefined ? {} : { bodyTimeout: request.idleTimeoutMs }),
    });
    // An upstream that breaks off is heard of by whoever reads; nobody reads what was discarded.
    answer.body.on("error", () => undefined);
    const headers = readAnswerHeaders(readRawHeaders(answer.headers), target.passCookies);
    const whole = { status: answer.statusCode, headers, body: answer.body, discard: () => answer.body.destroy() };
    return credential.secrets.length === 0 ? whole : withoutSecrets(whole, credential.secrets, request.method);
  };

  return {
    forward: async (request, signal) => {
      try {
        return ok(await send(request, signal));
      } catch (error) {
        return fail(error);
      }
    },
    upgrade: async (request, signal) => {
      try {
        const credential = await credentialOf(target.credential, request.target);
        const answer = await pool.upgrade({
          path: target.basePath + credential.target,
          method: "GET",
          protocol: "websocket",
          headers: flat([["host", host], ...request.headers, ...credential.headers]),
          signal,
          responseHeaders: "raw",
        });
        return ok({ headers: readAnswerHeaders(readRawHeaders(answer.headers), false), socket: answer.socket });
      } catch (error) {
        return fail(error);
      }
    },
    ownHeaders: new Set(ownHeadersOf(target.credential)),
    ownParameters: new Set(target.credential.kind === "query" ? [target.credential.name.toLowerCase()] : []),
    close: () => pool.destroy(),
  };
}

/** AbortSignal.any, for signals that live no longer than the exchange: it keeps no books, which cost more than the rest. */
function eitherOf(one: AbortSignal, other: AbortSignal): AbortSignal {
  const abort = new AbortController();
  for (const signal of [one, other]) {
    if (signal.aborted) abort.abort();
    else signal.addEventListener("abort", () => abort.abort(), { once: true });
  }
  return abort.signal;
}

function ownHeadersOf(credential: Credential): readonly string[] {
  if (credential.kind === "header") return [credential.name.toLowerCase()];
  return credential.kind === "basic" ? ["authorization"] : [];
}

async function credentialOf(
  credential: Credential,
  target: string,
): Promise<{ readonly target: string; readonly headers: readonly Field[]; readonly secrets: readonly string[] }> {
  switch (credential.kind) {
    case "none":
      return { target, headers: [], secrets: [] };
    case "header": {
      const secret = await credential.secret();
      return { target, headers: [[credential.name, credential.prefix + secret]], secrets: [secret] };
    }
    case "basic": {
      const secret = await credential.secret();
      const pair = Buffer.from(`${credential.user}:${secret}`, "utf8").toString("base64");
      return { target, headers: [["authorization", `Basic ${pair}`]], secrets: [pair, secret] };
    }
    case "query": {
      const secret = await credential.secret();
      const parameter = `${encodeURIComponent(credential.name)}=${encodeURIComponent(secret)}`;
      return { target: `${target}${target.includes("?") ? "&" : "?"}${parameter}`, headers: [], secrets: [secret] };
    }
    default:
      return credential satisfies never;
  }
}

/** An answer in a content coding couldn't be searched. */
const readable = (headers: readonly Field[]): readonly Field[] => [
  ...headers.filter(([name]) => name !== "accept-encoding"),
  ["accept-encoding", "identity"],
];

/** Servers repeat what they were sent: in redirects, in links to the next page, on pages for debugging. */
function withoutSecrets(answer: UpstreamResponse, secrets: readonly string[], method: string): UpstreamResponse {
  const spellings = spellingsOf(secrets);
  const headers = hideInHeaders(answer.headers, spellings);
  const hasNoBody = method === "HEAD" || answer.status === 204 || answer.status === 304;
  if (hasNoBody || spellings.length === 0) return { ...answer, headers };
  const coding = headers.find(([name]) => name === "content-encoding")?.[1];
  if (coding === undefined) return { ...answer, headers, body: hideInBody(answer.body, spellings) };
  const decoded = decodeBody(coding, answer.body);
  if (decoded === undefined) return { ...answer, headers };
  const kept = headers.filter(([name]) => name !== "content-encoding" && name !== "content-length");
  return { ...answer, headers: kept, body: hideInBody(decoded, spellings) };
}

const flat = (fields: readonly Field[]): string[] => fields.flat();

function lengthOf({ body }: UpstreamRequest): readonly Field[] {
  if (body === undefined) return [];
  const bytes = body instanceof Uint8Array ? body.byteLength : body.bytes;
  return bytes === undefined ? [] : [["content-length", String(bytes)]];
}

function bodyOf({ body }: UpstreamRequest): Uint8Array | Readable | null {
  if (body === undefined) return null;
  return body instanceof Uint8Array ? body : Readable.from(body.chunks, { objectMode: false });
}

/** undici's `raw` form: name, value, name, value as texts or bytes. */
function readRawHeaders(raw: unknown): readonly Field[] {
  if (!Array.isArray(raw)) throw new TypeError("undici gave no raw headers");
  const text = (part: unknown): string =>
    part instanceof Uint8Array ? Buffer.from(part).toString("latin1") : String(part);
  const fields: Field[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = text(raw[i]);
    const value: unknown = raw[i + 1];
    for (const each of Array.isArray(value) ? value : [value]) fields.push([name, text(each)]);
  }
  return fields;
}

const timeouts: ReadonlySet<string> = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"]);
const unreadable: ReadonlySet<string> = new Set([
  "UND_ERR_HEADERS_OVERFLOW",
  "UND_ERR_RESPONSE",
  "UND_ERR_INFO",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "HTTPParserError",
]);
/** What undici's socket says of an answer that nobody asked for: 100 and 101. */
const isUnasked = (error: unknown): boolean =>
  error instanceof Error && /^bad (?:response|upgrade)$/.test(error.message);

export function faultOf(error: unknown): HttpFault {
  const code = causeCode(error);
  if (timeouts.has(code)) return httpFault("upstream-timeout");
  if (unreadable.has(code) || code.startsWith("HPE_") || isUnasked(error)) return httpFault("upstream-failed");
  return httpFault("upstream-unreachable", "try again; if it stays, tell whoever runs the gateway");
}
