// What a handler of HTTP traffic is handed, and what it may do: the contract between the HTTP front and whatever
// understands the content (plain HTTP APIs, MCP, the model channel).

import type { Duplex } from "node:stream";
import type { CanonicalRequest, Field, HttpFault } from "../../engine/http/request.ts";
import type { Result } from "../../engine/lib/result.ts";
import type { ConnectionFacts } from "../../engine/model/principal.ts";
import type { TrafficGate, TrafficSession } from "../gate/traffic.ts";
import type { Trace } from "./trace.ts";

/**
 * One request of an authenticated client, normalised. Nothing of it has gone upstream, and nothing goes unless the
 * handler says so. The handler owns the answer: it calls exactly one of `answer`, `stream` or `destroy`.
 * If it throws, the client gets a 500 problem (or, when a stream has begun, a broken connection), never a pass.
 */
export type HttpExchange = {
  readonly session: TrafficSession;
  readonly request: CanonicalRequest;
  readonly body: RequestBody;
  readonly gate: TrafficGate;
  /** Aborted when the client goes away or the gateway stops. */
  readonly signal: AbortSignal;
  /** W3C trace id of this exchange, 32 hex digits: the client's or a new one. */
  readonly traceId: string;
  /** All of it, for spans; left out: the exchange is in nobody's trace. */
  readonly trace?: Trace;
  /**
   * To the connection's own upstream, with its credential: the gateway's. `target` starts with `/` and is appended to
   * the upstream's base path; redirects are not followed. INVARIANT: only after `gate.record` of a released verdict.
   */
  readonly forward: (request: UpstreamRequest) => Promise<Result<UpstreamResponse, HttpFault>>;
  /** A whole answer. Content-Length and the headers of a message that isn't cached are set here. */
  readonly answer: (answer: HttpAnswer) => void;
  /** Sends the head at once; the body follows through the sink. */
  readonly stream: (head: ResponseHead) => ResponseSink;
  /** Breaks the connection (HTTP/2: resets the stream): the client must see that the answer is not whole. */
  readonly destroy: () => void;
};

/** Read at most once, by one of the two. A client that waits for `100 Continue` gets it at the first read. */
export type RequestBody = {
  /** The whole body as the client sent it (content codings untouched). Over `bytesMax`: 413. */
  readonly bytes: (bytesMax: number) => Promise<Result<Uint8Array, HttpFault>>;
  /** For passing on unread. Throws a HttpFaultError over the connection's limit. */
  readonly chunks: () => AsyncIterable<Uint8Array>;
};

export type UpstreamRequest = {
  readonly method: string;
  readonly target: string;
  /** End-to-end headers. `host`, `content-length`, `connection` and the credential are set by the gateway. */
  readonly headers: readonly Field[];
  /** undefined: no body. A stream is sent chunked unless `bytes` tells its length. */
  readonly body:
    | Uint8Array
    | { readonly chunks: AsyncIterable<Uint8Array>; readonly bytes: number | undefined }
    | undefined;
  /** Default: the connection's. 0: an answer may stay silent for ever (an event stream). */
  readonly idleTimeoutMs?: number;
  /** Ends it, as does the exchange's own. */
  readonly signal?: AbortSignal;
};

export type UpstreamResponse = {
  readonly status: number;
  /** End-to-end headers, lower case, in order; hop-by-hop ones and Set-Cookie (unless the connection passes cookies) are gone. */
  readonly headers: readonly Field[];
  /** Content codings untouched; `decodedBody` undoes them. Must be read to its end, or `discard`ed. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly discard: () => void;
};

export type ResponseHead = { readonly status: number; readonly headers: readonly Field[] };
export type HttpAnswer = ResponseHead & { readonly body: Uint8Array | string };

export type ResponseSink = {
  /** Resolves when the client has room for more; rejects when it is gone. */
  readonly write: (chunk: Uint8Array | string) => Promise<void>;
  readonly end: () => void;
  /** Bytes of content written so far. */
  readonly bytes: () => number;
};

export type ExchangeHandler = (exchange: HttpExchange) => Promise<void>;

/** What a kind of traffic does with requests: plain HTTP, MCP, the model channel. */
export type RouteBehaviour = {
  readonly handler: ExchangeHandler;
  /** A WebSocket, decided before anything of it moves. Undefined: refused. */
  readonly upgrade?: UpgradeHandler;
  /** Headers besides `Authorization: Bearer` in which the token may come, e.g. `x-api-key`. Never passed on. */
  readonly tokenHeaders: readonly string[];
  /** Join keys that clients of this route send, besides `x-gw-session`: the first becomes the session's `agent/<id>`. */
  readonly sessionHeaders: readonly string[];
  /** Answers without a login, before anything is decided: metadata documents. Undefined: log in. */
  readonly open?: (request: OpenRequest) => HttpAnswer | undefined;
  /** Extra parameters of `WWW-Authenticate: Bearer` on a 401: `resource_metadata="…"`. */
  readonly challenge?: (request: OpenRequest) => string;
  /** How a refused login or an unreadable request looks to this kind of client; default: application/problem+json. */
  readonly showFault?: (fault: HttpFault) => HttpAnswer;
};

export type OpenRequest = {
  readonly method: string;
  /** Below the prefix. */
  readonly path: string;
  /** As the client sees this listener: `https://host:port`. */
  readonly origin: string;
  /** Where the route begins there: `/` or `/crm`. */
  readonly prefix: string;
};

/** One connection behind a listening address: how requests find it, who answers, and where they go. */
export type HttpRoute = RouteBehaviour & {
  /** Name of the connection. */
  readonly name: string;
  /** Host names (lower case, no port); [] means any. */
  readonly hosts: readonly string[];
  /** Segments, taken off before the handler sees the path. The longest one wins. */
  readonly prefix: readonly string[];
  readonly connection: ConnectionFacts;
  readonly gate: TrafficGate;
  readonly upstream: HttpUpstream;
  /** A request's body, bytes. */
  readonly bodyBytesMax: number;
  readonly isCaseInsensitive: boolean;
  readonly passCookies: boolean;
};

export type HttpUpstream = {
  readonly forward: (request: UpstreamRequest, signal: AbortSignal) => Promise<Result<UpstreamResponse, HttpFault>>;
  readonly upgrade: (request: UpgradeRequest, signal: AbortSignal) => Promise<Result<UpgradedSocket, HttpFault>>;
  /** Lower-case names of headers, and names of query parameters, that carry the gateway's credential. */
  readonly ownHeaders: ReadonlySet<string>;
  readonly ownParameters: ReadonlySet<string>;
  readonly close: () => Promise<void>;
};

export type UpgradeRequest = { readonly target: string; readonly headers: readonly Field[] };
export type UpgradedSocket = { readonly headers: readonly Field[]; readonly socket: Duplex };

/** A client that wants to leave HTTP behind. The handler calls `refuse` or `accept` once. */
export type UpgradeExchange = Pick<HttpExchange, "session" | "request" | "gate" | "signal" | "traceId" | "trace"> & {
  readonly forward: (request: UpgradeRequest, signal: AbortSignal) => Promise<Result<UpgradedSocket, HttpFault>>;
  readonly refuse: (answer: HttpAnswer) => void;
  /** Joins both sockets until they end, or `signal` ends them; resolves when both are closed, with the bytes that went each way. */
  readonly accept: (
    upgraded: UpgradedSocket,
    signal: AbortSignal,
  ) => Promise<{ readonly sent: number; readonly received: number }>;
};
export type UpgradeHandler = (exchange: UpgradeExchange) => Promise<void>;
