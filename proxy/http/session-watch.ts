// an exchange that lasts -> cut off when its token is revoked or ends, or its approval is taken back
import { limits } from "../../engine/limits.ts";
import type { Refusal, TrafficGate, TrafficSession, Withdrawal } from "../gate/traffic.ts";

export type SessionWatch = Withdrawal & {
  /** From now on the token's end ends the exchange as well: it is a stream without an end of its own. */
  readonly endAtExpiry: () => void;
  readonly stop: () => void;
};

/** INVARIANT: `stop` is called when the exchange is over. */
export function watchSession(
  gate: Pick<TrafficGate, "whyEnded">,
  session: TrafficSession,
  decisionId: string,
  withdrawal: Withdrawal | undefined,
): SessionWatch {
  const abort = new AbortController();
  let endsAtExpiry = false;
  let refusal: Refusal | undefined;
  const cut = (why: Refusal): void => {
    refusal ??= why;
    abort.abort();
  };
  const look = (): void => {
    const why = gate.whyEnded(session);
    if (why === "token-revoked" || (why === "token-expired" && endsAtExpiry)) cut(refusalOf(why, decisionId));
  };
  const timer = setInterval(look, limits.httpSessionLookMs);
  timer.unref();
  const onWithdrawn = (): void => withdrawal && cut(withdrawal.refusal);
  withdrawal?.signal.addEventListener("abort", onWithdrawn);
  if (withdrawal?.signal.aborted) onWithdrawn();
  return {
    signal: abort.signal,
    /** Asked once the signal has told. */
    get refusal() {
      return refusal ?? refusalOf("token-expired", decisionId);
    },
    endAtExpiry: () => {
      endsAtExpiry = true;
      look();
    },
    stop: () => {
      clearInterval(timer);
      withdrawal?.signal.removeEventListener("abort", onWithdrawn);
    },
  };
}

const refusalOf = (code: "token-expired" | "token-revoked", decisionId: string): Refusal => ({
  decisionId,
  code,
  reason: `the token ${code === "token-revoked" ? "was revoked" : "ended"} while this request ran, so it was cut off: how much of it took effect isn't known`,
  rules: [],
  help: code === "token-revoked" ? "talk to whoever runs the gateway" : "get a fresh token and repeat the request",
  approvalId: undefined,
  retry: "never",
});
