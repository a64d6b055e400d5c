// A plain HTTP API: decide -> (hold) -> record -> forward -> mask -> complete, one request at a time
import { createHash } from "node:crypto";
import { type ApiDescription, findOperation } from "../../engine/http/api-description.ts";
import { type BodyFacts, httpFacts } from "../../engine/http/facts.ts";
import { httpFault } from "../../engine/http/faults.ts";
import type { CanonicalRequest, Field, HttpFault } from "../../engine/http/request.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { Limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { Refusal, Subject, TrafficCompletion, TrafficVerdict, Withdrawal } from "../gate/traffic.ts";
import { type AnswerPlan, planAnswer, sendAnswer } from "./answer.ts";
import { statusUrlOf } from "./approval-status.ts";
import { boundHeaders, isForwarded, showHeaders } from "./bound-headers.ts";
import { type Captured, captured } from "./captured.ts";
import type { ExchangeHandler, HttpAnswer, HttpExchange, UpstreamRequest, UpstreamResponse } from "./exchange.ts";
import { HttpFaultError } from "./incoming.ts";
import { withoutMethodField } from "./method-field.ts";
import { acceptedForApproval, notRecorded, problemOfFault, problemOfRefusal } from "./problem.ts";
import { type ReadBody, readRequestBody } from "./request-body.ts";
import { type SessionWatch, watchSession } from "./session-watch.ts";

export type ApiDeps = {
  readonly maskKey: Uint8Array;
  /** Of the connection's OpenAPI document. */
  readonly api: ApiDescription | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Log;
};

const unread: BodyFacts = {
  body: new Unknown("the body has not been read"),
  bodySize: new Unknown("the body has not been read"),
};

type Released = TrafficVerdict & { readonly kind: "release" };

export function createApiHandler(deps: ApiDeps): ExchangeHandler {
  return async (arrived) => {
    const { exchange, result } = captured(arrived);
    const judged = await judge(deps, exchange);
    if (!judged.ok) {
      exchange.answer(judged.error);
      return;
    }
    const { verdict, body, withdrawal } = judged.value;
    const plan = planAnswer(verdict.obligations, exchange.request, deps);
    // `whyUnable` has asked the same before the verdict was given.
    if (!plan.ok) throw new Error("a verdict was released that can't be carried out");
    const watch = watchSession(exchange.gate, exchange.session, verdict.decisionId, withdrawal);
    try {
      await forward(deps, { exchange, result }, verdict, plan.value, body, watch);
    } finally {
      watch.stop();
    }
  };
}

type Judged = Waited<Released> & { readonly body: ReadBody | undefined };
type Waited<V> = { readonly verdict: V; readonly withdrawal: Withdrawal | undefined };

/** Everything up to the record of the intent: the verdict that is returned is on record. */
async function judge(deps: ApiDeps, exchange: HttpExchange): Promise<Result<Judged, HttpAnswer>> {
  const { gate, session, request } = exchange;
  let isBodyAsked = false;
  const lazy = (): BodyFacts => {
    isBodyAsked = true;
    return unread;
  };
  let body: ReadBody | undefined;
  let verdict = gate.decide(session, subjectOf(deps, exchange, lazy, undefined));
  const hasBody = request.contentLength.kind !== "none";
  if (hasBody && (isBodyAsked || verdict.kind === "hold")) {
    const bytesMax = verdict.kind === "hold" ? deps.limits.httpApprovalBodyBytesMax : deps.limits.httpReadBodyBytesMax;
    const read = await readBody(deps, exchange, bytesMax);
    if (!read.ok) {
      const fault =
        verdict.kind === "hold" && read.error.status === 413 ? httpFault("approval-body-too-large") : read.error;
      return err(refuseFault(exchange, verdict.subject, fault));
    }
    body = read.value;
    const { bytes, facts } = body;
    verdict = gate.decide(
      session,
      subjectOf(deps, exchange, () => facts, bytes),
    );
    if (verdict.kind === "hold" && bytes.byteLength > deps.limits.httpApprovalBodyBytesMax) {
      return err(refuseFault(exchange, verdict.subject, httpFault("approval-body-too-large")));
    }
  }
  const held =
    verdict.kind === "hold" ? await waitForPeople(exchange, verdict) : ok({ verdict, withdrawal: undefined });
  if (!held.ok) return held;
  const { verdict: settled, withdrawal } = held.value;
  if (!recordVerdict(exchange, settled)) return err(problemOfFault(notRecorded));
  if (settled.kind === "refuse") return err(problemOfRefusal(settled.refusal));
  return settled.kind === "release" ? ok({ verdict: settled, body, withdrawal }) : err(problemOfFault(notRecorded));
}

