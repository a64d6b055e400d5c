// Streamable HTTP: one exchange -> messages to the mediator -> the upstream and back. MCP 2025-11-25 and 2026-07-28, "Transports".
import { randomUUID } from "node:crypto";
import type { Field, HttpFault } from "../../engine/http/request.ts";
import { EventReader, type StreamEvent, writeEvent } from "../../engine/lib/event-stream.ts";
import type { Json } from "../../engine/lib/json.ts";
import { field, isObject, type JsonObject, readJson, textField } from "../../engine/lib/read-json.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import type { McpFault } from "../../engine/mcp/facts.ts";
import {
  type RpcMessage,
  type RpcRequest,
  readMessage,
  rpcCodes,
  rpcError,
  writeMessage,
} from "../../engine/mcp/json-rpc.ts";
import { mirrorHeaders } from "../../engine/mcp/tools.ts";
import { isKnownVersion, modernVersion, versionMetaKey } from "../../engine/mcp/versions.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { HttpAnswer, HttpExchange, ResponseSink, UpstreamResponse } from "../http/exchange.ts";
import { type SessionWatch, watchSession } from "../http/session-watch.ts";
import type { AskForTools, Judged, Mediator, Peer } from "./mediator.ts";
import { scopeChallenge } from "./metadata.ts";
import { type McpScopes, missingScopes } from "./scopes.ts";
import { type McpSessions, newState, ownerOf } from "./sessions.ts";
import type { Asked, McpState } from "./state.ts";

export type McpEndpoint = {
  /** Path of the server's endpoint below the upstream's base. */
  readonly target: string;
  readonly mediator: Mediator;
  readonly sessions: McpSessions;
  /** Origins of browsers that may ask: DNS rebinding reaches a gateway on a loopback address. */
  readonly origins: ReadonlySet<string>;
  /** The address that clients know; scopes need one. */
  readonly resource: string | undefined;
  readonly scopes: McpScopes;
  readonly clock: Clock;
  readonly log: Log;
};

export function createMcpHandler(endpoint: McpEndpoint): (exchange: HttpExchange) => Promise<void> {
  return async (exchange) => {
    const origin = headerOf(exchange, "origin");
    if (origin !== undefined && !endpoint.origins.has(origin)) {
      return exchange.answer(failed(403, undefined, rpcCodes.refused, "this origin may not ask"));
    }
    if (exchange.request.path !== "/") {
      return exchange.answer(failed(404, undefined, rpcCodes.invalidRequest, "there is no endpoint at this path"));
    }
    switch (exchange.request.method) {
      case "POST":
        return new PostExchange(endpoint, exchange).run();
      case "GET":
        return listen(endpoint, exchange);
      case "DELETE":
        return endSession(endpoint, exchange);
      default:
        return exchange.answer({ status: 405, headers: [["allow", "POST, GET, DELETE"]], body: "" });
    }
  };
}

const headerOf = ({ request }: HttpExchange, name: string): string | undefined =>
  request.headers.find(([key]) => key === name)?.[1];

const json = (status: number, value: Json, headers: readonly Field[] = []): HttpAnswer => ({
  status,
  headers: [["content-type", "application/json"], ["cache-control", "no-store"], ...headers],
  body: JSON.stringify(value),
});

const failed = (status: number, id: RpcRequest["id"] | undefined, code: number, message: string): HttpAnswer =>
  json(status, writeMessage(rpcError(id, code, message)));

/** What may go upstream of a client's headers; the rest is the gateway's to write. */
const passedHeaders: ReadonlySet<string> = new Set(["user-agent", "accept-language", "traceparent", "tracestate"]);

const streamHead = (session: string | undefined): { readonly status: number; readonly headers: readonly Field[] } => ({
  status: 200,
  headers: [
    ["content-type", "text/event-stream"],
    ["cache-control", "no-store"],
    ["x-accel-buffering", "no"],
    ...(session === undefined ? [] : ([["mcp-session-id", session]] as const)),
  ],
});

