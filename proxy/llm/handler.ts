// The model channel: requests decided, tool uses of answers decided, in both forms of an answer. Anthropic Messages API.
import { EventReader, writeEvent } from "../../engine/lib/event-stream.ts";
import type { Json } from "../../engine/lib/json.ts";
import {
  canonicalJson,
  field,
  isObject,
  type JsonObject,
  readJson,
  textField,
  withField,
} from "../../engine/lib/read-json.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import {
  AnswerStream,
  type AnswerSummary,
  denyUse,
  type ModelEvent,
  refusalStream,
  replayUse,
  summaryOfMessage,
  type ToolUse,
  usesOf,
  withDenied,
} from "../../engine/llm/answer-stream.ts";
import { maskRequest } from "../../engine/llm/mask-request.ts";
import {
  expectedUsage,
  factsAtProvider,
  factsOfRequest,
  type LlmFault,
  type ModelRequest,
  readModelRequest,
  restoreDenied,
} from "../../engine/llm/request.ts";
import { costUsd, inputTokens, type PriceTable, totalTokens } from "../../engine/llm/usage.ts";
import { refusalText } from "../../engine/mcp/deny.ts";
import type { ContentMasker } from "../../engine/mcp/mask-text.ts";
import type { ContentMask, Obligations } from "../../engine/model/decision.ts";
import type { LlmFacts } from "../../engine/model/request.ts";
import type { RecordedResult } from "../../engine/model/session-event.ts";
import type { Clock, Log, NewId } from "../deps.ts";
import type { Refusal, Subject, TrafficVerdict, Unable, Withdrawal } from "../gate/traffic.ts";
import { type Captured, captured } from "../http/captured.ts";
import type { HttpExchange, ResponseSink, UpstreamResponse } from "../http/exchange.ts";
import { type SessionWatch, watchSession } from "../http/session-watch.ts";
import { ownerOf } from "../mcp/sessions.ts";
import { bodyResult } from "../recording/results.ts";
import { errorAnswer, refusedAnswer } from "./answers.ts";
import type { Denials } from "./denials.ts";

export type LlmEndpoint = {
  /** `llm.provider` in policies. */
  readonly provider: string;
  readonly prices: PriceTable;
  readonly makeMasker: (masks: readonly ContentMask[]) => ContentMasker;
  readonly whyUnable: (masks: readonly ContentMask[]) => Unable | undefined;
  readonly denials: Denials;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
};

type Released = TrafficVerdict & { readonly kind: "release" };

export function createLlmHandler(endpoint: LlmEndpoint): (exchange: HttpExchange) => Promise<void> {
  return async (exchange) => {
    const { method, path } = exchange.request;
    // Clients look whether somebody is there; nothing of it goes on.
    if (method === "HEAD") return exchange.answer({ status: 200, headers: [], body: "" });
    const run = new LlmExchange(endpoint, exchange);
    if (method === "POST" && path === "/v1/messages") return run.messages();
    if (method === "POST" && path === "/v1/messages/count_tokens") return run.countTokens();
    if (method === "GET" && path === "/v1/models") return run.models();
    if (method === "GET" && /^\/v1\/models\/[^/]+$/.test(path)) return run.model(path.slice("/v1/models/".length));
    if (/^\/v1\/messages\/batches(?:\/|$)/.test(path)) return run.atProvider("batches");
    if (/^\/v1\/files(?:\/|$)/.test(path)) return run.atProvider("files");
    return run.refuse({
      code: "llm-path-unknown",
      message: "this part of the model's API isn't passed",
      help: "messages, count_tokens and models are; batches and files where a rule names them",
    });
  };
}

class LlmExchange {
  readonly #endpoint: LlmEndpoint;
  readonly #exchange: HttpExchange;
  readonly #startedAtMs: number;

  /** What the client got so far, where it is recorded. */
  readonly #sent: Captured["result"];

  constructor(endpoint: LlmEndpoint, arrived: HttpExchange) {
    this.#endpoint = endpoint;
    const { exchange, result } = captured(arrived);
    this.#exchange = exchange;
    this.#sent = result;
    this.#startedAtMs = endpoint.clock.nowMs();
  }

  // ---- what is asked