function recordVerdict({ gate, session }: HttpExchange, verdict: TrafficVerdict): boolean {
  try {
    gate.record(session, [verdict]);
    return true;
  } catch (error) {
    if (error instanceof GatewayError) return false;
    throw error;
  }
}

/** The request can't be read as what it says it is: a refusal like any other, on record. */
function refuseFault(exchange: HttpExchange, subject: Subject, fault: HttpFault): HttpAnswer {
  const { code, message, help, status } = fault;
  const verdict = exchange.gate.refuse(exchange.session, subject, { code, message, help });
  if (!recordVerdict(exchange, verdict)) return problemOfFault(notRecorded);
  return verdict.kind === "refuse" ? problemOfRefusal(verdict.refusal, status) : problemOfFault(fault);
}

/** A client that says `Prefer: respond-async` gets 202 and a status URL; others wait for as long as a hold lasts. */
async function waitForPeople(
  { gate, session, signal, request }: HttpExchange,
  verdict: TrafficVerdict & { readonly kind: "hold" },
): Promise<Result<Waited<TrafficVerdict>, HttpAnswer>> {
  const isAsync = /(?:^|,)\s*respond-async\b/i.test(headerOf(request, "prefer") ?? "");
  const headers = showHeaders(boundHeaders(request.headers));
  const outcome = await gate.hold(session, verdict, signal, {
    ...(isAsync ? { waitMs: 0 } : {}),
    ...(headers === undefined ? {} : { alsoShown: [headers] }),
  });
  switch (outcome.kind) {
    case "granted":
      return ok({ verdict: outcome.verdict, withdrawal: outcome.withdrawal });
    case "withdrawn":
      return err(
        problemOfFault({ status: 499, code: "client-gone", message: "the client went away", help: undefined }),
      );
    case "refused": {
      const { refusal } = outcome;
      const id = refusal.approvalId;
      const isPending = refusal.code === "approval-pending" && id !== undefined;
      return err(isAsync && isPending ? acceptedForApproval(refusal, id, statusUrlOf(id)) : withStatusUrl(refusal));
    }
    default:
      return outcome satisfies never;
  }
}

function withStatusUrl(refusal: Refusal): HttpAnswer {
  const answer = problemOfRefusal(refusal);
  if (refusal.approvalId === undefined) return answer;
  return { ...answer, headers: [...answer.headers, ["location", statusUrlOf(refusal.approvalId)]] };
}

async function readBody(
  deps: ApiDeps,
  { body, request }: HttpExchange,
  bytesMax: number,
): Promise<Result<ReadBody, HttpFault>> {
  const bytes = await body.bytes(Math.max(bytesMax, deps.limits.httpReadBodyBytesMax));
  if (!bytes.ok) return bytes;
  return readRequestBody(bytes.value, request.headers, deps.limits);
}

function subjectOf(
  deps: ApiDeps,
  { request, traceId, trace }: HttpExchange,
  readFacts: () => BodyFacts,
  body: Uint8Array | undefined,
): Subject {
  const headers = boundHeaders(request.headers).map(([name, value]) => `${name}: ${value}`);
  const digest = body === undefined ? [] : [createHash("sha256").update(body).digest("hex")];
  return {
    facts: { protocol: "http", http: httpFacts(request, readFacts, operationOf(deps, request)) },
    text: `${request.method} ${request.target}`,
    access: `${request.method} ${request.path}`,
    binding: [request.host, ...digest, ...headers],
    shown: body === undefined ? [] : [showBody(body)],
    refs: { trace: traceId },
    ...(trace === undefined ? {} : { trace }),
    whyUnable: (obligations) => {
      const plan = planAnswer(obligations, request, deps);
      return plan.ok ? undefined : plan.error;
    },
  };
}