async function readPosted(exchange: HttpExchange): Promise<Result<RpcMessage, HttpAnswer>> {
  const type = headerOf(exchange, "content-type") ?? "";
  const coding = headerOf(exchange, "content-encoding") ?? "identity";
  if (!/^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type) || coding !== "identity") {
    return err(failed(415, undefined, rpcCodes.invalidRequest, "a message is JSON in UTF-8, without an encoding"));
  }
  const bytes = await exchange.body.bytes(limits.mcpMessageBytesMax);
  if (!bytes.ok) return err(failed(bytes.error.status, undefined, rpcCodes.invalidRequest, bytes.error.message));
  const text = decodeUtf8(bytes.value);
  const value = text === undefined ? undefined : readJson(text, limits.mcpJsonDepthMax);
  if (value === undefined) return err(failed(400, undefined, rpcCodes.parseError, "the message is not UTF-8"));
  if (!value.ok) return err(failed(400, undefined, rpcCodes.parseError, value.error.message));
  const message = readMessage(value.value);
  if (!message.ok) return err(failed(400, message.error.id, rpcCodes.invalidRequest, message.error.message));
  return message;
}

class PostExchange {
  readonly #endpoint: McpEndpoint;
  readonly #exchange: HttpExchange;

  constructor(endpoint: McpEndpoint, exchange: HttpExchange) {
    this.#endpoint = endpoint;
    this.#exchange = exchange;
  }

