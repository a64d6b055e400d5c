// A WebSocket through a plain HTTP API: decided as the method CONNECT (as RFC 8441 names it), so that no rule about GET allows one
import { httpFacts } from "../../engine/http/facts.ts";
import { httpFault } from "../../engine/http/faults.ts";
import type { Field } from "../../engine/http/request.ts";
import { noObligations, type Obligations } from "../../engine/model/decision.ts";
import { GatewayError } from "../errors.ts";
import type { Subject, TrafficVerdict, Withdrawal } from "../gate/traffic.ts";
import { showHeaders } from "./bound-headers.ts";
import type { UpgradeExchange, UpgradeHandler } from "./exchange.ts";
import { notRecorded, problemOfFault, problemOfRefusal } from "./problem.ts";
import { watchSession } from "./session-watch.ts";

/** Frames aren't read: what would have to look into them is refused. */
export const upgradeApi: UpgradeHandler = async (exchange) => {
  const { gate, session } = exchange;
  const startedMs = performance.now();
  let withdrawal: Withdrawal | undefined;
  let verdict: TrafficVerdict = gate.decide(session, subjectOf(exchange));
  if (verdict.kind === "hold") {
    const headers = showHeaders(boundOf(exchange));
    const alsoShown = headers === undefined ? [] : [headers];
    const outcome = await gate.hold(session, verdict, exchange.signal, { alsoShown });
    if (outcome.kind === "withdrawn") return;
    if (outcome.kind === "refused") return exchange.refuse(problemOfRefusal(outcome.refusal));
    verdict = outcome.verdict;
    withdrawal = outcome.withdrawal;
  }
  try {
    gate.record(session, [verdict]);
  } catch (error) {
    if (error instanceof GatewayError) return exchange.refuse(problemOfFault(notRecorded));
    throw error;
  }
  if (verdict.kind === "refuse") return exchange.refuse(problemOfRefusal(verdict.refusal));
  const { decisionId } = verdict;
  const complete = (outcome: "ok" | "error" | "cancelled", tag: string, bytes: number): void =>
    gate.complete(session, decisionId, {
      outcome,
      tag,
      rows: 0,
      bytes,
      durationUs: Math.round((performance.now() - startedMs) * 1_000),
    });
  const { target, headers } = exchange.request;
  const watch = watchSession(gate, session, decisionId, withdrawal);
  watch.isStream("unbounded");
  try {
    const upgraded = await exchange.forward({ target, headers }, watch.signal);
    if (watch.signal.aborted) {
      if (upgraded.ok) upgraded.value.socket.destroy();
      complete("cancelled", watch.refusal.code, 0);
      return exchange.refuse(problemOfRefusal(watch.refusal));
    }
    if (!upgraded.ok) {
      complete("error", upgraded.error.code, 0);
      return exchange.refuse(problemOfFault(upgraded.error));
    }
    const { sent } = await exchange.accept(upgraded.value, watch.signal);
    if (watch.signal.aborted) complete("cancelled", watch.refusal.code, sent);
    else complete("ok", "101", sent);
  } finally {
    watch.stop();
  }
};

const boundOf = ({ request }: Pick<UpgradeExchange, "request">): readonly Field[] =>
  request.headers.filter(([name]) => name !== "sec-websocket-key");

function subjectOf({ request, traceId, trace }: UpgradeExchange): Subject {
  const asConnect = { ...request, method: "CONNECT" };
  const none = { body: undefined, bodySize: 0 };
  return {
    facts: { protocol: "http", http: httpFacts(asConnect, () => none) },
    text: `CONNECT ${request.target}`,
    access: `CONNECT ${request.path}`,
    binding: [request.host, ...boundOf({ request }).map(([n, v]) => `${n}: ${v}`)],
    shown: [],
    refs: { trace: traceId },
    ...(trace === undefined ? {} : { trace }),
    whyUnable,
  };
}

function whyUnable({ content, items, limits }: Obligations = noObligations): ReturnType<Subject["whyUnable"]> {
  const looksInside =
    content !== undefined ||
    items !== undefined ||
    limits.some((l) => l.window === undefined || (l.unit !== "requests" && l.unit !== "calls"));
  if (!looksInside) return undefined;
  const { code } = httpFault("upgrade-refused");
  return {
    code,
    message: "a rule masks, filters or measures what a WebSocket would carry unread",
    help: "say in that rule, or by a route, that it isn't meant",
  };
}