const operationOf = ({ api }: ApiDeps, { method, path }: CanonicalRequest): string | undefined =>
  api && findOperation(api, method, path)?.id;

function showBody(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return `\\x${Buffer.from(body).toString("hex")}`;
  }
}

const headerOf = ({ headers }: CanonicalRequest, name: string): string | undefined =>
  headers.find(([n]) => n === name)?.[1];

const isEventStream = ({ headers }: UpstreamResponse): boolean =>
  headers.some(([name, value]) => name === "content-type" && /^text\/event-stream\b/i.test(value));

/** INVARIANT: the verdict is on record. Every way out of here completes it once. */
async function forward(
  deps: ApiDeps,
  { exchange, result }: Captured,
  verdict: Released,
  plan: AnswerPlan,
  body: ReadBody | undefined,
  watch: SessionWatch,
): Promise<void> {
  const startedMs = performance.now();
  const complete = (completion: Omit<TrafficCompletion, "durationUs">): void =>
    exchange.gate.complete(exchange.session, verdict.decisionId, {
      ...completion,
      result: result(),
      durationUs: Math.round((performance.now() - startedMs) * 1_000),
    });
  const nothing = { rows: 0, bytes: 0 };
  let requestFault: HttpFault | undefined;
  const answered = await exchange.forward({
    ...upstreamRequestOf(exchange, plan, body, (fault) => {
      requestFault = fault;
    }),
    signal: watch.signal,
  });
  if (!answered.ok && watch.signal.aborted) {
    complete({ outcome: "cancelled", tag: watch.refusal.code, ...nothing });
    exchange.answer(problemOfRefusal(watch.refusal));
    return;
  }
  if (!answered.ok) {
    const fault = requestFault ?? answered.error;
    const isGone = exchange.signal.aborted;
    complete({ outcome: isGone ? "aborted" : "error", tag: fault.code, ...nothing });
    exchange.answer(problemOfFault(fault));
    return;
  }
  if (isEventStream(answered.value)) watch.isStream("unbounded");
  const headers: readonly Field[] = [["gw-decision", verdict.decisionId]];
  try {
    const sent = await sendAnswer(exchange, answered.value, plan, headers, verdict.decisionId, watch);
    complete(sent);
  } catch (error) {
    answered.value.discard();
    deps.log.warn(
      { code: "answer-broken", decisionId: verdict.decisionId, cause: causeCode(error) },
      "an answer broke",
    );
    complete({
      outcome: watch.signal.aborted ? "cancelled" : exchange.signal.aborted ? "aborted" : "error",
      tag: watch.signal.aborted ? watch.refusal.code : String(answered.value.status),
      ...nothing,
    });
    exchange.destroy();
  }
}

/** `onFault`: the client's body broke off, or was too long, while it was passed on. */
function upstreamRequestOf(
  { request, body: unreadBody }: HttpExchange,
  plan: AnswerPlan,
  body: ReadBody | undefined,
  onFault: (fault: HttpFault) => void,
): UpstreamRequest {
  const { method, target, contentLength } = request;
  const headers = plan.requestHeaders(body?.headers ?? request.headers).filter(isForwarded);
  if (contentLength.kind === "none") return { method, target, headers, body: undefined };
  if (body !== undefined) return { method, target, headers, body: body.bytes };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* withoutMethodField(unreadBody.chunks(), request.headers);
    } catch (error) {
      if (error instanceof HttpFaultError) onFault(error.fault);
      throw error;
    }
  }
  const bytes = contentLength.kind === "bytes" ? contentLength.bytes : undefined;
  return { method, target, headers, body: { chunks: chunks(), bytes } };
}