  async run(): Promise<void> {
    const exchange = this.#exchange;
    const posted = await readPosted(exchange);
    if (!posted.ok) return exchange.answer(posted.error);
    const message = posted.value;
    const id = message.kind === "notification" ? undefined : message.id;
    const version = versionOf(message, headerOf(exchange, "mcp-protocol-version"));
    if (!version.ok) return exchange.answer(failed(400, id, version.error.code, version.error.message));
    const found = this.#findState(message);
    if (found === "gone") return exchange.answer(failed(404, id, rpcCodes.invalidRequest, "there is no such session"));
    const conversation = new Conversation(this.#endpoint, exchange, found.state, found.sessionId, version.value);
    const lacking = this.#lacking(message);
    if (lacking !== undefined) {
      if (message.kind === "request" || message.kind === "notification") {
        this.#endpoint.mediator.refuse(conversation.peer, message, scopeMissing);
      }
      const refused = failed(403, id, rpcCodes.refused, `${scopeMissing.message}: \`${lacking.scopes.join(" ")}\``);
      return exchange.answer({ ...refused, headers: [...refused.headers, ["www-authenticate", lacking.challenge]] });
    }
    const judged = await this.#endpoint.mediator.judge(conversation.peer, message, conversation.askForTools(message));
    await this.#act(conversation, message, judged);
  }

  #lacking(message: RpcMessage): { readonly scopes: readonly string[]; readonly challenge: string } | undefined {
    const { resource, scopes } = this.#endpoint;
    if (resource === undefined) return undefined;
    const missing = missingScopes(scopes, this.#exchange.session.identity, message);
    return missing && { scopes: missing, challenge: scopeChallenge(resource, missing) };
  }

  /** Without a session id a request stands for itself: `initialize`, 2026-07-28, and servers that keep no sessions. */
  #findState(message: RpcMessage): { readonly state: McpState; readonly sessionId: string | undefined } | "gone" {
    const sessionId = headerOf(this.#exchange, "mcp-session-id");
    const isInitialize = message.kind === "request" && message.method === "initialize";
    if (sessionId === undefined || isInitialize)
      return { state: newState(this.#exchange.session), sessionId: undefined };
    const state = this.#endpoint.sessions.find(sessionId, ownerOf(this.#exchange.session));
    return state === undefined ? "gone" : { state, sessionId };
  }

  async #act(conversation: Conversation, message: RpcMessage, judged: Judged): Promise<void> {
    const exchange = this.#exchange;
    switch (judged.kind) {
      case "answer":
        return exchange.answer(json(200, writeMessage(judged.message)));
      case "drop":
        // A notification that isn't passed is no error; an answer to nothing is.
        return exchange.answer(
          message.kind === "notification"
            ? { status: 202, headers: [], body: "" }
            : failed(400, undefined, rpcCodes.invalidRequest, "nothing was asked that this answers"),
        );
      case "forward":
        return conversation.forward(judged.message, judged.asked, undefined);
      case "hold":
        return this.#hold(conversation, message, judged.wait);
      default:
        return judged satisfies never;
    }
  }

  /** The head goes out at once and signs of life follow, so that the client doesn't give up. */
  async #hold(
    conversation: Conversation,
    message: RpcMessage,
    wait: Extract<Judged, { readonly kind: "hold" }>["wait"],
  ): Promise<void> {
    const exchange = this.#exchange;
    const takesStream = /text\/event-stream|\*\/\*/i.test(headerOf(exchange, "accept") ?? "*/*");
    const sink = takesStream ? exchange.stream(streamHead(undefined)) : undefined;
    const token = message.kind === "request" ? progressTokenOf(message) : undefined;
    let notice = "waiting for approval";
    let beats = 0;
    const beat = (): void => {
      beats += 1;
      const life =
        token === undefined
          ? writeEvent({ comments: [` ${oneLine(notice)}`] })
          : writeEvent({
              event: "message",
              data: JSON.stringify({
                jsonrpc: "2.0",
                method: "notifications/progress",
                // Far below what the server will count from 1.
                params: { progressToken: token, progress: beats / 1_000_000, message: notice },
              }),
            });
      sink?.write(life).catch(() => undefined);
    };
    const timer = setInterval(beat, limits.holdBeatMs);
    timer.unref();
    try {
      const judged = await wait(exchange.signal, limits.trafficHoldMsMax, (asked) => {
        notice = asked;
        beat();
      });
      clearInterval(timer);
      if (judged.kind === "forward") return await conversation.forward(judged.message, judged.asked, sink);
      const answer = judged.kind === "answer" ? writeMessage(judged.message) : undefined;
      if (sink === undefined)
        exchange.answer(answer === undefined ? { status: 202, headers: [], body: "" } : json(200, answer));
      else {
        if (answer !== undefined) await sink.write(writeEvent({ event: "message", data: JSON.stringify(answer) }));
        sink.end();
      }
    } finally {
      clearInterval(timer);
    }
  }
}

const scopeMissing: McpFault = {
  code: "mcp-scope-missing",
  message: "the token lacks a scope that this request needs",
  help: "ask the identity provider for a token with it",
};

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ");

function progressTokenOf(message: RpcRequest): string | number | undefined {
  const meta = field(message.params ?? {}, "_meta");
  const token = isObject(meta) ? field(meta, "progressToken") : undefined;
  return typeof token === "string" || typeof token === "number" ? token : undefined;
}

/** The body says it, per request (2026-07-28), or the header, per session. Two that differ are refused. */
function versionOf(
  message: RpcMessage,
  header: string | undefined,
): Result<string | undefined, { readonly code: number; readonly message: string }> {
  const meta =
    message.kind === "request" || message.kind === "notification" ? field(message.params ?? {}, "_meta") : undefined;
  const said = isObject(meta) ? textField(meta, versionMetaKey) : undefined;
  if (said !== undefined && header !== undefined && said !== header) {
    return err({ code: rpcCodes.headerMismatch, message: "`MCP-Protocol-Version` and the message name two versions" });
  }
  const version = said ?? header;
  if (version !== undefined && !isKnownVersion(version)) {
    return err({ code: rpcCodes.invalidRequest, message: "this version of the protocol isn't known here" });
  }
  if (said === undefined && header !== undefined && header >= modernVersion && message.kind === "request") {
    return err({ code: rpcCodes.headerMismatch, message: "a request of this version names it in `_meta` too" });
  }
  return ok(version);
}

/** One exchange and what it may send upstream. */
class Conversation {
  readonly peer: Peer;
  readonly #endpoint: McpEndpoint;
  readonly #exchange: HttpExchange;
  readonly #version: string | undefined;
  #sessionId: string | undefined;

  constructor(
    endpoint: McpEndpoint,
    exchange: HttpExchange,
    state: McpState,
    sessionId: string | undefined,
    version: string | undefined,
  ) {
    this.#endpoint = endpoint;
    this.#exchange = exchange;
    this.#sessionId = sessionId;
    this.#version = version;
    const refs = { trace: exchange.traceId, ...(sessionId === undefined ? {} : { mcpSession: sessionId }) };
    const { gate, session, trace } = exchange;
    this.peer = {
      gate,
      session,
      state,
      refs,
      ...(trace === undefined ? {} : { trace: { ...trace, spanId: undefined } }),
    };
  }