  async messages(): Promise<void> {
    const request = await this.#read();
    if (request === undefined) return;
    const verdict = this.#decideRequest(request, "messages");
    if (verdict.kind === "refuse") return this.#answerRefusal(verdict);
    const atProvider = this.#decideAtProvider(request);
    if (atProvider !== undefined) return this.#answerRefusal(atProvider);
    if (verdict.kind === "hold") return this.#hold(request, verdict);
    this.#exchange.gate.record(this.#exchange.session, [verdict]);
    return this.#ask(request, verdict, undefined);
  }

  async countTokens(): Promise<void> {
    const request = await this.#read();
    if (request === undefined) return;
    const verdict = this.#decideRequest(request, "count_tokens");
    if (verdict.kind === "hold") return this.refuse(cannotWait);
    const atProvider = verdict.kind === "release" ? this.#decideAtProvider(request) : undefined;
    if (verdict.kind === "refuse" || atProvider !== undefined) {
      const refused = verdict.kind === "refuse" ? verdict : atProvider;
      return refused && this.#answerRefusal(refused);
    }
    this.#exchange.gate.record(this.#exchange.session, [verdict]);
    const body = this.#maskedBody(request, verdict);
    if (body === undefined) return;
    return this.#passThrough(verdict, Buffer.from(JSON.stringify(body), "utf8"));
  }

