// a request that can't be read, or not taken, from somebody who has logged in -> a refusal on record, without its content
import type { Field, HttpFault } from "../../engine/http/request.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { GatewayError } from "../errors.ts";
import type { Refusal, Subject, TrafficGate, TrafficSession } from "../gate/traffic.ts";
import type { HttpAnswer, HttpRoute } from "./exchange.ts";
import { notRecorded, problemOfFault, problemOfRefusal } from "./problem.ts";

const methods = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/;
const unread = new Unknown("the request has no one reading");

/** Neither path nor headers: what they say depends on who reads them. */
function subjectOf(method: string, fault: HttpFault): Subject {
  const named = methods.test(method) ? method : "(another method)";
  const http = { method: named, host: "", path: "", query: unread, headers: unread, body: unread, bodySize: unread };
  return {
    facts: { protocol: "http", http },
    text: `${named} (refused: ${fault.code})`,
    access: `${named} (unread)`,
    binding: [],
    shown: [],
    refs: {},
    whyUnable: () => undefined,
  };
}

/** What goes to the client: the same problem, with the id that finds the record; 503 where it can't be recorded. */
export function refuseOnRecord(
  gate: TrafficGate,
  session: TrafficSession,
  method: string,
  fault: HttpFault,
): HttpAnswer {
  const { code, message, help } = fault;
  const verdict = gate.refuse(session, subjectOf(method, fault), { code, message, help });
  try {
    gate.record(session, [verdict]);
  } catch (error) {
    if (error instanceof GatewayError) return problemOfFault(notRecorded);
    throw error;
  }
  const refusal: Refusal | undefined = verdict.kind === "refuse" ? verdict.refusal : undefined;
  return refusal === undefined ? problemOfFault(fault) : problemOfRefusal(refusal, fault.status);
}

/** The connection that a request is put down to whose target can't be read: by its host and how its path begins. */
export function routeOfUnread(
  routes: readonly HttpRoute[],
  target: string,
  host: string | undefined,
): HttpRoute | undefined {
  const name = host?.toLowerCase().replace(/:\d+$/, "");
  const ofHost = routes.filter(({ hosts }) => hosts.length === 0 || (name !== undefined && hosts.includes(name)));
  const begun = ofHost.filter(({ prefix }) => {
    const start = `/${prefix.join("/")}`;
    return prefix.length === 0 || target === start || target.startsWith(`${start}/`);
  });
  const [best, next] = begun.toSorted((a, b) => b.prefix.length - a.prefix.length);
  return best === undefined || best.prefix.length === next?.prefix.length ? undefined : best;
}

/** The one bearer token of raw headers; undefined where there are several, or another kind. */
export function bearerOf(headers: readonly Field[]): string | undefined {
  const all = headers.filter(([name]) => name.toLowerCase() === "authorization").map(([, value]) => value);
  return all.length === 1 ? /^Bearer +([\w.~+/=-]+)$/i.exec(all[0] ?? "")?.[1] : undefined;
}