  async forward(message: RpcMessage, asked: Asked | undefined, sink: ResponseSink | undefined): Promise<void> {
    const watch = asked && watchSession(this.peer.gate, this.peer.session, asked.decisionId, undefined);
    if (asked?.method === "subscriptions/listen") watch?.isStream("unbounded");
    try {
      await this.#forwardWatched(message, asked, sink, watch);
    } finally {
      watch?.stop();
    }
  }

  async #forwardWatched(
    message: RpcMessage,
    asked: Asked | undefined,
    sink: ResponseSink | undefined,
    watch: SessionWatch | undefined,
  ): Promise<void> {
    const answered = await this.#send(message, asked, watch);
    if (!answered.ok) return this.#lost(asked, answered.error, sink, watch);
    const response = answered.value;
    const upstreamId = headerIn(response, "mcp-session-id");
    if (asked?.method === "initialize" && upstreamId !== undefined && response.status < 300) {
      this.peer.state.upstreamId = upstreamId;
      this.#sessionId = this.#endpoint.sessions.open(this.peer.state);
    }
    if (response.status === 404 && this.#sessionId !== undefined && this.peer.state.upstreamId !== undefined) {
      this.#endpoint.sessions.close(this.#sessionId);
    }
    const type = (headerIn(response, "content-type") ?? "").split(";")[0]?.trim().toLowerCase();
    if (response.status === 200 && type === "text/event-stream") {
      if (asked?.method !== "subscriptions/listen") watch?.isStream("bounded");
      return this.#relayStream(response, asked, sink, watch);
    }
    return this.#relayOne(response, asked, sink, watch);
  }