  async models(): Promise<void> {
    const verdict = this.#decide(modelFacts(this.#endpoint.provider, ""), "models", []);
    if (verdict.kind === "hold") return this.refuse(cannotWait);
    this.#exchange.gate.record(this.#exchange.session, [verdict]);
    if (verdict.kind === "refuse") return this.#exchange.answer(refusedAnswer(verdict.refusal));
    return this.#passThrough(verdict, undefined, (body) => {
      const list = field(body, "data");
      if (!Array.isArray(list)) return withField(body, "data", []);
      return withField(
        body,
        "data",
        list.filter(isObject).filter((model) => this.#mayUse(textField(model, "id"))),
      );
    });
  }

  async model(id: string): Promise<void> {
    const verdict = this.#decide(modelFacts(this.#endpoint.provider, id), `models ${id}`, []);
    if (verdict.kind === "hold") return this.refuse(cannotWait);
    this.#exchange.gate.record(this.#exchange.session, [verdict]);
    if (verdict.kind === "refuse") return this.#exchange.answer(refusedAnswer(verdict.refusal));
    return this.#passThrough(verdict, undefined);
  }

  /** Batches and files do their work before any answer is seen: the request is all there is to decide. */
  async atProvider(what: "batches" | "files"): Promise<void> {
    const { request, body, gate, session } = this.#exchange;
    const verdict = this.#decide(
      factsAtProvider(what, this.#endpoint.provider),
      `${request.method} ${request.target}`,
      [],
    );
    if (verdict.kind === "hold") return this.refuse(cannotWait);
    gate.record(session, [verdict]);
    if (verdict.kind === "refuse") return this.#exchange.answer(refusedAnswer(verdict.refusal));
    if ((verdict.obligations.content ?? []).length > 0) return this.#withhold(verdict, unmaskable("a batch or file"));
    const bytes = request.contentLength.kind === "none" ? undefined : await body.bytes(limits.llmRequestBytesMax);
    if (bytes !== undefined && !bytes.ok) return this.#withhold(verdict, { ...bytes.error });
    return this.#passThrough(verdict, bytes?.value);
  }

  refuse(fault: LlmFault): void {
    const { gate, session, request } = this.#exchange;
    const facts = modelFacts(this.#endpoint.provider, "");
    const verdict = gate.refuse(session, this.#subject(facts, `${request.method} ${request.path}`, []), fault);
    gate.record(session, [verdict]);
    this.#exchange.answer(verdict.kind === "refuse" ? refusedAnswer(verdict.refusal) : errorAnswer(fault.message));
  }

  async #read(): Promise<ModelRequest | undefined> {
    const bytes = await this.#exchange.body.bytes(limits.llmRequestBytesMax);
    if (!bytes.ok) {
      this.refuse(bytes.error);
      return undefined;
    }
    const coding = this.#exchange.request.headers.find(([name]) => name === "content-encoding")?.[1];
    const text = coding === undefined || coding === "identity" ? decodeUtf8(bytes.value) : undefined;
    if (text === undefined) {
      this.refuse({
        code: "llm-request-malformed",
        message: "the body is JSON in UTF-8, without an encoding",
        help: undefined,
      });
      return undefined;
    }
    const value = readJson(text, limits.llmJsonDepthMax);
    if (!value.ok) {
      this.refuse({ ...value.error, help: undefined });
      return undefined;
    }
    const owner = ownerOf(this.#exchange.session);
    const restored = isObject(value.value)
      ? restoreDenied(value.value, (id) => this.#endpoint.denials.get(owner, id))
      : value.value;
    const request = readModelRequest(restored);
    if (request.ok) return request.value;
    this.refuse(request.error);
    return undefined;
  }

  // ---- decisions

  #subject(
    facts: LlmFacts,
    text: string,
    binding: readonly string[],
    refs: Readonly<Record<string, string>> = {},
  ): Subject {
    return {
      facts: { protocol: "llm", llm: facts },
      text,
      access:
        facts.toolUse === undefined || facts.toolUse instanceof Unknown
          ? `model ${facts.model}`
          : `tool ${facts.toolUse}`,
      binding: [text, ...binding],
      shown: [],
      refs: { trace: this.#exchange.traceId, ...refs },
      ...(this.#exchange.trace === undefined ? {} : { trace: { ...this.#exchange.trace, spanId: undefined } }),
      whyUnable: (obligations) => this.#whyUnable(obligations, facts.model),
    };
  }

  #whyUnable({ content = [], limits: owed }: Obligations, model: string): Unable | undefined {
    if (content.some((mask) => mask.content.format !== "text")) {
      return {
        code: "llm-mask-json",
        message: "masks of JSON paths say nothing about the text that a model reads",
        help: 'mask kinds of text on `llm`: `mask x of text "email" using tokenize on llm`',
      };
    }
    const hasBudget = owed.some(({ unit }) => unit === "usd");
    if (
      hasBudget &&
      model !== "" &&
      costUsd({ input: 0, cacheWrite: 0, cacheRead: 0, output: 0 }, model, this.#endpoint.prices) === undefined
    ) {
      return {
        code: "llm-price-unknown",
        message: `a budget in US dollars needs the price of \`${model}\``,
        help: "add it to `prices` of the connection",
      };
    }
    return this.#endpoint.whyUnable(content);
  }

  #decide(
    facts: LlmFacts,
    text: string,
    binding: readonly string[],
    refs?: Readonly<Record<string, string>>,
  ): TrafficVerdict {
    return this.#exchange.gate.decide(this.#exchange.session, this.#subject(facts, text, binding, refs));
  }

  #decideRequest(request: ModelRequest, what: string): TrafficVerdict {
    const { provider } = this.#endpoint;
    const results = request.results.map(({ id }) => id).join(",");
    const text = `${what} ${request.model}: ${request.summary}`;
    const refs = results === "" ? {} : { toolResults: results };
    const subject = this.#subject(factsOfRequest(request, provider), text, [request.canonical], refs);
    const { session, gate } = this.#exchange;
    return gate.decide(session, what === "messages" ? { ...subject, reserve: this.#reserve(request) } : subject);
  }

  #reserve(request: ModelRequest): { readonly tokens: number; readonly usd: number } {
    const usage = expectedUsage(request);
    return { tokens: totalTokens(usage), usd: costUsd(usage, request.model, this.#endpoint.prices) ?? 0 };
  }

  /** Each thing that runs at the provider needs a rule that names it. */
  #decideAtProvider(request: ModelRequest): (TrafficVerdict & { readonly kind: "refuse" }) | undefined {
    for (const what of request.atProvider) {
      const verdict = this.#decide(factsAtProvider(what, this.#endpoint.provider), `at the provider: ${what}`, [
        request.canonical,
      ]);
      if (verdict.kind === "refuse") return verdict;
      if (verdict.kind === "hold") {
        const refused = this.#exchange.gate.refuse(this.#exchange.session, verdict.subject, cannotWait);
        if (refused.kind === "refuse") return refused;
      }
      this.#exchange.gate.record(this.#exchange.session, [verdict]);
      this.#complete(verdict.decisionId, "ok", undefined);
    }
    return undefined;
  }

  #mayUse(model: string | undefined): boolean {
    if (model === undefined) return false;
    const subject = this.#subject(modelFacts(this.#endpoint.provider, model), `model ${model}`, []);
    const decision = this.#exchange.gate.preview(this.#exchange.session, subject, "optimistic");
    return decision !== undefined && decision.effect !== "deny";
  }

  #answerRefusal(verdict: TrafficVerdict & { readonly kind: "refuse" }): void {
    this.#exchange.gate.record(this.#exchange.session, [verdict]);
    this.#exchange.answer(refusedAnswer(verdict.refusal));
  }

  /** Released, and yet it can't go on. */
  #withhold(verdict: Released, why: Unable, sink?: ResponseSink): void {
    this.#complete(verdict.decisionId, "refused", why.code);
    this.#tellWithheld(verdict, why, sink);
  }

  #tellWithheld(verdict: Released, why: Unable, sink: ResponseSink | undefined): void {
    const refusal: Refusal = {
      decisionId: verdict.decisionId,
      code: why.code,
      reason: why.message,
      rules: verdict.decision.rules,
      help: why.help,
      approvalId: undefined,
      retry: "never",
    };
    if (sink === undefined) this.#exchange.answer(refusedAnswer(refusal));
    else void this.#sendRefusal(sink, "", refusal);
  }

  // ---- waiting for people

  async #hold(request: ModelRequest, verdict: TrafficVerdict & { readonly kind: "hold" }): Promise<void> {
    const { gate, session, signal } = this.#exchange;
    const sink = request.isStream ? this.#exchange.stream(streamHead) : undefined;
    const stop = beat(sink);
    const outcome = await gate.hold(session, verdict, signal, { waitMs: limits.trafficHoldMsMax }).finally(stop);
    if (outcome.kind === "granted") return this.#ask(request, outcome.verdict, sink, outcome.withdrawal);
    if (outcome.kind === "withdrawn") return sink === undefined ? this.#exchange.destroy() : sink.end();
    if (sink === undefined) return this.#exchange.answer(refusedAnswer(outcome.refusal));
    return this.#sendRefusal(sink, request.model, outcome.refusal);
  }

  async #sendRefusal(sink: ResponseSink, model: string, refusal: Refusal): Promise<void> {
    const id = this.#endpoint.newId("msg_gateway");
    for (const event of refusalStream(model, refusalText(refusal), id)) await sink.write(eventText(event));
    sink.end();
  }

  // ---- to the model and back

  #maskedBody(request: ModelRequest, verdict: Released): JsonObject | undefined {
    const masks = verdict.obligations.content ?? [];
    if (masks.length === 0) return request.body;
    const masked = maskRequest(request.body, this.#endpoint.makeMasker(masks));
    if (masked.ok) return masked.value;
    this.#withhold(verdict, unmaskable(masked.error.what));
    return undefined;
  }

  /** INVARIANT: the verdict is on record. */
  async #ask(
    request: ModelRequest,
    verdict: Released,
    held: ResponseSink | undefined,
    withdrawal?: Withdrawal,
  ): Promise<void> {
    const { gate, session } = this.#exchange;
    const watch = watchSession(gate, session, verdict.decisionId, withdrawal);
    try {
      await this.#askWatched(request, verdict, held, watch);
    } finally {
      watch.stop();
    }
  }

  async #askWatched(
    request: ModelRequest,
    verdict: Released,
    held: ResponseSink | undefined,
    watch: SessionWatch,
  ): Promise<void> {
    const masks = verdict.obligations.content ?? [];
    const masked = masks.length === 0 ? undefined : maskRequest(request.body, this.#endpoint.makeMasker(masks));
    if (masked !== undefined && !masked.ok) return this.#withhold(verdict, unmaskable(masked.error.what), held);
    const body = masked?.ok ? masked.value : request.body;
    const answered = await this.#forward(Buffer.from(JSON.stringify(body), "utf8"), watch.signal);
    if (!answered.ok && watch.signal.aborted) {
      this.#completeAnswer(verdict, request, untold, "cancelled", 0, undefined, watch.refusal.code);
      if (held === undefined) return this.#exchange.answer(refusedAnswer(watch.refusal));
      return this.#sendRefusal(held, request.model, watch.refusal);
    }
    if (!answered.ok) {
      // Whoever leaves before the first word has asked all the same.
      if (this.#exchange.signal.aborted) this.#completeAnswer(verdict, request, untold, "aborted", 0, undefined);
      else this.#complete(verdict.decisionId, "error", answered.error.code);
      if (held !== undefined) return held.end();
      return this.#exchange.answer(overloaded(answered.error.message));
    }
    const response = answered.value;
    if (response.status !== 200) return this.#relayError(verdict, response, held);
    const type = (headerIn(response, "content-type") ?? "").split(";")[0]?.trim().toLowerCase();
    if (type === "text/event-stream") return this.#relayStream(request, verdict, response, held, watch);
    return this.#relayMessage(request, verdict, response, held);
  }

  #forward(body: Uint8Array | undefined, signal?: AbortSignal) {
    const { request } = this.#exchange;
    const headers = request.headers.filter(([name]) => !ownHeaders.has(name));
    return this.#exchange.forward({
      method: request.method,
      target: request.target,
      headers: [...headers, ["accept-encoding", "identity"]],
      body,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** The provider's own words, as they are; but a client must not try the gateway's login again. */
  async #relayError(verdict: Released, response: UpstreamResponse, held: ResponseSink | undefined): Promise<void> {
    const body = await readAll(response, limits.llmAnswerBytesMax);
    this.#complete(verdict.decisionId, "error", String(response.status));
    if (held !== undefined) return held.end();
    if (response.status === 401 || body === undefined) {
      return this.#exchange.answer(
        errorAnswer("the provider refused the gateway's own key: tell whoever runs the gateway"),
      );
    }
    this.#exchange.answer({ status: response.status, headers: passedBack(response), body });
  }

  async #relayStream(
    request: ModelRequest,
    verdict: Released,
    response: UpstreamResponse,
    held: ResponseSink | undefined,
    watch: SessionWatch,
  ): Promise<void> {
    watch.isStream("bounded");
    const sink = held ?? this.#exchange.stream({ status: 200, headers: passedBack(response) });
    const stream = new AnswerStream();
    const reader = new EventReader(limits.llmEventBytesMax);
    let outcome: "ok" | "error" | "aborted" | "refused" | "cancelled" = "ok";
    let why: string | undefined;
    try {
      for await (const chunk of response.body) {
        const events = reader.push(chunk);
        if (!events.ok) throw new BrokenAnswer(events.error);
        // What came together goes together: a write for each event would cost more than all the rest.
        let text = "";
        for (const event of events.value) {
          if (event.data === undefined) continue;
          const step = stream.push(modelEvent(event.event, event.data));
          if (step?.kind === "broken") throw new BrokenAnswer(step.fault.code);
          if (step?.kind === "pass") text += eventText(step.event);
          if (step?.kind !== "tool-use") continue;
          // Deciding may take minutes: what came before it doesn't wait.
          if (text !== "") await sink.write(text);
          text = await this.#decidedUse(request, verdict, step.use, stream.summary(), sink);
        }
        if (text !== "") await sink.write(text);
      }
      if (!stream.summary().isEnded) outcome = "error";
      sink.end();
    } catch (error) {
      outcome = this.#exchange.signal.aborted ? "aborted" : error instanceof BrokenAnswer ? "refused" : "error";
      if (outcome !== "aborted" && watch.signal.aborted) {
        outcome = "cancelled";
        why = watch.refusal.code;
      }
      // A cut stream makes a client ask again in the other form, where the same is decided again.
      this.#exchange.destroy();
    } finally {
      response.discard();
      this.#completeAnswer(verdict, request, stream.summary(), outcome, sink.bytes(), this.#sent(), why);
    }
  }

  async #decidedUse(
    request: ModelRequest,
    verdict: Released,
    use: ToolUse,
    answer: AnswerSummary,
    sink: ResponseSink,
  ): Promise<string> {
    const stop = beat(sink);
    const denial = await this.#decideUse(request, verdict, use, answer).finally(stop);
    const events = denial === undefined ? replayUse(use) : denyUse(use, denial);
    return events.map(eventText).join("");
  }

  async #relayMessage(
    request: ModelRequest,
    verdict: Released,
    response: UpstreamResponse,
    held: ResponseSink | undefined,
  ): Promise<void> {
    const bytes = await readAll(response, limits.llmAnswerBytesMax);
    const text = bytes && decodeUtf8(bytes);
    const value = text === undefined ? undefined : readJson(text, limits.llmJsonDepthMax);
    const message = value?.ok && isObject(value.value) ? value.value : undefined;
    const uses = message === undefined ? malformedAnswer : usesOf(message);
    if (message === undefined || !Array.isArray(uses)) {
      // Paid for all the same.
      const answer = message === undefined ? untold : summaryOfMessage(message);
      this.#completeAnswer(verdict, request, answer, "refused", 0, undefined);
      return this.#tellWithheld(verdict, "code" in uses ? uses : malformedAnswer, held);
    }
    const summary = summaryOfMessage(message);
    const denied = new Map<number, string>();
    try {
      for (const use of uses) {
        const denial = await this.#decideUse(request, verdict, use, summary);
        if (denial !== undefined) denied.set(use.index, denial);
      }
    } catch (error) {
      // It was answered, so it is paid for, whoever is there to read it.
      const outcome = this.#exchange.signal.aborted ? "aborted" : "error";
      this.#completeAnswer(verdict, request, summary, outcome, 0, undefined);
      if (!(error instanceof BrokenAnswer)) throw error;
      return this.#exchange.destroy();
    }
    const shown = JSON.stringify(withDenied(message, denied));
    this.#completeAnswer(verdict, request, summary, "ok", Buffer.byteLength(shown), this.#resultOf(response, shown));
    if (held === undefined) this.#exchange.answer({ status: 200, headers: passedBack(response), body: shown });
    else held.end();
  }

  /** @returns what the model is told when its tool use is denied */
  async #decideUse(
    request: ModelRequest,
    asked: Released,
    use: ToolUse,
    answer: AnswerSummary,
  ): Promise<string | undefined> {
    const { gate, session, signal } = this.#exchange;
    const owner = ownerOf(session);
    const refs = {
      toolUse: use.id,
      request: asked.decisionId,
      ...(answer.messageId === undefined ? {} : { message: answer.messageId }),
    };
    const facts: LlmFacts = {
      provider: this.#endpoint.provider,
      model: request.model,
      tools: request.tools,
      toolUse: use.name,
      toolInput: use.input ?? new Unknown("the input is not JSON"),
      inputTokens: inputTokens(answer.usage),
      inputTokensBound: request.inputTokensBound,
      maxTokens: request.maxTokens,
    };
    const text = `tool_use ${use.name} ${use.input === undefined ? "(unreadable input)" : canonicalJson(use.input)}`;
    const subject = { ...this.#subject(facts, text, [], refs), whyUnable: () => undefined };
    const deny = (refusal: Refusal): string => {
      const told = refusalText(refusal);
      this.#endpoint.denials.put(owner, use.id, { name: use.name, input: use.input ?? {}, text: told });
      return told;
    };
    let verdict =
      use.input === undefined ? gate.refuse(session, subject, unreadableInput) : gate.decide(session, subject);
    if (verdict.kind === "hold") {
      const outcome = await gate.hold(session, verdict, signal, { waitMs: limits.trafficHoldMsMax });
      if (outcome.kind === "withdrawn") throw new BrokenAnswer("gone");
      if (outcome.kind === "refused") return deny(outcome.refusal);
      verdict = outcome.verdict;
    } else gate.record(session, [verdict]);
    if (verdict.kind === "refuse") return deny(verdict.refusal);
    this.#complete(verdict.decisionId, "ok", undefined);
    return undefined;
  }

  // ---- passing on what has no tool uses in it

  async #passThrough(
    verdict: Released,
    body: Uint8Array | undefined,
    show?: (body: JsonObject) => JsonObject,
  ): Promise<void> {
    const answered = await this.#forward(body);
    if (!answered.ok) {
      this.#complete(verdict.decisionId, "error", answered.error.code);
      return this.#exchange.answer(overloaded(answered.error.message));
    }
    const response = answered.value;
    if (response.status !== 200) return this.#relayError(verdict, response, undefined);
    const bytes = await readAll(response, limits.llmAnswerBytesMax);
    const text = bytes && decodeUtf8(bytes);
    const value = text === undefined ? undefined : readJson(text, limits.llmJsonDepthMax);
    const read = value?.ok && isObject(value.value) ? value.value : undefined;
    // A list that can't be read can't be shown as far as it may be.
    const shown = show === undefined ? bytes : read && JSON.stringify(show(read));
    if (shown === undefined) return this.#withhold(verdict, malformedAnswer);
    this.#complete(verdict.decisionId, "ok", "200", this.#resultOf(response, shown));
    this.#exchange.answer({ status: 200, headers: passedBack(response), body: shown });
  }

  #resultOf(response: UpstreamResponse, body: Uint8Array | string): RecordedResult | undefined {
    const caps = this.#exchange.gate.resultCaps;
    return caps && bodyResult(body, headerIn(response, "content-type"), caps);
  }

  #complete(
    decisionId: string,
    outcome: "ok" | "error" | "refused" | "aborted",
    tag: string | undefined,
    result: RecordedResult | undefined = undefined,
  ): void {
    const { gate, session } = this.#exchange;
    const durationUs = Math.max(0, this.#endpoint.clock.nowMs() - this.#startedAtMs) * 1_000;
    gate.complete(session, decisionId, { outcome, tag, rows: 0, bytes: 0, durationUs, result });
  }

  #completeAnswer(
    verdict: Released,
    request: ModelRequest,
    answer: AnswerSummary,
    outcome: "ok" | "error" | "refused" | "aborted" | "cancelled",
    bytes: number,
    result: RecordedResult | undefined,
    why: string | undefined = answer.stopReason,
  ): void {
    // The provider had the request: where it said nothing of it, its input is counted as it was expected.
    const isTold = answer.isEnded || answer.messageId !== undefined;
    const usage = isTold ? answer.usage : { ...answer.usage, input: expectedUsage(request).input };
    const usd = costUsd(usage, request.model, this.#endpoint.prices);
    this.#exchange.gate.complete(this.#exchange.session, verdict.decisionId, {
      outcome,
      tag: why,
      rows: 0,
      bytes,
      durationUs: Math.max(0, this.#endpoint.clock.nowMs() - this.#startedAtMs) * 1_000,
      tokens: totalTokens(usage),
      ...(usd === undefined ? {} : { usd }),
      refs: answer.messageId === undefined ? {} : { message: answer.messageId },
      result,
    });
  }
}

