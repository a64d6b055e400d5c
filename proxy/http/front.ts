// a listening address -> requests of authenticated clients, in one form, handed to the route that they are for
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import fastify, { type FastifyInstance } from "fastify";
import { httpFault } from "../../engine/http/faults.ts";
import {
  canonicalRequest,
  pickRoute,
  type RawRequest,
  type ReadRequest,
  readRequest,
} from "../../engine/http/normalize.ts";
import type { HttpFault } from "../../engine/http/request.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { Limits } from "../../engine/limits.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import type { Authenticated, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { Address } from "../gateway-config.ts";
import type { VerifyToken } from "../identity/authenticate.ts";
import { approvalStatus, statusPath } from "./approval-status.ts";
import type { HttpAnswer, HttpExchange, HttpRoute, OpenRequest } from "./exchange.ts";
import { AnswerWriter, type Incoming, type Outgoing, rawRequestOf, requestBodyOf } from "./incoming.ts";
import { problemOfFault } from "./problem.ts";
import { bearerOf, refuseOnRecord, routeOfUnread } from "./refused-request.ts";
import type { HttpSessions } from "./sessions.ts";
import { continueTrace, withTrace } from "./trace.ts";
import { joinSockets } from "./upgraded.ts";

export type HttpFrontOptions = {
  readonly listen: Address;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly routes: readonly HttpRoute[];
  readonly protocolOf: (route: HttpRoute) => "http" | "mcp" | "llm";
  readonly verify: VerifyToken;
  readonly sessions: HttpSessions;
  readonly approvals: Pick<ApprovalDesk, "get">;
  readonly limits: Limits;
  readonly log: Log;
};

export type HttpFront = {
  readonly listen: () => Promise<{ readonly port: number }>;
  /** Takes no more connections; running exchanges have `graceMs` to end. */
  readonly close: (graceMs: number) => Promise<void>;
  readonly stopAccepting: () => void;
  /** Exchanges that run. */
  readonly running: () => number;
};

/** A request that has found its route and its principal. */
type Arrived = {
  readonly route: HttpRoute;
  readonly read: ReadRequest;
  readonly who: Authenticated;
  readonly open: OpenRequest;
};

type Refused = { readonly answer: HttpAnswer; readonly code: string };

export function createHttpFront(options: HttpFrontOptions): HttpFront {
  return new Front(options);
}

class Front implements HttpFront {
  readonly #options: HttpFrontOptions;
  readonly #app: FastifyInstance;
  readonly #tokenHeaders: readonly string[];
  readonly #running = new Set<AbortController>();
  /** Requests whose client waits for `100 Continue`. */
  readonly #expecting = new WeakSet<object>();
  #isClosing = false;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
    this.#tokenHeaders = [...new Set(options.routes.flatMap((route) => route.tokenHeaders))];
    this.#app = makeServer(options, ({ error, socket }) => this.#refuseUnreadable(error, socket));
    const { server } = this.#app;
    // Node drops header lines beyond the two-thousandth without a word: all are read, and too many refused.
    if ("maxHeadersCount" in server) server.maxHeadersCount = 0;
    // Of HTTP/1 over TLS: what is given to an HTTP/2 server for it is not taken.
    Object.assign(server, {
      headersTimeout: options.limits.httpHeadTimeoutMs,
      requestTimeout: options.limits.httpRequestTimeoutMs,
    });
    this.#app.addHook("onRequest", async (request, reply) => {
      reply.hijack();
      await this.#handle(request.raw, reply.raw, request.originalUrl);
    });
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      this.#expecting.add(request);
      server.emit("request", request, response);
    });
    server.on(
      "upgrade",
      (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.#upgrade(request, socket, head),
    );
  }

  listen = async (): Promise<{ readonly port: number }> => {
    const { host, port } = this.#options.listen;
    await this.#app.listen({ host, port, backlog: 1_024 });
    const address = this.#app.server.address();
    return { port: typeof address === "object" && address ? address.port : port };
  };

  stopAccepting = (): void => {
    this.#app.server.close();
  };

  running = (): number => this.#running.size;

  close = async (graceMs: number): Promise<void> => {
    this.#isClosing = true;
    const { server } = this.#app;
    let cut: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      for (const exchange of this.#running) exchange.abort();
      // What is open now: answers that are just being written, and clients that connected and said nothing.
      cut = setTimeout(() => {
        if ("closeAllConnections" in server) server.closeAllConnections();
      }, 250);
    }, graceMs);
    timer.unref();
    // A connection whose last answer ends now would be kept for the client's next request.
    const sweep = setInterval(() => {
      if ("closeIdleConnections" in server) server.closeIdleConnections();
    }, 50);
    await this.#app.close();
    clearInterval(sweep);
    clearTimeout(cut);
    clearTimeout(timer);
  };

  async #handle(request: Incoming, response: Outgoing, target: string): Promise<void> {
    const expects = this.#expecting.delete(request);
    let isBodyWanted = false;
    const proceed = (): void => {
      if (expects && !isBodyWanted && "writeContinue" in response) response.writeContinue();
      isBodyWanted = true;
    };
    // A body that was announced and not read may still come, or not: the connection ends with this answer.
    const writer = new AnswerWriter(
      response,
      () => this.#isClosing || (!isBodyWanted && !request.complete && hasBody(request)),
    );
    const abort = new AbortController();
    response.on("close", () => {
      if (!response.writableFinished) abort.abort();
    });
    this.#running.add(abort);
    try {
      const arrived = await this.#arrive(request, target);
      if (!arrived.ok) writer.answer(arrived.error.answer);
      else if (arrived.value !== undefined) await this.#exchange(arrived.value, request, writer, abort.signal, proceed);
    } catch (bug) {
      this.#options.log.error({ code: "internal-error", cause: causeCode(bug) }, "an exchange broke");
      if (writer.hasBegun) writer.destroy();
      else writer.answer(internalError);
    } finally {
      this.#running.delete(abort);
    }
  }

  async #exchange(
    arrived: Arrived,
    incoming: Incoming,
    writer: AnswerWriter,
    signal: AbortSignal,
    proceed: () => void,
  ): Promise<void> {
    const options = this.#options;
    const { route, read, who } = arrived;
    const status = statusPath(read.target.segments);
    if (status !== undefined) {
      writer.answer(await approvalStatus(options.approvals, status, who.identity));
      return;
    }
    const begun = this.#begin(route, read, who);
    if (!begun.ok) {
      writer.answer(this.#refuseArrived(arrived, begun.error));
      return;
    }
    const { session, request, trace } = begun.value;
    if (request.contentLength.kind === "bytes" && request.contentLength.bytes > route.bodyBytesMax) {
      writer.answer(this.#refuseArrived(arrived, httpFault("body-too-large")));
      return;
    }
    const exchange: HttpExchange = {
      session,
      request,
      body: requestBodyOf(incoming, route.bodyBytesMax, options.limits.httpRequestTimeoutMs, proceed),
      gate: route.gate,
      signal,
      traceId: trace.traceId,
      trace,
      forward: (upstream) =>
        route.upstream.forward({ ...upstream, headers: withTrace(upstream.headers, trace, trace.isContinued) }, signal),
      answer: (answer) => writer.answer(answer),
      stream: (head) => writer.stream(head),
      destroy: () => writer.destroy(),
    };
    await route.handler(exchange);
    if (!writer.hasBegun) writer.answer(internalError);
  }

  /** What comes after login: session, canonical form, trace. */
  #begin(route: HttpRoute, read: ReadRequest, who: Authenticated) {
    const { sessions, protocolOf } = this.#options;
    const names = [read.headers.taken.get("x-gw-session"), ...route.sessionHeaders.map((h) => headerOf(read, h))];
    const name = names.find((n) => n !== undefined && n !== "");
    if (name !== undefined && !/^[A-Za-z0-9._:-]{1,128}$/.test(name)) return err(httpFault("session-malformed"));
    const { ownHeaders, ownParameters } = route.upstream;
    if (read.target.query.some((parameter) => ownParameters.has(parameter.name.toLowerCase()))) {
      return err(httpFault("parameter-reserved"));
    }
    const { prefix, isCaseInsensitive, passCookies } = route;
    const request = canonicalRequest(read, { prefix, isCaseInsensitive, passCookies, ownHeaders });
    const session = sessions.find(who, route.connection, protocolOf(route), name);
    const traceparent = headerOf(read, "traceparent");
    const trace = continueTrace(traceparent);
    const isContinued = traceparent?.slice(3, 35) === trace.traceId;
    return ok({ session, request, trace: { ...trace, isContinued } });
  }

  /** Undefined: answered without a login is an error value, too; nothing else is left to do. */
  async #arrive(request: Incoming, target: string): Promise<Result<Arrived, Refused>> {
    const { limits, log, routes, verify } = this.#options;
    const client = request.socket.remoteAddress ?? "unknown";
    const refuse = (fault: HttpFault, route?: HttpRoute, challenge?: string): Result<never, Refused> => {
      log.warn({ code: fault.code, client, connection: route?.name }, "a request was refused");
      const answer = (route?.showFault ?? problemOfFault)(fault);
      const headers =
        challenge === undefined ? answer.headers : [...answer.headers, ["www-authenticate", challenge] as const];
      return err({ code: fault.code, answer: { ...answer, headers } });
    };
    if (this.#running.size > limits.httpRequestsMax) return refuse(httpFault("too-busy"));
    const raw = rawRequestOf(request, target);
    const read = readRequest(raw, { tokenHeaders: this.#tokenHeaders });
    if (!read.ok) return (await this.#refuseKnown(raw, client, read.error)) ?? refuse(read.error);
    const metadata = this.#metadata(request, read.value);
    if (metadata !== undefined) return err({ code: "open", answer: metadata });
    const route =
      statusPath(read.value.target.segments) === undefined ? pickRoute(routes, read.value.target) : routes[0];
    if (route === undefined) return refuse(httpFault("route-unknown"));
    const open: OpenRequest = {
      method: read.value.method,
      path: `/${read.value.target.segments.slice(route.prefix.length).join("/")}`,
      origin: `${this.#options.tls === undefined ? "http" : "https"}://${originHost(request, read.value)}`,
      prefix: `/${route.prefix.join("/")}`,
    };
    const answer = route.open?.(open);
    if (answer !== undefined) return err({ code: "open", answer });
    const token = tokenOf(read.value, route);
    const extra = route.challenge?.(open) ?? "";
    if (token === undefined) {
      return refuse(
        httpFault("token-missing", "send `Authorization: Bearer` and a token of an issuer that this gateway trusts"),
        route,
        challengeOf("", extra),
      );
    }
    const verified = await verify(token, client, route.name);
    if (!verified.ok) {
      const { code, message } = verified.error;
      const status = code === "issuer-unreachable" ? 503 : 401;
      return refuse({ status, code, message, help: tokenHelp(code) }, route, challengeOf("invalid_token", extra));
    }
    return ok({ route, read: read.value, who: verified.value, open });
  }

  /** Of a route with a path, between host and path: RFC 9728, section 3.1. */
  #metadata(request: Incoming, read: ReadRequest): HttpAnswer | undefined {
    const [wellKnown, name, ...segments] = read.target.segments;
    if (wellKnown !== ".well-known" || name !== "oauth-protected-resource" || segments.length === 0) return undefined;
    const route = pickRoute(this.#options.routes, { ...read.target, segments });
    if (route === undefined || route.prefix.length !== segments.length) return undefined;
    return route.open?.({
      method: read.method,
      path: `/${wellKnown}/${name}`,
      origin: `${this.#options.tls === undefined ? "http" : "https"}://${originHost(request, read)}`,
      prefix: `/${segments.join("/")}`,
    });
  }

  /** Of somebody who shows a good token it is on record who sent it; of others it is logged, or anybody could fill the recording. */
  async #refuseKnown(raw: RawRequest, client: string, fault: HttpFault): Promise<Result<never, Refused> | undefined> {
    const { routes, verify, sessions, protocolOf, log } = this.#options;
    const host = raw.authority ?? raw.headers.find(([name]) => name.toLowerCase() === "host")?.[1];
    const route = routeOfUnread(routes, raw.target, host);
    const token = bearerOf(raw.headers);
    const verified = route && token !== undefined ? await verify(token, client, route.name) : undefined;
    if (route === undefined || !verified?.ok) return undefined;
    log.warn({ code: fault.code, client, connection: route.name }, "a request was refused");
    const session = sessions.find(verified.value, route.connection, protocolOf(route), undefined);
    const answer = refuseOnRecord(route.gate, session, raw.method, fault);
    return err({ code: fault.code, answer: route.showFault?.(fault) ?? answer });
  }

  #refuseArrived({ route, read, who }: Pick<Arrived, "route" | "read" | "who">, fault: HttpFault): HttpAnswer {
    const { sessions, protocolOf } = this.#options;
    const session = sessions.find(who, route.connection, protocolOf(route), undefined);
    const answer = refuseOnRecord(route.gate, session, read.method, fault);
    return route.showFault?.(fault) ?? answer;
  }

  async #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => undefined);
    const abort = new AbortController();
    socket.on("close", () => abort.abort());
    this.#running.add(abort);
    let isAnswered = false;
    const refuse = (answer: HttpAnswer): void => {
      if (!isAnswered) writeRaw(socket, answer);
      isAnswered = true;
    };
    try {
      const arrived = await this.#arrive(incoming, incoming.url ?? "");
      if (!arrived.ok) return refuse(arrived.error.answer);
      const { route, read, who } = arrived.value;
      const begun = this.#begin(route, read, who);
      if (!begun.ok) return refuse(this.#refuseArrived(arrived.value, begun.error));
      const { session, request, trace } = begun.value;
      if (route.upgrade === undefined || request.method !== "GET" || request.contentLength.kind !== "none") {
        return refuse(this.#refuseArrived(arrived.value, httpFault("upgrade-refused")));
      }
      await route.upgrade({
        session,
        request,
        gate: route.gate,
        signal: abort.signal,
        traceId: trace.traceId,
        trace,
        forward: ({ target, headers }, signal) =>
          route.upstream.upgrade(
            { target, headers: withTrace(headers, trace, trace.isContinued) },
            AbortSignal.any([abort.signal, signal]),
          ),
        refuse,
        accept: (upgraded, signal) => {
          isAnswered = true;
          return joinSockets(socket, head, upgraded, signal);
        },
      });
      refuse(internalError);
    } catch (bug) {
      this.#options.log.error({ code: "internal-error", cause: causeCode(bug) }, "an upgrade broke");
      refuse(internalError);
      socket.destroy();
    } finally {
      this.#running.delete(abort);
    }
  }

  #refuseUnreadable(error: unknown, socket: Socket): void {
    const code = causeCode(error);
    if (socket.destroyed || code === "ECONNRESET") return;
    const fault = httpFault(
      code === "HPE_HEADER_OVERFLOW"
        ? "headers-too-large"
        : code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? "request-timeout"
          : "request-malformed",
    );
    this.#options.log.warn({ code: fault.code, client: socket.remoteAddress, cause: code }, "a request can't be read");
    writeRaw(socket, problemOfFault(fault));
  }
}

type Unreadable = { readonly error: unknown; readonly socket: Socket };

/** Node's parser in its strict mode; fastify's router sees one path only, and its body parsers nothing at all. */
function makeServer(
  { tls, limits }: HttpFrontOptions,
  onUnreadable: (unreadable: Unreadable) => void,
): FastifyInstance {
  const http = {
    maxHeaderSize: limits.httpHeaderBytesMax,
    headersTimeout: limits.httpHeadTimeoutMs,
    requireHostHeader: true,
    insecureHTTPParser: false,
    shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === "websocket",
  };
  const common = {
    logger: false,
    rewriteUrl: () => "/",
    requestTimeout: limits.httpRequestTimeoutMs,
    return503OnClosing: false,
    forceCloseConnections: "idle" as const,
    clientErrorHandler: (error: unknown, socket: Socket) => onUnreadable({ error, socket }),
  };
  if (tls === undefined) return fastify({ ...common, http });
  const http2 = {
    maxHeaderListPairs: limits.http2HeaderPairsMax,
    streamResetBurst: limits.http2ResetsMax,
    streamResetRate: limits.http2ResetsPerSecond,
    settings: {
      enablePush: false,
      maxConcurrentStreams: limits.http2StreamsMax,
    },
  };
  const https = { allowHTTP1: true, cert: tls.cert, key: tls.key, minVersion: "TLSv1.2" as const, ...http, ...http2 };
  // SAFETY: fastify's types give each server its own class; what is used of them here is the same.
  return fastify({ ...common, http2: true, https }) as unknown as FastifyInstance;
}

const internalError = problemOfFault({
  status: 500,
  code: "internal-error",
  message: "the request failed inside the gateway",
  help: undefined,
});

const hasBody = ({ headers }: Incoming): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";

const headerOf = ({ headers }: ReadRequest, name: string): string | undefined =>
  headers.endToEnd.find(([n]) => n === name)?.[1];

function tokenOf({ headers }: ReadRequest, { tokenHeaders }: HttpRoute): string | undefined {
  const bearer = /^Bearer +([\w.~+/=-]+)$/i.exec(headers.taken.get("authorization") ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  return tokenHeaders.map((name) => headers.taken.get(name)).find((value) => value !== undefined && value !== "");
}

const challengeOf = (error: string, extra: string): string =>
  ['Bearer realm="gatewright"', ...(error === "" ? [] : [`error="${error}"`]), ...(extra === "" ? [] : [extra])].join(
    ", ",
  );

const originHost = (request: Incoming, read: ReadRequest): string => {
  const authority = "authority" in request ? request.authority : request.headers.host;
  return authority ?? read.target.host;
};

function tokenHelp(code: string): string {
  if (code === "issuer-unreachable") return "try again in a minute; if it stays, tell whoever runs the gateway";
  if (code === "token-expired") return "get a new token from your identity provider";
  return "use a token (JWT) of an issuer that this gateway trusts";
}

/** For sockets that never became a request. */
function writeRaw(socket: Duplex, { status, headers, body }: HttpAnswer): void {
  const bytes = Buffer.from(body);
  const lines = [...headers, ["content-length", String(bytes.byteLength)], ["connection", "close"]].map(
    ([n, v]) => `${n}: ${v}`,
  );
  socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} \r\n${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]));
}