  #headers(message: RpcMessage | undefined, asked: Asked | undefined): readonly Field[] {
    const { state } = this.peer;
    const passed = this.#exchange.request.headers.filter(([name]) => passedHeaders.has(name));
    const version = this.#version ?? state.version;
    const isModern = version !== undefined && version >= modernVersion && message?.kind === "request";
    return [
      ...passed,
      ["accept", message === undefined ? "text/event-stream" : "application/json, text/event-stream"],
      ["accept-encoding", "identity"],
      ...(message === undefined ? [] : ([["content-type", "application/json"]] as const)),
      ...(state.upstreamId === undefined ? [] : ([["mcp-session-id", state.upstreamId]] as const)),
      ...(isModern
        ? mirrorHeaders(message.method, message.params, version, asked?.tool)
        : version === undefined || asked?.method === "initialize"
          ? []
          : ([["mcp-protocol-version", version]] as const)),
    ];
  }

  async #send(
    message: RpcMessage,
    asked: Asked | undefined,
    watch?: SessionWatch,
  ): Promise<Result<UpstreamResponse, HttpFault>> {
    const [taken, ended] = [asked?.withdrawal?.signal, watch?.signal];
    const signal = taken === undefined || ended === undefined ? (taken ?? ended) : AbortSignal.any([taken, ended]);
    return this.#exchange.forward({
      method: "POST",
      target: this.#endpoint.target,
      headers: this.#headers(message, asked),
      body: Buffer.from(JSON.stringify(writeMessage(message)), "utf8"),
      ...(asked?.method === "subscriptions/listen" ? { idleTimeoutMs: 0 } : {}),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #lost(
    asked: Asked | undefined,
    fault: HttpFault,
    sink: ResponseSink | undefined,
    watch: SessionWatch | undefined,
  ): Promise<void> {
    if (asked === undefined)
      return this.#exchange.answer(failed(fault.status, undefined, rpcCodes.internalError, fault.message));
    const answer = writeMessage(this.#answerLost(asked, watch, fault.code, fault.message));
    if (sink === undefined) return this.#exchange.answer(json(fault.status, answer));
    await sink.write(writeEvent({ event: "message", data: JSON.stringify(answer) }));
    sink.end();
  }

  /** `code`, `text`: what it was, if it wasn't the session that ended. */
  #answerLost(asked: Asked, watch: SessionWatch | undefined, code: string, text: string): RpcMessage {
    const { mediator } = this.#endpoint;
    const version = this.#version ?? this.peer.state.version;
    return watch?.signal.aborted
      ? mediator.cutOff(this.peer, asked, watch.refusal, version !== undefined && version >= modernVersion)
      : mediator.lost(this.peer, asked, code, text);
  }

  /** An answer in one piece, or none: 202 for what needs no answer. */
  async #relayOne(
    response: UpstreamResponse,
    asked: Asked | undefined,
    sink: ResponseSink | undefined,
    watch: SessionWatch | undefined,
  ): Promise<void> {
    const { mediator } = this.#endpoint;
    const body = await readBody(response, limits.mcpAnswerBytesMax);
    const session: readonly Field[] =
      this.#sessionId === undefined || asked?.method !== "initialize" ? [] : [["mcp-session-id", this.#sessionId]];
    if (asked === undefined) {
      const status = response.status < 300 ? 202 : statusFor(response.status);
      return this.#exchange.answer({ status, headers: [], body: "" });
    }
    const message = body === undefined ? undefined : readUpstream(body);
    const down = message && mediator.passDown(this.peer, message, asked);
    const isAnswer = down?.toClient?.kind === "result" || down?.toClient?.kind === "error";
    const shown =
      isAnswer && asked.isAnswered && down.toClient
        ? down.toClient
        : this.#answerLost(
            asked,
            watch,
            "mcp-upstream-answer",
            `the MCP server answered with status ${response.status} and no message that answers this request`,
          );
    const answer = writeMessage(shown);
    if (sink !== undefined) {
      await sink.write(writeEvent({ event: "message", data: JSON.stringify(answer) }));
      return sink.end();
    }
    // A client of both eras tells a server of the old one by its status.
    this.#exchange.answer(json(response.status === 200 ? 200 : statusFor(response.status), answer, session));
  }

  async #relayStream(
    response: UpstreamResponse,
    asked: Asked | undefined,
    held: ResponseSink | undefined,
    watch: SessionWatch | undefined,
  ): Promise<void> {
    const session = asked?.method === "initialize" ? this.#sessionId : undefined;
    const sink = held ?? this.#exchange.stream(streamHead(session));
    const isWhole = await this.relayEvents(response, asked, sink);
    const isCutOff = asked?.withdrawal?.signal.aborted === true || watch?.signal.aborted === true;
    if (asked !== undefined && !asked.isAnswered && (isWhole !== "resumable" || isCutOff)) {
      const answer = this.#answerLost(
        asked,
        watch,
        "mcp-upstream-answer",
        "the MCP server's stream ended without an answer",
      );
      await sink
        .write(writeEvent({ event: "message", data: JSON.stringify(writeMessage(answer)) }))
        .catch(() => undefined);
    }
    sink.end();
  }

  /** Each event's message passes by itself; ids are wrapped, so that they are of use in this session only. */
  async relayEvents(
    response: UpstreamResponse,
    asked: Asked | undefined,
    sink: ResponseSink,
  ): Promise<"resumable" | "ended"> {
    const reader = new EventReader(limits.mcpAnswerBytesMax);
    let isResumable = false;
    try {
      for await (const chunk of response.body) {
        const events = reader.push(chunk);
        if (!events.ok) return "ended";
        // A token that ended ends what it opened; the client comes back with another.
        if (this.#hasExpired()) return "resumable";
        for (const event of events.value) {
          isResumable ||= event.id !== undefined;
          const text = await this.#passEvent(event, asked);
          if (text !== undefined) await sink.write(text);
        }
      }
    } catch (error) {
      // The upstream broke off, or the client is gone, or something broke here: either way the stream ends.
      this.#endpoint.log.debug({ code: "mcp-stream-ended", cause: causeCode(error) }, "a stream broke off");
    } finally {
      response.discard();
    }
    return isResumable ? "resumable" : "ended";
  }

  #hasExpired(): boolean {
    const { expiresAtS } = this.peer.session;
    return expiresAtS !== undefined && expiresAtS * 1_000 <= this.#endpoint.clock.nowMs();
  }

  async #passEvent(event: StreamEvent, asked: Asked | undefined): Promise<string | undefined> {
    const id =
      event.id === undefined || this.#sessionId === undefined
        ? undefined
        : this.#endpoint.sessions.wrapEventId(this.#sessionId, event.id);
    const kept = { id, retry: event.retry };
    // Comments and events without data say nothing; their content isn't passed.
    if (event.data === undefined || event.data === "") {
      if (id === undefined && event.retry === undefined)
        return event.comments.length > 0 ? writeEvent({ comments: [""] }) : undefined;
      return writeEvent({ ...kept, ...(event.data === undefined ? {} : { data: "" }) });
    }
    const message = readUpstream(event.data);
    const down = message && this.#endpoint.mediator.passDown(this.peer, message, asked);
    if (down?.toServer) await this.#reply(down.toServer);
    if (down?.toClient === undefined) return id === undefined ? undefined : writeEvent({ ...kept, data: "" });
    return writeEvent({ ...kept, event: "message", data: JSON.stringify(writeMessage(down.toClient)) });
  }

  /** The gateway answers in the client's place. */
  async #reply(message: RpcMessage): Promise<void> {
    const answered = await this.#send(message, undefined);
    if (answered.ok) answered.value.discard();
  }

  /** One page of `tools/list` of the gateway's own, to learn the types of tools. */
  askForTools(message: RpcMessage): AskForTools {
    return async (cursor) => {
      const params: JsonObject = {
        ...(cursor === undefined ? {} : { cursor }),
        ...envelopeOf(message),
      };
      // Nobody else in the session may have it: servers send answers by ids.
      const id = `gw-${randomUUID()}`;
      const ask: RpcRequest = { kind: "request", id, method: "tools/list", params };
      const answered = await this.#send(ask, undefined);
      if (!answered.ok) return undefined;
      for await (const each of messagesOf(answered.value)) {
        if (each.kind === "result" && each.id === id) return each.result;
        if (each.kind === "error") return undefined;
      }
      return undefined;
    };
  }

  /** The stream of its own that a client opens (2025-11-25), also to hear again what it missed. */
  async listen(lastEventId: string | undefined): Promise<void> {
    const exchange = this.#exchange;
    const stream = this.#endpoint.mediator.openStream(this.peer);
    if (stream === "refused") {
      return exchange.answer(
        failed(403, undefined, rpcCodes.refused, "the gateway's policies don't allow this stream"),
      );
    }
    const watch = watchSession(this.peer.gate, this.peer.session, stream.decisionId, undefined);
    watch.isStream("unbounded");
    try {
      await this.#listen(lastEventId, watch.signal);
    } finally {
      watch.stop();
      stream.end(watch.signal.aborted ? watch.refusal.code : undefined);
    }
  }

  async #listen(lastEventId: string | undefined, signal: AbortSignal): Promise<void> {
    const exchange = this.#exchange;
    const answered = await exchange.forward({
      method: "GET",
      target: this.#endpoint.target,
      headers: [
        ...this.#headers(undefined, undefined),
        ...(lastEventId === undefined ? [] : ([["last-event-id", lastEventId]] as const)),
      ],
      body: undefined,
      idleTimeoutMs: 0,
      signal,
    });
    if (!answered.ok)
      return exchange.answer(failed(answered.error.status, undefined, rpcCodes.internalError, answered.error.message));
    const response = answered.value;
    const type = (headerIn(response, "content-type") ?? "").split(";")[0]?.trim().toLowerCase();
    if (response.status !== 200 || type !== "text/event-stream") {
      response.discard();
      return exchange.answer({
        status: response.status === 200 ? 502 : statusFor(response.status),
        headers: [],
        body: "",
      });
    }
    const sink = exchange.stream(streamHead(undefined));
    await this.relayEvents(response, undefined, sink);
    sink.end();
  }

  async end(): Promise<void> {
    const exchange = this.#exchange;
    const answered = await exchange.forward({
      method: "DELETE",
      target: this.#endpoint.target,
      headers: this.#headers(undefined, undefined),
      body: undefined,
    });
    if (answered.ok) answered.value.discard();
    const status =
      answered.ok && answered.value.status < 300 ? 204 : answered.ok ? statusFor(answered.value.status) : 502;
    exchange.answer({ status, headers: [], body: "" });
  }
}