/** What came can't be followed any more, or nobody is there. */
class BrokenAnswer extends Error {
  override readonly name = "BrokenAnswer";
}

/** Of an answer that nobody heard. */
const untold = new AnswerStream().summary();

const modelFacts = (provider: string, model: string): LlmFacts => ({
  provider,
  model,
  tools: new Set(),
  toolUse: undefined,
  inputTokens: 0,
  maxTokens: undefined,
});

const cannotWait: LlmFault = {
  code: "llm-cannot-wait",
  message: "this part of the model's API can't wait for approval",
  help: "ask for approval of requests to models and of tool uses",
};
const unmaskable = (what: string): Unable => ({
  code: "llm-unmaskable",
  message: `the request holds ${what}: what a mask can't read doesn't reach the model`,
  help: "leave it out, or ask the policy's owner",
});
const unreadableInput: LlmFault = {
  code: "llm-input-malformed",
  message: "the input of this tool use is not complete JSON",
  help: undefined,
};
const malformedAnswer: LlmFault = {
  code: "llm-answer-malformed",
  message: "the provider's answer can't be read",
  help: undefined,
};

/** The client tries again by itself, as it does when the provider is busy. */
const overloaded = (message: string) => ({
  status: 529,
  headers: [["content-type", "application/json"]] as const,
  body: JSON.stringify({ type: "error", error: { type: "overloaded_error", message } }),
});

