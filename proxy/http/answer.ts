// an upstream's answer + what must be done to it -> what the client gets
import type { CanonicalRequest, Field } from "../../engine/http/request.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { Limits } from "../../engine/limits.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import type { TrafficCompletion, Unable } from "../gate/traffic.ts";
import type { HttpExchange, UpstreamResponse } from "./exchange.ts";

/** What a decision asks of the answer, understood and possible. */
export type AnswerPlan = {
  /** Headers as they go upstream. */
  readonly requestHeaders: (headers: readonly Field[]) => readonly Field[];
};

export function planAnswer(
  obligations: Obligations,
  _request: CanonicalRequest,
  _deps: { readonly limits: Limits; readonly maskKey: Uint8Array },
): Result<AnswerPlan, Unable> {
  if (obligations.content !== undefined || obligations.limits.some(({ window }) => window === undefined)) {
    return err({ code: "obligation-unsupported", message: "answers can't be masked here", help: undefined });
  }
  return ok({ requestHeaders: (headers) => headers });
}

/** @throws when the client or the upstream goes away: the caller breaks the connection */
export async function sendAnswer(
  exchange: HttpExchange,
  answer: UpstreamResponse,
  _plan: AnswerPlan,
  added: readonly Field[],
  _decisionId: string,
): Promise<Omit<TrafficCompletion, "durationUs">> {
  const sink = exchange.stream({ status: answer.status, headers: [...answer.headers, ...added] });
  for await (const chunk of answer.body) await sink.write(chunk);
  sink.end();
  return { outcome: "ok", tag: String(answer.status), rows: 0, bytes: sink.bytes() };
}