async function listen(endpoint: McpEndpoint, exchange: HttpExchange): Promise<void> {
  const found = sessionOf(endpoint, exchange);
  if (found === undefined) return exchange.answer({ status: 405, headers: [["allow", "POST"]], body: "" });
  if (found === "gone")
    return exchange.answer(failed(404, undefined, rpcCodes.invalidRequest, "there is no such session"));
  const { id, state } = found;
  const missing = endpoint.resource && missingScopes(endpoint.scopes, exchange.session.identity, undefined);
  if (endpoint.resource !== undefined && Array.isArray(missing)) {
    const refused = failed(403, undefined, rpcCodes.refused, scopeMissing.message);
    const challenge = scopeChallenge(endpoint.resource, missing);
    return exchange.answer({ ...refused, headers: [...refused.headers, ["www-authenticate", challenge]] });
  }
  const wrapped = headerOf(exchange, "last-event-id");
  const lastEventId = wrapped === undefined ? undefined : endpoint.sessions.unwrapEventId(id, wrapped);
  if (wrapped !== undefined && lastEventId === undefined) {
    return exchange.answer(
      failed(400, undefined, rpcCodes.invalidRequest, "this event id is of no use in this session"),
    );
  }
  await new Conversation(endpoint, exchange, state, id, state.version).listen(lastEventId);
}