const ownHeaders: ReadonlySet<string> = new Set(["accept-encoding", "x-gw-session", "content-length"]);

const streamHead = {
  status: 200,
  headers: [
    ["content-type", "text/event-stream; charset=utf-8"],
    ["cache-control", "no-cache"],
  ],
} as const;

const passedBack = (response: UpstreamResponse) =>
  response.headers.filter(
    ([name]) => name !== "content-length" && name !== "content-encoding" && name !== "set-cookie",
  );

const headerIn = (response: UpstreamResponse, name: string): string | undefined =>
  response.headers.find(([key]) => key === name)?.[1];

const eventText = ({ event, data }: ModelEvent): string => writeEvent({ event, data: JSON.stringify(data) });

/** @throws BrokenAnswer for what isn't an event of the API */
function modelEvent(event: string | undefined, data: string): ModelEvent {
  const read = readJson(data, limits.llmJsonDepthMax);
  const value: Json | undefined = read.ok ? read.value : undefined;
  if (!isObject(value)) throw new BrokenAnswer("llm-answer-malformed");
  return { event: event ?? textField(value, "type") ?? "", data: value };
}

/** `ping` while people decide. Returns how to stop. */
function beat(sink: ResponseSink | undefined): () => void {
  if (sink === undefined) return () => undefined;
  const ping = eventText({ event: "ping", data: { type: "ping" } });
  const timer = setInterval(() => void sink.write(ping).catch(() => undefined), limits.holdBeatMs);
  timer.unref();
  return () => clearInterval(timer);
}

async function readAll(response: UpstreamResponse, bytesMax: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > bytesMax) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch {
    return undefined;
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