async function endSession(endpoint: McpEndpoint, exchange: HttpExchange): Promise<void> {
  const found = sessionOf(endpoint, exchange);
  if (found === undefined || found === "gone") {
    return exchange.answer(failed(404, undefined, rpcCodes.invalidRequest, "there is no such session"));
  }
  endpoint.sessions.close(found.id);
  await new Conversation(endpoint, exchange, found.state, found.id, found.state.version).end();
}

function sessionOf(
  endpoint: McpEndpoint,
  exchange: HttpExchange,
): { readonly id: string; readonly state: McpState } | "gone" | undefined {
  const id = headerOf(exchange, "mcp-session-id");
  if (id === undefined) return undefined;
  const state = endpoint.sessions.find(id, ownerOf(exchange.session));
  return state === undefined ? "gone" : { id, state };
}

/** Faults of the gateway's own login upstream are no faults of the client's. */
const statusFor = (status: number): number =>
  status === 401 || status === 403 || status === 407 || status < 400 ? 502 : status > 599 ? 502 : status;

const headerIn = (response: UpstreamResponse, name: string): string | undefined =>
  response.headers.find(([key]) => key === name)?.[1];

/** Protocol version and client of a 2026-07-28 request; its capabilities stay away. */
function envelopeOf(message: RpcMessage): JsonObject {
  const meta = message.kind === "request" ? field(message.params ?? {}, "_meta") : undefined;
  const version = isObject(meta) ? textField(meta, versionMetaKey) : undefined;
  if (!isObject(meta) || version === undefined) return {};
  const client = field(meta, "io.modelcontextprotocol/clientInfo");
  return {
    _meta: {
      [versionMetaKey]: version,
      ...(client === undefined ? {} : { "io.modelcontextprotocol/clientInfo": client }),
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  };
}

/** undefined: longer than may be, or encoded after we asked for plain. */
async function readBody(response: UpstreamResponse, bytesMax: number): Promise<string | undefined> {
  const coding = headerIn(response, "content-encoding");
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > bytesMax || (coding !== undefined && coding !== "identity")) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  } finally {
    response.discard();
  }
  return decodeUtf8(Buffer.concat(chunks));
}

function readUpstream(text: string): RpcMessage | undefined {
  const value = readJson(text, limits.mcpJsonDepthMax);
  if (!value.ok) return undefined;
  const message = readMessage(value.value);
  return message.ok ? message.value : undefined;
}

async function* messagesOf(response: UpstreamResponse): AsyncGenerator<RpcMessage> {
  const type = (headerIn(response, "content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (type !== "text/event-stream") {
    const body = await readBody(response, limits.mcpAnswerBytesMax);
    const message = body === undefined ? undefined : readUpstream(body);
    if (message) yield message;
    return;
  }
  const reader = new EventReader(limits.mcpAnswerBytesMax);
  try {
    for await (const chunk of response.body) {
      const events = reader.push(chunk);
      if (!events.ok) return;
      for (const { data } of events.value) {
        const message = data === undefined ? undefined : readUpstream(data);
        if (message) yield message;
      }
    }
  } finally {
    response.discard();
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
